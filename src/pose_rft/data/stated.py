"""What an answer itself says of the body whose pose it shows."""

from functools import lru_cache

from pose_rft.data.sample import POSE_TOKEN
from pose_rft.posescript.mentions import code_of
from pose_rft.posescript.parsing import parse


@lru_cache(maxsize=65536)
def stated_checks(answer: str) -> tuple[str, ...]:
    """Its statements in the language of ``pose_rft.posescript.checks``; empty where it says nothing of a body.

    An answer speaks as captions do, so its posecodes are graded by their own checks, not as loosely as people speak.
    """
    said = parse(answer.replace(POSE_TOKEN, "")).statements
    return tuple(code_of(each.posecode).check if each.posecode else each.check for each in said)
