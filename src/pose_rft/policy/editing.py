"""Answers to orders that change a given pose: exactly, by geometry (``pose_rft.posescript.edits``)."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from pose_rft.body.pose import Pose
from pose_rft.data.sample import POSE_TOKEN
from pose_rft.errors import UserError
from pose_rft.policy.arguments import AnyPose, as_pose, check_counts, check_temperature, checked_seeds
from pose_rft.policy.outputs import Answer
from pose_rft.posescript.edits.edit import Edited, Outcome, edit_pose

STRENGTHS = 0.35  # standard deviation of the logarithm of amounts at temperature 1
STATUSES = {"done": "Done", "partly": "As far as it goes", "already": "Already so", "cannot": "Not possible"}


def edit_answers(
    pose: AnyPose,
    instruction: str,
    num_samples: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
    history: Sequence[Edited] = (),
) -> list[Answer]:
    """Change a pose as an order says; see ``PosePolicy.edit``.

    Args:
        history: earlier edits, the last one last, for "undo" and "do the same with the right arm".

    Raises:
        UserError: no instruction, no pose, or a number out of range.
    """
    return [answer_of(edited, pose) for edited in edits_of(pose, instruction, num_samples, temperature, seed, history)]


def edits_of(
    pose: AnyPose,
    instruction: str,
    num_samples: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
    history: Sequence[Edited] = (),
) -> list[Edited]:
    """The edits themselves; arguments and errors as for ``edit_answers``."""
    if not isinstance(instruction, str) or not instruction.strip():
        raise UserError("instruction: is empty; say what shall change, such as 'raise the left arm a bit more'")
    check_counts(num_samples=num_samples)
    check_temperature(temperature)
    checked = checked_seeds(seed, 1)
    given = torch.from_numpy(as_pose(pose).axis_angle())
    drawn = np.random.default_rng(checked).standard_normal(num_samples) * temperature * STRENGTHS
    strengths = [math.exp(float(np.clip(value, -0.7, 0.7))) for value in drawn]
    made = {strength: edit_pose(given, instruction, history, strength) for strength in dict.fromkeys(strengths)}
    return [made[strength] for strength in strengths]


def answer_of(edited: Edited, given: AnyPose) -> Answer:
    """An edit as an answer: what was done and what was not understood, and the pose unless nothing was understood."""
    said = [_sentence(status, edited.outcomes) for status in STATUSES]
    if edited.order.unknown:
        said.append("Not understood: " + ", ".join(f'"{words}"' for words in edited.order.unknown) + ".")
    understood = any(outcome.status != "cannot" for outcome in edited.outcomes)
    shown = f"{POSE_TOKEN}." if understood else "The pose is as it was."
    text = " ".join([*filter(None, said), shown])
    pose = Pose.from_axis_angle(edited.pose, as_pose(given).betas) if understood else None
    return Answer(text, understood, pose, 0.0, 0.0 if understood else None)


def _sentence(status: str, outcomes: Sequence[Outcome]) -> str:
    told = [
        f"{outcome.words} ({outcome.detail})" if outcome.detail else outcome.words
        for outcome in outcomes
        if outcome.status == status
    ]
    return f"{STATUSES[status]}: {'; '.join(told)}." if told else ""
