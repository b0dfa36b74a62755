"""What a prompt or an answer states of the body whose pose it is about, as strictly as captions mean it."""

from functools import lru_cache

from pose_rft.data.sample import POSE_TOKEN
from pose_rft.posescript.mentions import code_of
from pose_rft.posescript.parsing import parse


@lru_cache(maxsize=65536)
def stated_checks(text: str) -> tuple[str, ...]:
    """Its statements in the language of ``pose_rft.posescript.checks``; empty where it says nothing of a body.

    Posecodes count by their own checks, which are narrower than what people may mean by the words (``parse``): an
    answer speaks as captions do, and who aims at the middle of a meaning does not miss it.
    """
    said = parse(text.replace(POSE_TOKEN, "")).statements
    return tuple(code_of(each.posecode).check if each.posecode else each.check for each in said)
