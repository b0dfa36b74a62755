"""Answers to orders that change a given pose: exactly, by geometry (``pose_rft.posescript.edits``), or as learned.

A policy that reads poses may have an answer where geometry has none or a poor one. Both are verified alike, and the
better one is taken.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import roma
import torch
from torch import Tensor

from pose_rft.body.pose import Pose
from pose_rft.data.sample import INPUT_POSE, POSE_TOKEN
from pose_rft.errors import UserError
from pose_rft.policy.arguments import AnyPose, as_pose, check_counts, check_temperature, checked_seeds
from pose_rft.policy.outputs import Answer, Rollout
from pose_rft.policy.pose_branch import PoseBranch
from pose_rft.policy.pose_head import PoseHead
from pose_rft.policy.prompt_encoder import PromptInput
from pose_rft.policy.selection import CANDIDATES, candidate_temperatures
from pose_rft.posescript.edits.edit import Edited, Outcome, edit_pose
from pose_rft.posescript.edits.verification import faults

STRENGTHS = 0.35  # standard deviation of the logarithm of amounts at temperature 1
STATUSES = {"done": "Done", "partly": "As far as it goes", "already": "Already so", "cannot": "Not possible"}
CLEARLY = 0.1  # units of 20 degrees or 10 cm by which a learned answer has to be better than the exact one


class Editor(Protocol):
    """What proposes edits: a ``PosePolicy``."""

    @property
    def head(self) -> PoseHead: ...

    @property
    def pose_branch(self) -> PoseBranch | None: ...

    def rollout(
        self,
        prompts: Sequence[PromptInput],
        num_answers: int = 1,
        num_poses: int = 1,
        *,
        seeds: int = 0,
        pose_temperatures: Tensor | None = None,
        words: bool = True,
    ) -> Rollout: ...


def best_edits(
    policy: Editor,
    pose: AnyPose,
    instruction: str,
    num_samples: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
    history: Sequence[Edited] = (),
) -> list[Answer]:
    """Change a pose as an order says: exactly, or as the policy learned to where that is verified to be better.

    Args:
        history: earlier edits, the last one last, for "undo" and "do the same with the right arm".

    Raises:
        UserError: no instruction, no pose, or a number out of range.
    """
    exact = edits_of(pose, instruction, num_samples, temperature, seed, history)
    if policy.pose_branch is None or faults(exact[0].order, exact[0].before, exact[0].before[None]) is None:
        return [answer_of(edited, pose) for edited in exact]
    proposed = learned_edits(policy, pose, instruction, seed)
    return [answer_of(better_edit(edited, proposed), pose) for edited in exact]


def learned_edits(policy: Editor, pose: AnyPose, instruction: str, seed: int = 0) -> Tensor:
    """What a policy that reads poses makes of an order: (K, 22, 3) axis-angle, the likeliest first."""
    asked = PromptInput(f"{INPUT_POSE} {instruction.replace(INPUT_POSE, '')}", poses=(as_pose(pose).axis_angle(),))
    spread = candidate_temperatures(1.0, CANDIDATES)
    drawn = policy.rollout([asked], 1, CANDIDATES, seeds=seed, pose_temperatures=spread, words=False)
    return roma.rotmat_to_rotvec(policy.head.to_rotations(drawn.action))[0, 0].float().cpu()


def better_edit(exact: Edited, proposed: Tensor) -> Edited:
    """The exact edit, or one with the best proposed pose where that has clearly fewer faults."""
    found = faults(exact.order, exact.before, torch.cat([exact.pose[None], proposed]))
    assert found is not None
    best = int(found.argmin())
    if best == 0 or found[best] > found[0] - CLEARLY:
        return exact
    done = tuple(replace(each, status="done", detail="") for each in exact.outcomes)
    return replace(exact, pose=proposed[best - 1], outcomes=done if found[best] < CLEARLY else exact.outcomes)


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
