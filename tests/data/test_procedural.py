from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX, mean_pose, mirror_pose
from pose_rft.data.concepts.landmarks import LANDMARKS
from pose_rft.data.concepts.pose_language import load_bases, mirrored, parse_pose
from pose_rft.data.concepts.procedural import sample_poses, solve
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.measurements import Measurements
from pose_rft.posescript.plausibility import supporting_soles


def joints(pose: dict, n: int = 64, seed: int = 0) -> torch.Tensor:
    return load_body().joints(torch.from_numpy(sample_poses(parse_pose(pose), n, seed)))


def share(pose: dict, *checks: str) -> float:
    """Share of samples that meet all checks."""
    return satisfied(checks, joints(pose)).all(1).float().mean().item()


def test_the_same_seed_gives_the_same_poses_and_another_seed_others() -> None:
    spec = parse_pose({"base": "squat"})
    first = sample_poses(spec, 5, seed=3)
    assert first.shape == (5, 22, 3)
    assert first.dtype == np.float32
    assert np.array_equal(first, sample_poses(spec, 5, seed=3))
    assert not np.allclose(first, sample_poses(spec, 5, seed=4))


@pytest.mark.parametrize("base", sorted(load_bases()))
def test_knees_and_elbows_never_bend_backwards(base: str) -> None:
    body = load_body()
    solved = solve(parse_pose({"base": base}), 128, 0)
    _, world = forward(solved.pose, body.offsets)
    position = body.joints(solved.pose)
    for side, knee, ankle, hip in (("left", 4, 7, 1), ("right", 5, 8, 2)):
        thigh, shin = position[:, knee] - position[:, hip], position[:, ankle] - position[:, knee]
        # the knee's axis is the thigh's x: flexion turns the shin backwards about it, so the component is positive
        flexion = (torch.linalg.cross(thigh, shin) * world[:, hip, :, 0]).sum(-1)
        assert (flexion > -0.02).all(), side
    for side, sign, elbow, wrist, shoulder in (("left", -1, 18, 20, 16), ("right", 1, 19, 21, 17)):
        upper, fore = position[:, elbow] - position[:, shoulder], position[:, wrist] - position[:, elbow]
        flexion = sign * (torch.linalg.cross(upper, fore) * world[:, shoulder, :, 1]).sum(-1)
        assert (flexion > -0.01).all(), side


