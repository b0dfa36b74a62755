"""A batch of poses reads as a sequence and as tensors."""

import pytest
import torch

from pose_rft.body.pose import Pose
from pose_rft.rewards import PoseBatch


def batch() -> PoseBatch:
    axis_angle = torch.arange(3 * 66, dtype=torch.float32).view(3, 22, 3) / 100
    return PoseBatch(points=torch.zeros(3, 32, 3), axis_angle=axis_angle, valid=torch.tensor([True, False, True]))


def test_an_item_is_a_pose_or_none_where_the_answer_is_invalid():
    first, second, third = batch()
    assert second is None
    assert isinstance(first, Pose)
    assert first.global_orient.tolist() == pytest.approx([0.0, 0.01, 0.02])
    assert third.body_pose.shape == (21, 3)
    assert third.body_pose[0].tolist() == pytest.approx([1.35, 1.36, 1.37])  # entries 132 + 3 ...


def test_length_index_and_slice_agree():
    poses = batch()
    assert len(poses) == 3
    assert [pose is None for pose in poses.slice(1, 3)] == [True, False]
    with pytest.raises(IndexError):
        poses[3]


def test_tensors_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match=r"points must be \(2, 32, 3\)"):
        PoseBatch(torch.zeros(3, 32, 3), torch.zeros(2, 22, 3), torch.ones(2, dtype=torch.bool))


def test_what_is_measured_of_a_batch_is_not_measured_again_of_its_copies():
    poses, asked = batch(), []

    def measure() -> int:
        asked.append(1)
        return len(asked)

    assert [poses.once("height", measure), poses.copy().once("height", measure), len(asked)] == [1, 1, 1]
    assert poses.once("width", measure) == 2
    changed = poses.copy()
    assert changed.once("height", measure) == 1
    changed.points[0, 0, 1] = 1.0
    assert changed.once("height", measure) == 3
    changed.points[1] = 2.0  # of an invalid answer
    assert changed.once("height", measure) == 3
    assert poses.points.eq(0).all()
