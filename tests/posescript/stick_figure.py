"""A stick figure in a T-pose whose coordinates are round numbers, and poses made with it."""

import numpy as np
import roma
import torch
from torch import Tensor

from pose_rft.body.landmarks import POINT_MIRROR
from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, PARENTS, forward_kinematics

LEFT_HALF = {
    "pelvis": (0, 1, 0),
    "left_hip": (0.1, 0.95, 0),
    "left_knee": (0.1, 0.5, 0),
    "left_ankle": (0.1, 0.1, 0),
    "left_foot": (0.1, 0.0, 0.1),
    "spine1": (0, 1.1, 0),
    "spine2": (0, 1.2, 0),
    "spine3": (0, 1.3, 0),
    "neck": (0, 1.5, 0),
    "left_collar": (0.05, 1.45, 0),
    "head": (0, 1.6, 0),
    "left_shoulder": (0.2, 1.45, 0),
    "left_elbow": (0.45, 1.45, 0),
    "left_wrist": (0.7, 1.45, 0),
}


def t_pose() -> Tensor:
    """(1, 22, 3), metres."""
    rows = []
    for name in JOINT_NAMES:
        x, y, z = LEFT_HALF[name.replace("right_", "left_")]
        rows.append((-x if name.startswith("right_") else x, y, z))
    return torch.tensor([rows], dtype=torch.float32)


def offsets() -> Tensor:
    """(22, 3) each joint relative to its parent."""
    rest = t_pose()[0]
    return torch.stack([rest[j] - rest[p] if p >= 0 else rest[j] for j, p in enumerate(PARENTS)])


def moved(**places: tuple[float, float, float]) -> Tensor:
    """The T-pose with some joints put elsewhere, (1, 22, 3)."""
    joints = t_pose()
    for name, place in places.items():
        joints[0, JOINT_INDEX[name]] = torch.tensor(place, dtype=torch.float32)
    return joints


def posed(poses: Tensor) -> Tensor:
    """(N, 22, 3) axis-angle -> (N, 22, 3) joints."""
    return forward_kinematics(roma.rotvec_to_rotmat(poses), offsets())[0]


def turned(joints: Tensor, axis: tuple[float, float, float], degrees: float) -> Tensor:
    """The whole figure rotated rigidly around the origin."""
    rotation = roma.rotvec_to_rotmat(torch.tensor(axis) * np.deg2rad(degrees))
    return joints @ rotation.to(joints).T


def mirror(points: Tensor) -> Tensor:
    """Joints, or joints and landmarks, with left and right exchanged and x reflected."""
    twins = list(POINT_MIRROR[: points.shape[1]])
    return points[:, twins] * points.new_tensor([-1.0, 1.0, 1.0])


def random_joints(count: int, seed: int, spread: float = 0.6) -> Tensor:
    """Joints of the stick figure in ``random_poses``."""
    return posed(random_poses(count, seed, spread))


def random_poses(count: int, seed: int, spread: float = 0.6) -> Tensor:
    """(N, 22, 3) axis-angle: noise on every joint around standing, sitting, arms down, arms up and bent over."""
    generator = torch.Generator().manual_seed(seed)
    poses = torch.zeros(count, 22, 3)
    kind = torch.randint(0, 5, (count,), generator=generator)
    hips, knees = (
        [JOINT_INDEX[f"{s}_hip"] for s in ("left", "right")],
        [JOINT_INDEX[f"{s}_knee"] for s in ("left", "right")],
    )
    left, right = JOINT_INDEX["left_shoulder"], JOINT_INDEX["right_shoulder"]
    for joint in hips:
        poses[kind == 1, joint, 0] = -1.5
    for joint in knees:
        poses[kind == 1, joint, 0] = 1.5
    for value, lift in ((0, -1.3), (1, -1.0), (2, -1.3), (3, 1.3)):
        poses[kind == value, left, 2] = lift
        poses[kind == value, right, 2] = -lift
    poses[kind == 4, JOINT_INDEX["spine1"], 0] = 1.0
    poses += spread * torch.randn(count, 22, 3, generator=generator) * torch.rand(count, 1, 1, generator=generator)
    poses[:, 0] = torch.randn(count, 3, generator=generator) * 0.5
    tumbled = torch.rand(count, generator=generator) < 0.15
    poses[tumbled, 0] = 1.5 * torch.randn(int(tumbled.sum()), 3, generator=generator)
    return poses
