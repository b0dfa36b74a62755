import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_rft.body import load_body
from pose_rft.body.skeleton import (
    GENERATIONS,
    JOINT_INDEX,
    JOINT_NAMES,
    MIRROR,
    NUM_JOINTS,
    PARENTS,
    forward_kinematics,
    mirror_pose,
)


def random_pose(seed: int, *batch: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*batch, NUM_JOINTS, 3, generator=generator, dtype=dtype)


def test_every_generation_descends_from_the_one_before() -> None:
    depth = [0]
    for joint in range(1, NUM_JOINTS):
        depth.append(depth[PARENTS[joint]] + 1)
    assert depth == [generation for generation, (first, last) in enumerate(GENERATIONS) for _ in range(first, last)]


def test_mirroring_swaps_left_and_right_and_keeps_the_midline() -> None:
    assert JOINT_NAMES[MIRROR[JOINT_INDEX["left_knee"]]] == "right_knee"
    assert MIRROR[JOINT_INDEX["spine3"]] == JOINT_INDEX["spine3"]
    assert all(MIRROR[MIRROR[joint]] == joint for joint in range(NUM_JOINTS))


def test_without_rotation_joints_are_sums_of_offsets() -> None:
    offsets = torch.arange(66.0, dtype=torch.float64).reshape(22, 3)
    positions, _ = forward_kinematics(torch.eye(3, dtype=torch.float64).expand(22, 3, 3), offsets)
    chain = ["pelvis", "spine1", "spine2", "spine3", "left_collar", "left_shoulder", "left_elbow", "left_wrist"]
    expected = sum(offsets[JOINT_INDEX[name]] for name in chain)
    torch.testing.assert_close(positions[JOINT_INDEX["left_wrist"]], expected)


def test_an_elbow_turned_forward_moves_the_wrist_forward_only() -> None:
    # Offsets of a unit skeleton: the left forearm is 1 m along +x. Turning the elbow by -90 degrees about y
    # takes +x to +z, so the wrist leaves (x + 1, y, z) for (x, y, z + 1).
    offsets = torch.zeros(22, 3, dtype=torch.float64)
    offsets[JOINT_INDEX["left_wrist"], 0] = 1.0
    pose = torch.zeros(22, 3, dtype=torch.float64)
    pose[JOINT_INDEX["left_elbow"], 1] = -torch.pi / 2
    positions, _ = forward_kinematics(roma.rotvec_to_rotmat(pose), offsets)
    torch.testing.assert_close(positions[JOINT_INDEX["left_wrist"]], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_batched_kinematics_equal_a_walk_joint_by_joint(seed: int) -> None:
    rotations = roma.rotvec_to_rotmat(random_pose(seed, 3))
    offsets = random_pose(seed + 1)
    positions, world = forward_kinematics(rotations, offsets)
    for person in range(3):
        walked = [(offsets[0], rotations[person, 0])]
        for joint in range(1, NUM_JOINTS):
            place, turn = walked[PARENTS[joint]]
            walked.append((place + turn @ offsets[joint], turn @ rotations[person, joint]))
        torch.testing.assert_close(positions[person], torch.stack([place for place, _ in walked]))
        torch.testing.assert_close(world[person], torch.stack([turn for _, turn in walked]))


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_mirrored_pose_has_mirrored_joints(seed: int) -> None:
    pose = random_pose(seed, dtype=torch.float32)
    body = load_body()
    expected = body.joints(pose)[list(MIRROR)] * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(body.joints(mirror_pose(pose)), expected, atol=1e-5, rtol=0)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_mirroring_twice_gives_the_pose_back(seed: int) -> None:
    pose = random_pose(seed)
    torch.testing.assert_close(mirror_pose(mirror_pose(pose)), pose, atol=0, rtol=0)


def test_rotations_of_another_skeleton_are_refused() -> None:
    with pytest.raises(ValueError, match=r"22, 3, 3"):
        forward_kinematics(torch.eye(3).expand(24, 3, 3), torch.zeros(22, 3))
