"""Which recordings are kept out of training, and which model may learn from which: for readers and benchmarks."""

import hashlib
import re
from typing import Literal

ONE_IN = 4
Part = Literal["all", "reward", "judge"]
OTHER_PART: dict[Part, Part] = {"all": "all", "reward": "judge", "judge": "reward"}

SUBJECT = re.compile(r"(\d{3}|uiprmd_s\d\d)_")  # names that begin so say who was recorded; three digits are CMU's
# People move in their own way and repeat themselves, so a person is in training or in evaluation and never in both.
# Chosen by hand, since hashes of so few subjects are unfair: walking, jumping, sports, martial arts, dance and daily
# tasks are on both sides, and about a quarter of all poses is held out.
HELD_OUT_SUBJECTS = frozenset(
    {
        "cmu_002", "cmu_006", "cmu_010", "cmu_012", "cmu_013", "cmu_049", "cmu_055", "cmu_091",
        "uiprmd_s04", "uiprmd_s09",
    }
)  # fmt: skip
# For the same reason the parts of the training subjects are chosen: each has long and short clips, daily and acrobatic
# motion, and half of the exercises. The parts weigh about the same.
PART_OF_SUBJECT: dict[str, Part] = {
    **dict.fromkeys(["cmu_001", "cmu_003", "cmu_008", "cmu_009", "cmu_085", "cmu_102", "cmu_131"], "reward"),
    **dict.fromkeys(["cmu_005", "cmu_007", "cmu_011", "cmu_014", "cmu_135"], "judge"),
    **dict.fromkeys(["uiprmd_s01", "uiprmd_s02", "uiprmd_s03", "uiprmd_s05"], "reward"),
    **dict.fromkeys(["uiprmd_s06", "uiprmd_s08", "uiprmd_s10"], "judge"),
}


def subject_of(sequence: str) -> str | None:
    """Who was recorded: "cmu_014" of "014_23", "uiprmd_s04" of "uiprmd_s04_m01_e02"; None where no name says it."""
    found = SUBJECT.match(sequence)
    if not found:
        return None
    return f"cmu_{found[1]}" if found[1].isdigit() else found[1]


def is_held_out(sequence: str) -> bool:
    """Whether a recording is kept for evaluation.

    Where the name says who was recorded, the subject decides, see ``HELD_OUT_SUBJECTS``. Other recordings are held out
    by a hash of their name, about one in four. Frames of one recording are near-duplicates, so they are never split;
    and a rule on the name keeps the split the same when recordings are added.
    """
    subject = subject_of(sequence)
    return subject in HELD_OUT_SUBJECTS if subject else _hashed(sequence) % ONE_IN == 0


def in_part(sequence: str, part: Part) -> bool:
    """Whether a training recording belongs to a part: about half of them to each, all to "all".

    A subject's recordings are in one part; a hash decides where ``PART_OF_SUBJECT`` does not. A model that judges must
    not have learned from the poses of the model that rewards.
    """
    if part == "all":
        return True
    owner = subject_of(sequence) or sequence
    halves: tuple[Part, Part] = ("reward", "judge")
    return part == PART_OF_SUBJECT.get(owner, halves[_hashed(f"part {owner}") % 2])


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
