"""Settling puts bodies on the floor and changes nothing else."""

import math

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.landmarks import POINT_INDEX
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.posescript.balance import clearance, off_balance
from pose_rft.posescript.captions import caption
from pose_rft.posescript.checks import measure, satisfied
from pose_rft.posescript.footing import find_footing
from pose_rft.posescript.settling import settle
from tests.posescript.stick_figure import random_poses

BODY = load_body()
ARMS_DOWN = {"left_shoulder": (0, 0, -80), "right_shoulder": (0, 0, 80)}
ARM = [JOINT_INDEX[f"left_{joint}"] for joint in ("collar", "shoulder", "elbow", "wrist")]
# Face down on straight arms and toes; hips a little high, so that the palms hang over the floor.
PLANK = {
    "pelvis": (78, 0, 0), "left_ankle": (-20, 0, 0), "right_ankle": (-20, 0, 0), "left_foot": (-50, 0, 0),
    "right_foot": (-50, 0, 0), "left_shoulder": (0, -80, 0), "right_shoulder": (0, 80, 0),
}  # fmt: skip
CHAIR = {
    "left_hip": (-85, 0, 0), "right_hip": (-85, 0, 0), "left_knee": (85, 0, 0), "right_knee": (85, 0, 0), **ARMS_DOWN,
}  # fmt: skip


def turned(**joints: tuple[float, float, float]) -> torch.Tensor:
    """(22, 3) axis-angle, of joints' rotation vectors in degrees; all others as in the T-pose."""
    pose = torch.zeros(22, 3)
    for joint, degrees in joints.items():
        pose[JOINT_INDEX[joint]] = torch.deg2rad(torch.tensor(degrees, dtype=torch.float))
    return pose


def moved(before: torch.Tensor, after: torch.Tensor) -> float:
    """Metres by which a joint moves at most."""
    joints = BODY.joints(torch.stack([before, after]))
    return float((joints[0] - joints[1]).norm(dim=-1).max())


def value(of: str, pose: torch.Tensor) -> float:
    return float(measure(of, BODY.points(pose[None])))


@pytest.mark.parametrize("stands", [turned(), turned(**ARMS_DOWN), turned(pelvis=(0, 70, 0), **ARMS_DOWN)])
def test_who_stands_well_stays(stands):
    assert moved(stands, settle(stands)) < 0.002


def test_a_tilted_sole_becomes_flat_and_the_rest_stays():
    tilted = turned(left_ankle=(0, 0, 20), **ARMS_DOWN)
    settled = settle(tilted)
    assert value("sole(left_ankle)", tilted) == pytest.approx(20, abs=0.1)
    assert value("sole(left_ankle)", settled) < 3
    torch.testing.assert_close(settled[ARM], tilted[ARM], atol=0.02, rtol=0)


def test_tiptoe_is_meant():
    tiptoe = turned(
        left_ankle=(40, 0, 0), right_ankle=(40, 0, 0), left_foot=(-40, 0, 0), right_foot=(-40, 0, 0), **ARMS_DOWN
    )
    assert not find_footing(BODY.points(tiptoe[None])).flat.any()
    assert satisfied(["sole(left_ankle) > 30", "sole(right_ankle) > 30"], BODY.points(settle(tiptoe)[None])).all()


def test_feet_at_two_heights_come_to_one():
    uneven = turned(left_hip=(-15, 0, 0), left_knee=(30, 0, 0), left_ankle=(-15, 0, 0), **ARMS_DOWN)
    heels = "abs(y(left_heel) - y(right_heel))"
    assert value(heels, uneven) > 0.02
    assert value(heels, settle(uneven)) < 0.008


def test_the_weight_comes_over_the_feet():
    leaning = turned(pelvis=(-8, 0, 0), left_ankle=(8, 0, 0), right_ankle=(8, 0, 0), **ARMS_DOWN)
    settled = settle(leaning)
    assert float(off_balance(BODY.points(leaning[None]))) > 0.02
    assert float(off_balance(BODY.points(settled[None]))) < 0.01


def test_a_body_that_would_fall_on_its_hands_stands_on_them():
    points = BODY.points(turned(**PLANK)[None])
    palms = [POINT_INDEX["left_palm"], POINT_INDEX["right_palm"]]
    settled = settle(turned(**PLANK))
    assert find_footing(points).falls.all()
    assert clearance(points)[0, palms].max() > 0.06
    assert clearance(BODY.points(settled[None]))[0, palms].max() < 0.015
    assert float(off_balance(BODY.points(settled[None]))) == 0


def test_who_sits_on_a_chair_or_flies_does_not_fall():
    for pose in (turned(**CHAIR), turned(left_hip=(-90, 0, 0), left_knee=(20, 0, 0), right_hip=(40, 0, 0))):
        footing = find_footing(BODY.points(pose[None]))
        assert not footing.falls.any()
        assert not footing.steady.any()