def forward(pose: torch.Tensor, offsets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import roma

    from pose_rft.body.skeleton import forward_kinematics

    return forward_kinematics(roma.rotvec_to_rotmat(pose), offsets)


@pytest.mark.parametrize("base", sorted(load_bases()))
def test_every_stance_is_reachable_and_bendable(base: str) -> None:
    solved = solve(parse_pose({"base": base}), 128, 0)
    assert torch.isfinite(solved.pose).all()
    for limb, miss in solved.miss.items():
        assert miss.mean() < 0.05, limb
    for limb, bent in solved.bent.items():
        assert bent.mean() < 0.35, limb


@pytest.mark.parametrize("base", ["stand", "stand_wide", "lunge_left", "squat", "step_right"])
def test_both_feet_stand_on_the_floor_in_a_standing_stance(base: str) -> None:
    heights = joints({"base": base})[:, [7, 8], 1]
    raised = 0.10 if "lunge" in base else 0.0  # the hind foot of a lunge is on its toes
    assert ((heights[:, 0] - heights[:, 1]).abs() < raised + 0.03).all()


def off_balance_of(pose: dict) -> torch.Tensor:
    """Metres (64,) from the weight to over what the body stands on."""
    points = load_body().points(torch.from_numpy(sample_poses(parse_pose(pose), 64, 0)))
    return Measurements(points).measure("support", ())


@pytest.mark.parametrize(
    "pose",
    [
        {"base": "bend_over"},
        {"base": "squat", "arms": "up"},
        {"base": "stand", "trunk": {"bend": 60}},
        {"base": "stand", "left_leg": {"thigh": "forward", "shin": "down"}},
        {
            "base": "stand",
            "right_leg": {"thigh": "down"},
            "left_leg": {"thigh": "back", "shin": "straight"},
            "trunk": {"bend": 80},
        },
    ],
)
def test_who_stands_has_the_weight_over_the_feet(pose: dict) -> None:
    assert (off_balance_of(pose) < 0.06).float().mean() > 0.9


def test_who_runs_need_not_be_in_balance() -> None:
    assert not parse_pose({"base": "squat"}).off_balance
    assert parse_pose({"base": "run_left"}).off_balance
    assert off_balance_of({"base": "run_left"}).max() > 0.06


def test_balancing_turns_the_legs_and_keeps_the_soles_on_the_floor() -> None:
    spec = parse_pose({"base": "stand", "trunk": {"bend": 60}})
    body = load_body()
    balanced, as_solved = (solve(each, 32, 3).pose for each in (spec, replace(spec, off_balance=True)))
    trunk = [JOINT_INDEX[name] for name in ("pelvis", "spine1", "spine2", "spine3")]
    hips = [JOINT_INDEX[f"{side}_hip"] for side in ("left", "right")]
    torch.testing.assert_close(balanced[:, trunk], as_solved[:, trunk])
    assert ((balanced - as_solved)[:, hips].abs().amax(dim=-1) > 0.1).float().mean() > 0.5
    tilt, supports = supporting_soles(body.points(balanced))
    assert supports.all()
    assert (tilt < 12).all()


@pytest.mark.parametrize("name", [n for n in LANDMARKS if n in ("head_top", "mouth", "chest", "hip", "belly", "ear")])
def test_a_hand_at_a_place_within_reach_gets_there(name: str) -> None:
    solved = solve(parse_pose({"left_hand": f"at {name}"}), 64, 0)
    assert solved.miss["left_arm"].max() < 0.01


def test_hands_go_where_the_words_say() -> None:
    assert (
        share({"hands": "at hip"}, "distance(left_wrist, left_hip) < 0.2", "distance(right_wrist, right_hip) < 0.2")
        == 1
    )
    assert share({"left_hand": "at right_shoulder"}, "distance(left_wrist, right_shoulder) < 0.22") == 1
    assert share({"base": "sit_chair", "hands": "at knee"}, "distance(left_wrist, left_knee) < 0.2") == 1
    assert share({"base": "plank"}, "height(left_wrist) < 0.12", "height(right_wrist) < 0.12") > 0.9


@pytest.mark.parametrize(
    "pose",
    [
        {"base": "attention", "arms": "out"},
        {"base": "stand", "hands": "at hip"},
        {"base": "squat", "hands": "at other_shoulder"},
        {"base": "plank"},
    ],
)
def test_limbs_that_do_the_same_vary_alike(pose: dict) -> None:
    points = load_body().points(torch.from_numpy(sample_poses(parse_pose(pose), 64, seed=1)))
    assert satisfied(["asymmetry(arms) < 0.06", "asymmetry(legs) < 0.06"], points).float().mean() > 0.9


def test_a_limb_that_does_something_else_varies_by_itself() -> None:
    points = load_body().points(torch.from_numpy(sample_poses(parse_pose({"left_arm": "out"}), 64, seed=1)))
    reached = Measurements(points).vector("right_shoulder", "right_wrist")
    assert reached.std(dim=0).max() > 0.01


def test_directions_are_in_the_torso_frame_unless_the_world_is_named() -> None:
    lying = {"base": "lie_back", "left_arm": "forward", "right_arm": "world up"}
    assert share(lying, "tilt(left_shoulder, left_wrist) < 25", "tilt(right_shoulder, right_wrist) < 25") == 1
    assert share({"left_arm": "out"}, "left(left_wrist, left_shoulder) > 0.4") == 1
    assert share({"right_arm": "out"}, "left(right_wrist, right_shoulder) < -0.4") == 1


def test_trunk_numbers_mean_degrees_of_the_line_from_pelvis_to_neck() -> None:
    assert share({"trunk": {"bend": [40, 40.1]}}, "32 < pitch() < 48") == 1
    assert share({"trunk": {"bend": [-30, -29.9]}}, "-38 < pitch() < -20") == 1
    assert share({"trunk": {"side": [20, 20.1]}}, "14 < roll() < 26") == 1


def test_a_wrist_bends_the_hand_back_and_a_shoulder_is_pulled_up() -> None:
    points = load_body().points
    held_out = {"arms": "forward", "palms": "down"}
    for wrists, check in ((65, "y(left_fingers) > y(left_wrist) + 0.08"), (-50, "y(left_fingers) < y(left_wrist)")):
        posed = points(torch.from_numpy(sample_poses(parse_pose(held_out | {"wrists": wrists}), 64, 0)))
        both = [check, check.replace("left", "right")]
        assert satisfied(both, posed).all(1).float().mean() > 0.95

    low, high = (
        joints({"arms": "down", "shoulders": degrees})[:, JOINT_INDEX["left_shoulder"], 1] for degrees in (0, 20)
    )
    assert ((high - low) > 0.03).all()


def test_elbow_and_knee_angles_are_interior() -> None:
    assert share({"left_arm": {"upper": "down", "elbow": [89, 91]}}, "85 < angle(left_elbow) < 95") == 1
    assert share({"left_leg": {"thigh": "forward", "knee": [89, 91]}}, "85 < angle(left_knee) < 95") == 1


@pytest.mark.parametrize(
    "pose",
    [
        {"base": "lunge_left", "left_arm": "up", "trunk": {"side": 15, "twist": 10}},
        {"left_hand": "at right_knee", "trunk": {"bend": 45}, "right_arm": {"upper": "left + forward", "fore": "up"}},
        {"base": "half_kneel_left", "head": {"turn": [20, 40]}, "left_foot": "flex"},
        {"left_arm": "forward", "left_palm": "down", "left_wrist": 60, "right_shoulder": 15},
    ],
)
def test_a_mirrored_description_gives_the_mirrored_pose(pose: dict) -> None:
    assert mirrored(mirrored(pose)) == pose
    one = mean_pose(solve(parse_pose(pose), 2000, 0).pose)
    other = mean_pose(solve(parse_pose(mirrored(pose)), 2000, 1).pose)
    # sampling error of the mean of 2,000 samples with ~6 degrees of noise: 0.1 rad / sqrt(2000) = 0.002, times 4
    assert (load_body().joints(mirror_pose(one)) - load_body().joints(other)).abs().max() < 0.015


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(load_bases())),
    st.sampled_from(sorted(LANDMARKS)),
    st.integers(-75, 150),
    st.integers(-50, 50),
    st.integers(0, 10_000),
)
def test_any_combination_of_words_gives_finite_rotations(
    base: str, place: str, bend: int, side: int, seed: int
) -> None:
    pose = {"base": base, "left_hand": f"at right_{place}" if LANDMARKS[place].sided else f"at {place}"}
    poses = sample_poses(parse_pose({**pose, "trunk": {"bend": bend, "side": side}}), 3, seed)
    assert np.isfinite(poses).all()
    assert np.linalg.norm(poses, axis=-1).max() <= np.pi + 1e-4
