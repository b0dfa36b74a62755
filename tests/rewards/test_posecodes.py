"""Posecode satisfaction is the share of true statements."""

import pytest
import torch

from pose_rft.rewards import PoseBatch
from pose_rft.rewards.posecodes import posecode_satisfaction
from tests.rewards.rest_pose import rest_poses

TRUE = "y(head) > y(pelvis)"  # of every rest pose
FALSE = "y(head) < y(left_foot)"


def test_the_grade_is_the_share_of_checks_that_hold():
    checks = [(TRUE, FALSE), (TRUE, TRUE, FALSE), [TRUE], (FALSE,)]
    grades = posecode_satisfaction(["q"] * 4, ["a"] * 4, rest_poses(4), checks=checks)
    assert grades == pytest.approx([1 / 2, 2 / 3, 1, 0])


def test_every_pose_is_measured_with_its_own_points():
    poses = rest_poses(2)
    points = poses.points.clone()
    points[1, :, 1] *= -1  # upside down
    grades = posecode_satisfaction(
        ["q"] * 2, ["a"] * 2, PoseBatch(points, poses.axis_angle, poses.valid), checks=[(TRUE,), (TRUE,)]
    )
    assert grades == [1.0, 0.0]


def test_a_check_of_where_the_head_points_is_graded_by_rotations():
    grades = posecode_satisfaction(
        ["q"], ["a"], rest_poses(1), checks=[("abs(nod()) < 5", "gaze() > 20", "y(crown) > 0")]
    )
    assert grades == pytest.approx([2 / 3])


def test_prompts_without_checks_and_invalid_poses_are_not_graded():
    poses = rest_poses(4)
    poses = PoseBatch(poses.points, poses.axis_angle, torch.tensor([True, True, True, False]))
    grades = posecode_satisfaction(["q"] * 4, ["a"] * 4, poses, checks=[(), None, (TRUE,), (TRUE,)])
    assert grades == [None, None, 1.0, None]


def test_a_check_that_cannot_be_read_is_named():
    with pytest.raises(ValueError, match="left_tow"):
        posecode_satisfaction(["q"], ["a"], rest_poses(1), checks=[("y(left_tow) > 0",)])


def test_poses_of_many_prompts_are_graded_like_each_alone(monkeypatch):
    monkeypatch.setattr("pose_rft.rewards.posecodes._at_once", lambda device: 3)  # parts that end within a prompt
    texts = [(TRUE, FALSE), (FALSE,), (TRUE, "y(neck) > y(pelvis)", FALSE), (TRUE,)]
    checks = [text for text in texts for _ in range(4)]
    grades = posecode_satisfaction(["q"] * 16, ["a"] * 16, rest_poses(16), checks=checks)
    assert grades == pytest.approx([1 / 2] * 4 + [0] * 4 + [2 / 3] * 4 + [1] * 4)
