"""Unusual but human poses from usual ones, so that captions get to see diverse bodies."""

import numpy as np
import roma
import torch
from torch import Tensor

from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, mirror_pose

LEGS = [JOINT_INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("hip", "knee", "ankle", "foot")]
UPPER = [i for i, name in enumerate(JOINT_NAMES) if i not in LEGS and name != "pelvis"]
HEAD = [JOINT_INDEX["neck"], JOINT_INDEX["head"]]
ARMS = {
    side: [JOINT_INDEX[f"{side}_{part}"] for part in ("collar", "shoulder", "elbow", "wrist")]
    for side in ("left", "right")
}
# How much a joint trembles, relative to hips, shoulders and elbows; radians are drawn per pose.
LOOSENESS = torch.ones(22)
for _name in ("spine1", "spine2", "spine3", "left_collar", "right_collar", "left_foot", "right_foot"):
    LOOSENESS[JOINT_INDEX[_name]] = 0.35
for _name in ("pelvis", "neck", "head", "left_ankle", "right_ankle"):
    LOOSENESS[JOINT_INDEX[_name]] = 0.6
MAX_TREMBLE = 0.22  # radians
HINGES = [JOINT_INDEX[f"{side}_knee"] for side in ("left", "right")]


def mixed_poses(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mix pairs of poses: as they are, half and half, one arm or the head of the other, or something in between.

    Args:
        first, second: (N, 22, 3) axis-angle, radians.
        rng: decides how each pair is mixed; half of the results are mirrored, and most tremble a little in all joints.

    Returns:
        (N, 22, 3) float32.
    """
    one, other = torch.from_numpy(first).float().clone(), torch.from_numpy(second).float()
    n = len(one)
    kind = torch.from_numpy(rng.choice(5, size=n, p=[0.35, 0.22, 0.13, 0.08, 0.22]))
    for value, joints in ((1, UPPER), (2, ARMS["left"]), (3, HEAD)):
        rows = torch.nonzero(kind == value)
        one[rows, torch.tensor(joints)] = other[rows, torch.tensor(joints)]
    between = kind == 4
    share = torch.from_numpy(rng.uniform(0.2, 0.8, size=(int(between.sum()), 1, 1))).float()
    one[between] = interpolated(one[between], other[between], share)
    size = torch.from_numpy(rng.uniform(0, MAX_TREMBLE, size=(n, 1, 1)) * (rng.random((n, 1, 1)) < 0.7)).float()
    noise = size * LOOSENESS[:, None] * torch.from_numpy(rng.normal(size=(n, 22, 3)).clip(-2, 2)).float()
    noise[:, HINGES, 1:] *= 0.3  # knees bend about one axis
    one = roma.rotvec_composition([one, noise])
    mirrored = torch.from_numpy(rng.random(n) < 0.5)
    one[mirrored] = mirror_pose(one[mirrored])
    return one.numpy()


def interpolated(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """The pose on the shortest way from `first` to `second`, joint by joint; share 0 is `first`. All (N, 22, 3)."""
    turn = roma.rotvec_composition([roma.rotvec_inverse(first), second])
    return roma.rotvec_composition([first, share * turn])
