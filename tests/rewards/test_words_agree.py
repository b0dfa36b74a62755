"""What an answer says of the body is checked on the pose that comes with it."""

import pytest
import torch

from pose_rft.data.stated import stated_checks
from pose_rft.rewards import PoseBatch
from pose_rft.rewards.words_agree import words_agree
from tests.rewards.rest_pose import rest_poses

SPREAD = "The arms are spread out like wings, both legs are straight: <POSE>."
HALF_WRONG = "The arms are spread out like wings, both knees are bent at right angles: <POSE>."
EMPTY = "The SMPL pose of this person is <POSE>."


def test_the_grade_is_the_share_of_what_is_said_that_the_pose_shows():
    grades = words_agree(["q"] * 3, [SPREAD, HALF_WRONG, "Both knees are bent at right angles: <POSE>."], rest_poses(3))
    assert grades == pytest.approx([1, 1 / 3, 0])  # both knees are two statements


def test_who_says_nothing_is_not_graded():
    assert words_agree(["q"], [EMPTY], rest_poses(1)) == [None]
    assert stated_checks(EMPTY) == ()


def test_an_answer_without_a_pose_is_not_graded():
    poses = rest_poses(1)
    poses = PoseBatch(poses.points, poses.axis_angle, torch.tensor([False]))
    assert words_agree(["q"], [SPREAD], poses) == [None]


def test_what_the_prompt_says_is_no_matter():
    assert words_agree(["both knees are bent"], [SPREAD + "<|im_end|>"], rest_poses(1)) == [1]
