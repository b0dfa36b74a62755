"""Plausibility: a body that carries itself, whatever the words say.

Checks of a prompt say nothing of what it leaves open: a policy that is paid for them alone may bow the head, tilt the
soles, lean out of balance or put limbs through each other. This reward needs no recorded pose and no model.
"""

import torch

from pose_rft.posescript.plausibility import implausibility
from pose_rft.rewards.batch import PoseBatch


def plausible(prompts: list[str], completions: list[str], poses: PoseBatch, **columns: object) -> list[float | None]:
    """``exp(-implausibility)``, 1 for a pose in which nothing is wrong, towards 0; None for invalid poses.

    Args:
        prompts, completions: not looked at.
        poses: the poses to judge.
    """
    grades: list[float | None] = [None] * len(poses)
    usable = poses.valid.nonzero()[:, 0]
    if len(usable):
        values = torch.exp(-implausibility(poses.points[usable]))
        for item, value in zip(usable.tolist(), values.tolist(), strict=True):
            grades[item] = value
    return grades
