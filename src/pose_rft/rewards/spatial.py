"""Spatial location reward: how close the joints are to those of the recorded pose (Pose-RFT: 1 / ||J_pred - J_gt||)."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from pose_rft.body.distances import mpjpe, pa_mpjpe
from pose_rft.errors import UserError
from pose_rft.rewards.batch import PoseBatch

Targets = Sequence[np.ndarray | None]
MIN_ERROR = 1e-3  # metres; keeps 1 / error finite for a pose that hits the target


def check_scale(scale: float = 1.0) -> None:
    """Find out before a run whether the option `scale` can be used; takes the options of both bounded rewards.

    Raises:
        UserError: it is no positive number.
    """
    if not isinstance(scale, int | float) or isinstance(scale, bool) or not 0 < scale < math.inf:
        raise UserError(f"rewards: scale must be a positive number of metres, not {scale!r}")


def _errors(
    poses: PoseBatch, targets: Targets, distance: Callable[[Tensor, Tensor], Tensor] = mpjpe
) -> list[float | None]:
    """Joint error per item in metres; None where the pose is invalid or no pose was recorded."""
    distinct: list[np.ndarray] = []  # the poses of one prompt follow each other and share one target object
    items, row_of_item = [], []
    for item, (target, usable) in enumerate(zip(targets, poses.valid.tolist(), strict=True)):
        if target is None or not usable:
            continue
        if not distinct or distinct[-1] is not target:
            distinct.append(target)
        items.append(item)
        row_of_item.append(len(distinct) - 1)
    errors: list[float | None] = [None] * len(poses)
    if items:
        axis_angle = torch.stack([torch.as_tensor(target, dtype=torch.float32) for target in distinct])
        recorded = poses.body.joints(axis_angle).to(poses.joints)  # (T, 22, 3)
        for item, error in zip(items, distance(poses.joints[items], recorded[row_of_item]).tolist(), strict=True):
            errors[item] = error
    return errors


def spatial(
    prompts: list[str], completions: list[str], poses: PoseBatch, *, pose: Targets, **columns: object
) -> list[float | None]:
    """The paper's reward, 1 / error with the error in metres: 10 at 100 mm, 20 at 50 mm; at most 1000.

    Args:
        prompts, completions: not looked at.
        poses: the poses to judge.
        pose: per item, the recorded pose, (22, 3) axis-angle radians, or None (not graded).
    """
    return [None if error is None else 1.0 / max(error, MIN_ERROR) for error in _errors(poses, pose)]


def spatial_bounded(
    prompts: list[str],
    completions: list[str],
    poses: PoseBatch,
    *,
    pose: Targets,
    scale: float = 0.1,
    **columns: object,
) -> list[float | None]:
    """exp(-error / scale), between 0 and 1: one lucky sample cannot outweigh its group, as it can with 1 / error.

    Args:
        prompts, completions: not looked at.
        poses: the poses to judge.
        pose: per item, the recorded pose, (22, 3) axis-angle radians, or None (not graded).
        scale: metres of error at which the reward has fallen to 1/e.
    """
    return [_bounded(error, scale) for error in _errors(poses, pose)]


def spatial_aligned(
    prompts: list[str],
    completions: list[str],
    poses: PoseBatch,
    *,
    pose: Targets,
    scale: float = 0.05,
    **columns: object,
) -> list[float | None]:
    """exp(-error / scale) of what is left when a pose is turned, moved and scaled onto the target (PA-MPJPE).

    How the whole body is turned moves all joints, so in ``spatial_bounded`` it outweighs what each limb does.
    """
    return [_bounded(error, scale) for error in _errors(poses, pose, pa_mpjpe)]


def _bounded(error: float | None, scale: float) -> float | None:
    return None if error is None else float(np.exp(-error / scale))
