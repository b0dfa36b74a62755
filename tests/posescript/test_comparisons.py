"""Comparisons of two poses: hand-worked numbers, the short way round, mirrors, refusals."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pose_rft.errors import UserError
from pose_rft.posescript.edits.comparisons import Comparison, compare, read_comparison
from tests.posescript.stick_figure import mirror, moved, random_joints, t_pose, turned

QUANTITIES = (
    "angle(left_knee)",
    "y(left_wrist) - y(pelvis)",
    "left(right_wrist)",
    "turn()",
    "distance(left_foot, head)",
)
numbers = st.integers(-500, 500).map(lambda value: value / 100)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("change(y(left_wrist)) > 0.25", True),  # from 1.45 to 1.75
        ("change(y(left_wrist)) > 0.35", False),
        ("0.07 < change(y(left_wrist)) < 0.25", False),
        ("0.2 < change(y(left_wrist) - y(pelvis)) < 0.4", True),
        ("change(y(left_wrist)) < -0.1", False),
        ("change(y(right_wrist)) > 0.01", False),
        ("change(distance(left_wrist, right_wrist)) < 0.1", True),  # 1.4 to hypot(1.4, 0.3) = 1.43
    ],
)
def test_a_wrist_raised_by_thirty_centimetres(text, held):
    assert compare([text], t_pose(), moved(left_wrist=(0.7, 1.75, 0.0))).item() is held


def test_a_turn_is_taken_the_short_way_round():
    """From 170 degrees to the left by 20 degrees is -170, not 340 to the right."""
    before, after = turned(t_pose(), (0.0, 1.0, 0.0), 170), turned(t_pose(), (0.0, 1.0, 0.0), -170)
    assert compare(["15 < change(turn()) < 25", "change(turn()) < -15"], before, after).tolist() == [[True, False]]


def test_the_mirrored_comparison_says_the_same_of_the_mirrored_poses():
    before, after = random_joints(300, seed=1), random_joints(300, seed=2)
    for of in QUANTITIES:
        for low, high in ((0.05, math.inf), (-math.inf, -5), (-20, 3)):
            one = Comparison(of, low, high)
            other = compare([str(one.mirrored())], mirror(before), mirror(after))
            assert torch.equal(compare([str(one)], before, after), other), one


@given(st.sampled_from(QUANTITIES), numbers, numbers, st.sampled_from(("low", "high", "both")))
def test_what_is_written_is_read_again(of, low, high, kind):
    one = Comparison(of, -math.inf if kind == "high" else low, math.inf if kind == "low" else high)
    assert read_comparison(str(one)) == one


def test_one_source_pose_stands_for_all():
    candidates = random_joints(5, seed=3)
    many = compare(["change(angle(left_knee)) < 0"], t_pose().expand(5, 22, 3), candidates)
    assert torch.equal(compare(["change(angle(left_knee)) < 0"], t_pose(), candidates), many)
    assert compare([], t_pose(), candidates).shape == (5, 0)


def test_a_pose_that_is_not_finite_has_changed_in_nothing():
    lost = moved(head=(float("nan"), 0.0, 0.0))
    assert not compare(["change(angle(left_knee)) < 5", "change(angle(left_knee)) > -5"], t_pose(), lost).any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("angle(left_knee) < 90", "compares no two poses"),
        ("change(angle(left_knee))", "compares no two poses"),
        ("3 < change(angle(left_knee)) > 1", "compares no two poses"),
        ("change(angle(left_kne)) > 1", "did you mean left_knee"),
        ("change(__import__('os')) > 1", "no quantity is called"),
    ],
)
def test_what_is_no_comparison_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        compare([text], t_pose(), t_pose())


def test_different_numbers_of_poses_are_refused():
    with pytest.raises(UserError, match="2 poses to start from and 3"):
        compare(["change(turn()) > 1"], random_joints(2, seed=0), random_joints(3, seed=0))
