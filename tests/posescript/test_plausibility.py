"""What is implausible about a pose is measured, and nothing is about a plain one."""

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.errors import UserError
from pose_rft.posescript.plausibility import implausibility, plausibility, supporting_soles
from tests.posescript.stick_figure import random_poses
from tests.posescript.test_posture import ARMS_DOWN, CROSSED, STANDING, TIPTOE, T, pose

SQUAT = pose(
    pelvis=(30, 0, 0), left_hip=(-130, 0, 0), right_hip=(-130, 0, 0), left_knee=(140, 0, 0), right_knee=(140, 0, 0)
)


def values(points: torch.Tensor) -> dict[str, float]:
    return {name: float(value) for name, value in plausibility(points).items()}


@pytest.mark.parametrize("points", [T, STANDING, pose(pelvis=(0, 80, 0), head=(20, 0, 0), **ARMS_DOWN)])
def test_nothing_is_wrong_with_who_stands(points):
    assert values(points) == pytest.approx({"nod": 0, "sole": 0, "support": 0, "overlap": 0}, abs=1e-4)


@pytest.mark.parametrize(
    ("points", "measure", "expected"),
    [
        (pose(head=(50, 0, 0), **ARMS_DOWN), "nod", 20),  # degrees beyond 30
        (pose(neck=(-42, 0, 0), **ARMS_DOWN), "nod", 12),
        (TIPTOE, "sole", 25),  # 40 degrees, 15 are flat
        (pose(left_ankle=(0, 0, 25), **ARMS_DOWN), "sole", 10),  # the worse of both
        (pose(right_knee=(90, 0, 0), **ARMS_DOWN), "sole", 0),  # the foot in the air does not count
        (pose(right_knee=(90, 0, 0), **ARMS_DOWN), "support", 0.109),  # between the feet, on the left one alone
        (pose(pelvis=(-90, 0, 0)), "sole", 0),  # lying
        (SQUAT, "support", 0),
        (CROSSED, "overlap", 0.099),  # metres
    ],
)
def test_a_measure_has_the_value_worked_out_by_hand(points, measure, expected):
    assert values(points)[measure] == pytest.approx(expected, abs=0.1 if expected > 1 else 1e-3)


def test_a_foot_supports_only_who_stands():
    feet = [pose(right_knee=(90, 0, 0)), T, SQUAT, pose(pelvis=(-90, 0, 0))]
    supporting = supporting_soles(torch.cat(feet))[1]
    assert supporting.tolist() == [[True, False], [True, True], [False, False], [False, False]]


def test_it_can_be_descended():
    points = load_body().points(random_poses(50, seed=3)).requires_grad_()
    sum(each.sum() for each in plausibility(points).values()).backward()
    assert points.grad.isfinite().all()


def test_one_number_adds_the_measures_in_their_units():
    wrong = values(TIPTOE)
    assert float(implausibility(TIPTOE)) == pytest.approx(wrong["sole"] / 20 + wrong["support"] / 0.1, abs=1e-4)
    assert float(implausibility(CROSSED)) == pytest.approx(values(CROSSED)["overlap"] / 0.1, abs=1e-4)


def test_joints_alone_are_refused():
    with pytest.raises(UserError, match="give the 32 points"):
        plausibility(T[:, :22])
