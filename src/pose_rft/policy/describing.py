"""Given poses in words, by geometry: descriptions, answers to questions, and what differs between two."""

import torch

from pose_rft.data.questions.answering import answer_question
from pose_rft.policy.arguments import check_counts
from pose_rft.policy.editing import AnyPose, as_pose
from pose_rft.posescript.captions import Caption, Style, caption
from pose_rft.posescript.edits.instructions import EditInstruction, edit_instructions


def describe_pose(pose: AnyPose, num_samples: int = 1, style: Style = "full", seed: int = 0) -> list[Caption]:
    """What a person would say of a pose; every statement is true of it with a margin.

    Args:
        pose: a ``Pose``, or (22, 3) axis-angle radians.
        num_samples: how many different descriptions.
        style: about how much is said: short (1 to 3 statements), medium (2 to 4), full (4 to 7), or any of them.
        seed: the same seed gives the same descriptions.

    Raises:
        UserError: no pose, or a number or a style that there is not.
    """
    check_counts(num_samples=num_samples)
    points = torch.as_tensor(as_pose(pose).points())
    return caption(points.expand(num_samples, -1, -1), seed, style, declarative=True)


def answer_about(pose: AnyPose, question: str) -> str | None:
    """A sentence that answers a question about a pose; None for what geometry does not tell, or is not understood.

    Raises:
        UserError: no pose.
    """
    return answer_question(question, torch.as_tensor(as_pose(pose).points()))


def compare_poses(
    before: AnyPose, after: AnyPose, num_samples: int = 1, style: Style = "full", seed: int = 0
) -> list[EditInstruction]:
    """What has to change to come from one pose to another: orders that ``edit_answers`` can follow.

    Args:
        before, after: as ``pose`` of ``describe_pose``, the other arguments too.

    Raises:
        UserError: as ``describe_pose`` does.
    """
    check_counts(num_samples=num_samples)
    one, other = (torch.as_tensor(as_pose(pose).points()).expand(num_samples, -1, -1) for pose in (before, after))
    return edit_instructions(one, other, seed, style)
