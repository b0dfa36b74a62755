"""A pose in which nothing is wrong earns 1, any other less."""

import math

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.posescript.plausibility import UNITS, plausibility
from pose_rft.rewards import PoseBatch
from pose_rft.rewards.plausible import plausible


def batch(*nods: float, valid: bool = True) -> PoseBatch:
    """T-poses with bowed heads, degrees."""
    pose = torch.zeros(len(nods), 22, 3)
    pose[:, 15, 0] = torch.deg2rad(torch.tensor(nods))
    return PoseBatch(load_body().points(pose), pose, torch.full((len(nods),), valid))


def test_a_bowed_head_costs_what_its_degrees_say():
    poses = batch(0, 50, 70)
    upright, bowed, deep = plausible(["q"] * 3, ["a"] * 3, poses)
    assert upright == pytest.approx(1)
    nod = plausibility(poses.points)["nod"]
    assert bowed == pytest.approx(math.exp(-float(nod[1]) / UNITS["nod"]), rel=1e-4)
    assert deep < bowed < 1


def test_an_invalid_pose_is_not_graded():
    assert plausible(["q"], ["a"], batch(0, valid=False)) == [None]
