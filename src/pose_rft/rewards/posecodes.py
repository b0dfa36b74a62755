"""Posecode satisfaction: the share of a prompt's geometric statements that the pose fulfils.

A verifiable reward: geometry on the joints, no learned model that could be fooled. It needs no recorded pose.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch

from pose_rft.errors import UserError
from pose_rft.posescript.checks import satisfaction
from pose_rft.rewards.batch import PoseBatch
from pose_rft.rewards.contract import credits


@credits("pose")
def posecode_satisfaction(
    prompts: list[str],
    completions: list[str],
    poses: PoseBatch,
    *,
    checks: Sequence[Sequence[str] | None],
    **columns: object,
) -> list[float | None]:
    """Share of the checks that hold, 0 to 1; None for invalid poses and for prompts without checks.

    Args:
        prompts, completions: not looked at.
        poses: the poses to judge.
        checks: per item, statements in the language of `pose_rft.posescript.checks`.

    Raises:
        ValueError: a check that cannot be read (about one sample, so not a `UserError`, which is about the run).
    """
    valid = poses.valid.tolist()
    items_of: dict[tuple[str, ...], list[int]] = defaultdict(list)  # the poses of one prompt share their checks
    for item, (statements, usable) in enumerate(zip(checks, valid, strict=True)):
        if usable and statements:
            items_of[tuple(statements)].append(item)
    grades: list[float | None] = [None] * len(poses)
    for statements, items in items_of.items():
        joints = poses.joints[torch.as_tensor(items, device=poses.joints.device)]  # (n, 22, 3)
        try:
            shares = satisfaction(statements, joints)  # (n,)
        except UserError as error:
            raise ValueError(str(error)) from error
        for item, share in zip(items, shares.tolist(), strict=True):
            grades[item] = share
    return grades
