"""Which recordings are kept out of training, and which model may learn from which: for readers and benchmarks."""

import hashlib
from typing import Literal

ONE_IN = 4
Part = Literal["all", "reward", "judge"]
OTHER_PART: dict[Part, Part] = {"all": "all", "reward": "judge", "judge": "reward"}


def is_held_out(sequence: str) -> bool:
    """Whether a recording is kept for evaluation: about one in four, by a hash of its name alone.

    Frames of one recording are near-duplicates, so recordings are split and never frames; and a rule on the name keeps
    the split the same when recordings are added.
    """
    return _hashed(str(sequence)) % ONE_IN == 0


def in_part(sequence: str, part: Part) -> bool:
    """Whether a training recording belongs to a part: half of them to each, by a hash of the name; all to "all".

    A model that judges must not have learned from the poses of the model that rewards.
    """
    return part == "all" or part == ("reward", "judge")[_hashed(f"part {sequence}") % 2]


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
