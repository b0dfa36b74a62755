"""Which recordings training never sees: one rule for readers and benchmarks alike."""

import hashlib

ONE_IN = 4


def is_held_out(sequence: str) -> bool:
    """Whether a recording is kept for evaluation: about one in four, by a hash of its name alone.

    Frames of one recording are near-duplicates, so recordings are split and never frames; and a rule on the name keeps
    the split the same when recordings are added.
    """
    return int.from_bytes(hashlib.sha256(str(sequence).encode()).digest()[:8], "big") % ONE_IN == 0
