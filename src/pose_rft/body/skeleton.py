"""SMPL's 22 body joints: names, tree, left-right pairs and forward kinematics.

Conventions of the whole project: y is up, the rest pose is a T-pose that faces +z, the body's left is +x; metres and
radians. Joint order and tree are those of SMPL (Loper et al., SIGGRAPH Asia 2015) without the two hand joints.
"""

from itertools import pairwise

import roma
import torch
from torch import Tensor

JOINT_NAMES = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
NUM_JOINTS = len(JOINT_NAMES)
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
# The joints come in order of depth, so each generation of the tree is a slice whose parents all lie in the one before.
GENERATIONS = ((0, 1), (1, 4), (4, 7), (7, 10), (10, 15), (15, 18), (18, 20), (20, 22))
JOINT_INDEX = {name: index for index, name in enumerate(JOINT_NAMES)}


def mirrored_name(name: str) -> str:
    """The joint on the other side of the body; joints on the midline are their own mirror."""
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    if name.startswith("right_"):
        return "left_" + name.removeprefix("right_")
    return name


MIRROR = tuple(JOINT_INDEX[mirrored_name(name)] for name in JOINT_NAMES)


def mirror_pose(pose: Tensor) -> Tensor:
    """Reflect poses in the body's left-right plane (x = 0).

    Args:
        pose: (..., 22, 3) axis-angle, radians.

    Returns:
        (..., 22, 3): left and right exchanged; a rotation vector keeps x and changes the sign of y and z.
    """
    return pose[..., list(MIRROR), :] * pose.new_tensor([1.0, -1.0, -1.0])


def mean_pose(poses: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean of poses, joint by joint: the rotation nearest to the average rotation matrix.

    Args:
        poses: (P, ..., 22, 3) axis-angle, radians.
        weights: (P,) summing to 1; None weighs all alike.

    Returns:
        (..., 22, 3).
    """
    rotations = roma.rotvec_to_rotmat(poses)
    average = rotations.mean(dim=0) if weights is None else torch.tensordot(weights.to(rotations), rotations, dims=1)
    mean: Tensor = roma.rotmat_to_rotvec(roma.special_procrustes(average))
    return mean


def forward_kinematics(rotations: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Joint positions and global rotations of a posed skeleton.

    Args:
        rotations: (..., 22, 3, 3) rotation of every joint relative to its parent; joint 0 relative to the world.
        offsets: (22, 3) or (..., 22, 3) position of every joint relative to its parent at rest, metres
            (joint 0: position of the pelvis).

    Returns:
        positions (..., 22, 3) in metres and global rotations (..., 22, 3, 3).
    """
    if rotations.shape[-3:] != (NUM_JOINTS, 3, 3):
        raise ValueError(f"rotations must end in (22, 3, 3), not {tuple(rotations.shape)}")
    offsets = offsets.expand(*rotations.shape[:-3], NUM_JOINTS, 3)
    orientation = [rotations[..., :1, :, :]]
    position = [offsets[..., :1, :]]
    for (before, _), (first, last) in pairwise(GENERATIONS):
        parents = [PARENTS[joint] - before for joint in range(first, last)]
        parent = orientation[-1][..., parents, :, :]
        orientation.append(parent @ rotations[..., first:last, :, :])
        moved = (parent * offsets[..., first:last, None, :]).sum(-1)
        position.append(position[-1][..., parents, :] + moved)
    return torch.cat(position, dim=-2), torch.cat(orientation, dim=-3)
