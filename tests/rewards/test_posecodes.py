"""Posecode satisfaction is the share of true statements."""

import math

import pytest
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.posescript.checks import either_side, satisfied
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


KICK = ("front(left_ankle) > 0.4", "angle(left_knee) > 150", "angle(right_knee) > 150", "y(left_ankle) > y(pelvis)")


def sampled(poses: Tensor) -> PoseBatch:
    """Poses (N, 22, 3) axis-angle."""
    return PoseBatch(load_body().points(poses), poses, torch.ones(len(poses), dtype=torch.bool))


def kick(side: str, degrees: float) -> Tensor:
    """(1, 22, 3): a straight leg lifted forward."""
    pose = torch.zeros(1, 22, 3)
    pose[0, JOINT_INDEX[f"{side}_hip"], 0] = -math.radians(degrees)
    return pose


def test_a_phrase_without_a_side_is_graded_as_one_that_names_the_side_of_the_pose():
    left, right = kick("left", 60), kick("right", 60)
    of_the_left = posecode_satisfaction(["q"] * 2, ["a"] * 2, sampled(torch.cat([left, right])), checks=[KICK] * 2)
    assert of_the_left == pytest.approx([3 / 4, 2 / 4])  # in front and straight, but low; the right leg's knees alone
    either = [(either_side(KICK),)] * 2
    open_ = posecode_satisfaction(["q"] * 2, ["a"] * 2, sampled(torch.cat([left, right])), checks=either)
    assert open_ == pytest.approx([3 / 4, 3 / 4])


def test_beside_other_checks_either_side_weighs_as_its_statements_do():
    pose = sampled(kick("left", 60))
    sided, either = [(*KICK, FALSE)], [(either_side(KICK), FALSE)]
    grades = [posecode_satisfaction(["q"], ["a"], pose, checks=checks)[0] for checks in (sided, either)]
    assert grades == pytest.approx([3 / 5, 3 / 5])


def test_poses_that_all_fail_to_do_what_a_phrase_without_a_side_says_are_told_apart():
    degrees = torch.linspace(0, 85, 16).tolist()
    poses = sampled(torch.cat([kick("right", each) for each in degrees]))
    checks = [(either_side(KICK),)] * 16
    assert not satisfied(checks[0], poses.points).any()  # all or nothing, they were all worth nothing
    grades = posecode_satisfaction(["q"] * 16, ["a"] * 16, poses, checks=checks)
    assert grades == sorted(grades)
    assert {round(grade * 4) for grade in grades} == {2, 3}


def test_a_check_that_cannot_be_read_is_named():
    with pytest.raises(ValueError, match="left_tow"):
        posecode_satisfaction(["q"], ["a"], rest_poses(1), checks=[("y(left_tow) > 0",)])


def test_poses_of_many_prompts_are_graded_like_each_alone(monkeypatch):
    monkeypatch.setattr("pose_rft.rewards.posecodes._at_once", lambda device: 3)  # parts that end within a prompt
    texts = [(TRUE, FALSE), (FALSE,), (TRUE, "y(neck) > y(pelvis)", FALSE), (TRUE,)]
    checks = [text for text in texts for _ in range(4)]
    grades = posecode_satisfaction(["q"] * 16, ["a"] * 16, rest_poses(16), checks=checks)
    assert grades == pytest.approx([1 / 2] * 4 + [0] * 4 + [2 / 3] * 4 + [1] * 4)
