"""Words agree with the pose: the share of what an answer states that the pose drawn with it fulfils.

A verifiable reward for both halves of the action. It grades poses; a run with ``text_sees_pose_rewards`` credits the
words with the mean of their poses' grades.
"""

from functools import lru_cache

from pose_rft.data.sample import POSE_TOKEN
from pose_rft.posescript.parsing import parse
from pose_rft.rewards.batch import PoseBatch
from pose_rft.rewards.format import plain_text
from pose_rft.rewards.posecodes import posecode_satisfaction


@lru_cache(maxsize=65536)
def stated_checks(completion: str) -> tuple[str, ...]:
    """What an answer says of a body, in the language of ``pose_rft.posescript.checks``."""
    return parse(plain_text(completion).replace(POSE_TOKEN, "")).checks


def words_agree(prompts: list[str], completions: list[str], poses: PoseBatch, **columns: object) -> list[float | None]:
    """Share of an answer's statements that hold, 0 to 1; None for invalid poses and for answers that state nothing.

    Args:
        prompts: not looked at.
        completions: decoded answers.
        poses: the poses drawn with them.
    """
    return posecode_satisfaction(prompts, completions, poses, checks=[stated_checks(text) for text in completions])
