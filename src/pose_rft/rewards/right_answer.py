"""Right answers to questions about a pose: read from the words, decided by geometry when the question was made."""

from pose_rft.data.questions.reading import is_right
from pose_rft.rewards.batch import PoseBatch
from pose_rft.rewards.format import plain_text


def right_answer(prompts: list[str], completions: list[str], poses: PoseBatch, **columns: object) -> list[float | None]:
    """1 for a right answer, 0 for a wrong or unclear one; prompts that are no such question are not graded.

    Args:
        prompts, poses: not looked at.
        completions: decoded answers.
        columns: ``truth``, where some prompts are questions: yes, no, left, right, both, neither, or None.
    """
    truths = columns.get("truth") or [None] * len(completions)
    assert isinstance(truths, list)
    return [
        float(bool(is_right(plain_text(text), truth))) if truth else None
        for text, truth in zip(completions, truths, strict=True)
    ]
