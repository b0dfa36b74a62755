"""Words agree with the pose: the share of what an answer states that the pose drawn with it fulfils.

A verifiable reward for both halves of the action. It grades poses; a run with ``text_sees_pose_rewards`` credits the
words with the mean of their poses' grades.
"""

from pose_rft.data.stated import stated_checks
from pose_rft.rewards.batch import PoseBatch
from pose_rft.rewards.format import plain_text
from pose_rft.rewards.posecodes import posecode_satisfaction


def words_agree(prompts: list[str], completions: list[str], poses: PoseBatch, **columns: object) -> list[float | None]:
    """Share of an answer's statements that hold, 0 to 1; None for invalid poses and for answers that state nothing.

    Args:
        prompts: not looked at.
        completions: decoded answers.
        poses: the poses drawn with them.
    """
    return posecode_satisfaction(
        prompts, completions, poses, checks=[stated_checks(plain_text(text)) for text in completions]
    )