def test_limbs_that_go_through_each_other_are_pushed_apart():
    pressed = turned(left_shoulder=(0, 0, -110), right_shoulder=(0, 0, 80))
    assert value("overlap()", pressed) > 0.15
    assert value("overlap()", settle(pressed)) < 0.05


def test_a_settled_pose_is_settled():
    once = settle(random_poses(40, seed=1))
    again = settle(once)
    distance = (BODY.joints(once) - BODY.joints(again)).norm(dim=-1).mean(dim=1)
    assert distance.median() < 0.002


def test_each_pose_settles_as_it_would_alone():
    poses = torch.stack([turned(**PLANK), turned(), turned(left_ankle=(0, 0, 20)), *random_poses(5, seed=2)])
    together = settle(poses)
    for pose, settled in zip(poses, together, strict=True):
        torch.testing.assert_close(settle(pose), settled, atol=1e-5, rtol=0)


def test_any_pose_and_shape_is_taken():
    poses = torch.randn(2, 3, 22, 3, generator=torch.Generator().manual_seed(0)) * math.pi
    settled = settle(poses)
    assert settled.shape == poses.shape
    assert settled.dtype == poses.dtype
    assert settled.isfinite().all()
    assert settle(torch.zeros(0, 22, 3)).shape == (0, 22, 3)


def test_what_is_stated_comes_true_and_the_rest_stays():
    stands = turned(**ARMS_DOWN)
    checks = ["abs(angle(left_elbow) - 90) < 10", "y(left_wrist) > y(left_elbow)"]
    settled = settle(stands, checks)
    assert satisfied(checks, BODY.points(settled[None])).all()
    others = [joint for joint in range(22) if joint not in ARM]
    torch.testing.assert_close(settled[others], stands[others], atol=0.1, rtol=0)


def test_a_foot_that_is_to_be_lifted_is_off_the_floor_and_the_body_stands_on_the_other():
    checks = ["height(right_foot) > 0.15"]
    points = BODY.points(settle(turned(**ARMS_DOWN), checks)[None])
    assert satisfied(checks, points).all()
    assert float(off_balance(points)) < 0.06


def test_what_holds_already_changes_nothing():
    poses = torch.stack([turned(**ARMS_DOWN), turned(left_ankle=(0, 0, 20))])
    torch.testing.assert_close(settle(poses, ["angle(left_knee) > 150"]), settle(poses))


def test_what_cannot_be_met_leaves_the_pose_as_it_settles():
    stands = turned(**ARMS_DOWN)
    impossible = ["angle(left_elbow) < 60", "angle(left_elbow) > 120"]
    torch.testing.assert_close(settle(stands, impossible), settle(stands))


@pytest.mark.parametrize("seed", range(3))
def test_captions_come_true_from_any_pose(seed):
    poses = random_poses(2, seed=seed)
    said = caption(BODY.points(settle(poses[:1])), seed=seed)[0]
    before, after = poses[1:], settle(poses[1:], said.checks)
    shares = [float(satisfied(said.checks, BODY.points(each)).float().mean()) for each in (before, after)]
    assert shares[1] >= max(shares[0], 0.8)


def test_what_is_lowest_rises_from_the_floor():
    stands = turned(**ARMS_DOWN, right_ankle=(3, 0, 0))  # the left foot is the lower one
    checks = ["min(height(left_foot), height(left_ankle)) > 0.15"]
    assert satisfied(checks, BODY.points(settle(stands, checks)[None])).all()


@pytest.mark.parametrize(
    "check",
    [
        "angle(left_elbow) < 100 and y(left_wrist) > y(head) and left(left_elbow, left_shoulder) > 0.1",
        "either_side(abs(angle(left_elbow) - 90) < 10, angle(right_elbow) > 155, y(left_wrist) > y(head))",
    ],
)
def test_all_that_a_check_joins_comes_true(check):
    poses = torch.stack([turned(**ARMS_DOWN), turned(**ARMS_DOWN, right_elbow=(0, 95, 0))])
    assert satisfied([check], BODY.points(settle(poses, [check]))).all()


def test_what_cannot_be_reached_is_come_nearer_to():
    stands = turned(**ARMS_DOWN)
    far = ["front(left_wrist, left_shoulder) > 0.9"]  # longer than the arm
    assert value("front(left_wrist, left_shoulder)", settle(stands, far)) > 0.3


@pytest.mark.parametrize(
    ("check", "heading"),
    [("abs(turn()) > 145 and lean() < 60", 180), ("65 < turn() < 115", 90), ("abs(turn() + 45) + 6.0 < 15", -45)],
)
def test_who_faces_another_way_is_turned_as_a_whole(check, heading):
    stands = turned(**ARMS_DOWN)
    faces = settle(stands, [check])
    assert math.cos(math.radians(value("turn()", faces) - heading)) > math.cos(math.radians(6))
    assert torch.allclose(faces[1:], settle(stands)[1:], atol=0.02)
