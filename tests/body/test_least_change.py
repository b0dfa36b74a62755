"""The least change of a pose that meets a goal."""

import numpy as np
import pytest
import roma
import torch

from pose_rft.body import load_body
from pose_rft.body.landmarks import POINT_INDEX
from pose_rft.body.least_change import Freedom, comfortable_ranges, least_change
from pose_rft.body.skeleton import JOINT_INDEX

KNEE, WRIST = JOINT_INDEX["left_knee"], POINT_INDEX["left_wrist"]


def hand_at(height):
    """The left wrist is that many metres above the pelvis, in units of 10 cm."""
    return lambda points: ((points[:, WRIST, 1] - height).abs() / 0.1).clamp_min(0)


def start():
    pose = torch.zeros(22, 3)
    pose[JOINT_INDEX["left_shoulder"], 2] = -0.4
    return pose


def test_the_goal_is_met_and_what_is_not_free_stays_to_the_bit():
    found = least_change(start(), hand_at(0.6), Freedom({"left_shoulder": 1.0}))
    assert found.is_met
    assert load_body().joints(found.pose)[WRIST, 1].item() == pytest.approx(0.6, abs=0.006)
    others = [joint for joint in range(22) if joint != JOINT_INDEX["left_shoulder"]]
    assert torch.equal(found.pose[others], start()[others])


def test_no_other_rotation_of_the_joint_is_smaller():
    """Brute force over axes finds no shorter way up."""
    found = least_change(start(), hand_at(0.6), Freedom({"left_shoulder": 1.0}))
    turned = float(np.sqrt(found.effort))
    body, shorter = load_body(), []
    for axis in torch.nn.functional.normalize(torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), dim=1):
        pose = start().repeat(60, 1, 1)
        angles = torch.linspace(0, turned * 0.97, 60)[:, None] * axis
        first = roma.rotvec_to_rotmat(pose[:, 16])
        pose[:, 16] = roma.rotmat_to_rotvec(first @ roma.rotvec_to_rotmat(angles))
        shorter.append(bool((body.joints(pose)[:, WRIST, 1] >= 0.599).any()))
    assert not any(shorter)


def test_a_straight_knee_bends_as_knees_do():
    def bent(points):
        shin, thigh = (points[:, a] - points[:, b] for a, b in ((7, 4), (1, 4)))
        angle = torch.rad2deg(torch.acos(torch.cosine_similarity(shin, thigh).clamp(-0.999999, 0.999999)))
        return ((angle - 120).abs() / 20).clamp_min(0)

    found = least_change(torch.zeros(22, 3), bent, Freedom({"left_knee": 1.0}))
    np.testing.assert_allclose(found.pose[KNEE].numpy(), [np.radians(60), 0, 0], atol=0.02)


def test_the_same_pose_and_goal_give_the_same_result():
    first, second = (
        least_change(start(), hand_at(0.5), Freedom({"left_shoulder": 1.0, "left_elbow": 1.0})) for _ in "ab"
    )
    assert torch.equal(first.pose, second.pose)


def test_ranges_of_the_right_are_the_lefts_in_the_mirror():
    ranges = comfortable_ranges()
    left, right = ranges[JOINT_INDEX["left_shoulder"]], ranges[JOINT_INDEX["right_shoulder"]]
    assert torch.equal(right[0], left[0])
    torch.testing.assert_close(right[1:], -left[1:].flip(-1))
