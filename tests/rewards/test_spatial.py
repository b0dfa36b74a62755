"""The spatial rewards against joints moved by known distances."""

import math

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.rewards import PoseBatch
from pose_rft.rewards.spatial import spatial, spatial_aligned, spatial_bounded
from tests.rewards.rest_pose import rest_poses

REST = np.zeros((22, 3), dtype=np.float32)


def moved(distance: float) -> PoseBatch:
    """A rest pose whose left wrist is off by `distance` metres, the whole body shifted besides."""
    poses = rest_poses(1)
    points = poses.points + torch.tensor([5.0, -1.0, 2.0])
    points[0, JOINT_INDEX["left_wrist"], 0] += distance
    return PoseBatch(points, poses.axis_angle, poses.valid)


def test_the_papers_reward_is_one_over_the_error_in_metres():
    # one joint of 22 off by 2.2 m: mean error 0.1 m
    assert spatial(["q"], ["a"], moved(2.2), pose=[REST]) == pytest.approx([10.0], rel=1e-3)


def test_one_over_the_error_stays_finite_for_a_perfect_pose():
    assert spatial(["q"], ["a"], rest_poses(1), pose=[REST]) == [1000.0]


def test_the_bounded_reward_is_one_at_the_target_and_falls_to_1_over_e_at_its_scale():
    assert spatial_bounded(["q"], ["a"], rest_poses(1), pose=[REST]) == pytest.approx([1.0], abs=1e-5)
    assert spatial_bounded(["q"], ["a"], moved(2.2), pose=[REST]) == pytest.approx([math.exp(-1)], rel=1e-3)
    assert spatial_bounded(["q"], ["a"], moved(2.2), pose=[REST], scale=0.2) == pytest.approx(
        [math.exp(-0.5)], rel=1e-3
    )


def test_an_aligned_error_leaves_out_how_the_whole_body_is_turned():
    turned = REST.copy()
    turned[0] = [0.0, 1.0, 0.0]
    plain = spatial_bounded(["q"], ["a"], rest_poses(1), pose=[turned])[0]
    aligned = spatial_aligned(["q"], ["a"], rest_poses(1), pose=[turned])[0]
    assert plain < 0.2
    assert aligned == pytest.approx(1.0, abs=1e-3)


def test_each_pose_is_compared_with_its_own_target():
    bent = REST.copy()
    bent[JOINT_INDEX["left_knee"], 0] = 1.5
    near, far = spatial_bounded(["q"] * 2, ["a"] * 2, rest_poses(2), pose=[REST, bent])
    assert near == pytest.approx(1.0, abs=1e-5)
    # ankle and foot swing by a chord of 2 sin(0.75) x lower leg; the foot is a little further out
    offsets = load_body().offsets
    shin = offsets[JOINT_INDEX["left_ankle"]]
    foot = shin + offsets[JOINT_INDEX["left_foot"]]
    chord = 2 * math.sin(0.75) * (shin[1:].norm() + foot[1:].norm()).item()  # x is the axis
    assert far == pytest.approx(math.exp(-chord / 22 / 0.1), rel=1e-3)


def test_without_a_recorded_or_a_valid_pose_there_is_no_grade():
    poses = rest_poses(3)
    poses = PoseBatch(poses.points, poses.axis_angle, torch.tensor([True, False, True]))
    assert spatial(["q"] * 3, ["a"] * 3, poses, pose=[None, REST, REST]) == [None, None, 1000.0]
