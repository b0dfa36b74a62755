"""Edits of a given pose: what was said came true, in direction and amount, and everything else stayed.

What should have stayed are the joints that the sample's target leaves as they are in the given pose. By how much they
did not is measured in metres: how far the joints of the body are from where they would be had those not turned.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.edits.comparisons import compare
from pose_rft.posescript.edits.verification import strayed
from pose_rft.rewards.batch import PoseBatch

SAME = 1e-4  # radians by which a joint may turn and still be as it was


def edit(
    prompts: list[str],
    completions: list[str],
    poses: PoseBatch,
    *,
    given: Sequence[Sequence[np.ndarray]],
    pose: Sequence[np.ndarray | None],
    checks: Sequence[Sequence[str] | None],
    changes: Sequence[Sequence[str]],
    scale: float = 0.05,
    **columns: object,
) -> list[float | None]:
    """Share of the statements that hold, times exp(-strayed / scale); None without a given pose or without a target.

    Where nothing is stated, as of a pose that is to be completed, only the second factor counts.

    Args:
        prompts, completions: not looked at.
        poses: the answers' poses.
        given: per item, the poses in its prompt, (22, 3) axis-angle radians; the first is the one that is edited.
        pose: per item, the target, which says what should stay.
        checks: per item, statements about the answer's pose.
        changes: per item, statements that compare it with the given one.
        scale: metres by which what should stay has strayed when the reward has fallen to 1/e.
    """
    grades: list[float | None] = [None] * len(poses)
    first = 0
    while first < len(poses):  # the poses of one prompt follow each other and share its given pose
        last = first + 1
        while last < len(poses) and given[last] is given[first]:
            last += 1
        target = pose[first]
        usable = [row for row in range(first, last) if poses.valid[row]]
        if usable and len(given[first]) and target is not None:
            start, aim = (torch.as_tensor(each, dtype=torch.float32) for each in (given[first][0], target))
            start, aim = start.to(poses.axis_angle), aim.to(poses.axis_angle)
            stays = (start - aim).norm(dim=-1) < SAME  # (22,)
            stayed = torch.exp(-strayed(poses.axis_angle[usable], start, stays) / scale)
            shares = _share(poses.points[usable], start, checks[first] or (), changes[first])
            for row, value in zip(usable, (shares * stayed).tolist(), strict=True):
                grades[row] = value
        first = last
    return grades


def _share(points: Tensor, start: Tensor, checks: Sequence[str], changes: Sequence[str]) -> Tensor:
    """(N,) of the statements that hold; 1 where there are none."""
    if not checks and not changes:
        return torch.ones(len(points), device=points.device)
    of_both = compare(changes, load_body().points(start)[None], points)
    return torch.cat([satisfied(checks, points), of_both], dim=1).float().mean(dim=1)
