"""Poses for the tests: the rest pose, invalid or not."""

import torch

from pose_rft.body import load_body
from pose_rft.rewards import PoseBatch


def rest_poses(count: int) -> PoseBatch:
    """`count` valid rest poses."""
    axis_angle = torch.zeros(count, 22, 3)
    return PoseBatch(load_body().points(axis_angle), axis_angle, torch.ones(count, dtype=torch.bool))
