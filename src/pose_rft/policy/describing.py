"""Given poses in words, by geometry: descriptions, answers to questions, and what differs between two."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.data.questions.answering import answer_question
from pose_rft.policy.arguments import check_counts
from pose_rft.policy.editing import AnyPose, as_pose
from pose_rft.posescript.captions import Caption, Style, caption
from pose_rft.posescript.edits.edit import Edited, edit_pose
from pose_rft.posescript.edits.instructions import EditInstruction, edit_instructions

CANDIDATES = 6  # instructions of which the first is said that leads a good part of the way
GOOD_PART = 0.25  # of the way, measured by the joints


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

    Several instructions are true of a pair; one is said that leads a good part of the way when it is followed, else the
    one that leads furthest.

    Args:
        before, after: as ``pose`` of ``describe_pose``, the other arguments too.

    Raises:
        UserError: as ``describe_pose`` does.
    """
    check_counts(num_samples=num_samples)
    given, aim = (torch.from_numpy(as_pose(pose).axis_angle()) for pose in (before, after))
    made = instructions_between(given, aim, num_samples * CANDIDATES, style, seed)
    return [leading(given, aim, made[row : row + CANDIDATES])[0] for row in range(0, len(made), CANDIDATES)]


def instructions_between(given: Tensor, aim: Tensor, count: int, style: Style, seed: int) -> list[EditInstruction]:
    """Instructions from one pose to another, (22, 3) axis-angle both, as they come to mind."""
    start, end = (load_body().points(pose).expand(count, -1, -1) for pose in (given, aim))
    return edit_instructions(start, end, seed, style)


def leading(given: Tensor, aim: Tensor, instructions: Sequence[EditInstruction]) -> tuple[EditInstruction, Edited]:
    """The first that leads a good part of the way, else the one that leads furthest; and the pose after it."""
    best, most = None, -math.inf
    for each in instructions:
        edited = edit_pose(given, each.text)
        way = way_led(given, aim, edited.pose)
        if way > most:
            best, most = (each, edited), way
        if most >= GOOD_PART:
            break
    assert best is not None
    return best


def way_led(given: Tensor, aim: Tensor, reached: Tensor) -> float:
    """Which share of the way from one pose to another a third has come: 1 is there, below 0 is further away.

    Args:
        given, aim, reached: (22, 3) axis-angle, radians. Distances are the mean over the joints, pelvis on pelvis.
    """
    joints = [each - each[0] for each in load_body().joints(torch.stack([given, aim, reached]))]
    whole, left = ((joints[1] - one).norm(dim=-1).mean() for one in (joints[0], joints[2]))
    return float(1 - left / whole) if whole > 0 else 0.0
