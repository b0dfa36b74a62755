"""How far two poses are from each other: pure functions on joints, metres, any leading dimensions."""

import roma
import torch
from torch import Tensor

from pose_rft.body.skeleton import JOINT_INDEX

PELVIS = JOINT_INDEX["pelvis"]


def _same_shape(predicted: Tensor, target: Tensor) -> None:
    if predicted.shape != target.shape or predicted.shape[-1] != 3:
        raise ValueError(f"two sets (..., J, 3) of equal shape, not {tuple(predicted.shape)} and {tuple(target.shape)}")


def root_aligned(joints: Tensor) -> Tensor:
    """Joints (..., J, 3) moved so that the pelvis, joint 0, is at the origin."""
    return joints - joints[..., PELVIS : PELVIS + 1, :]


def mpjpe(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean per-joint position error with the pelvises laid on each other, (..., J, 3) twice -> (...).

    Source: Ionescu et al., Human3.6M (PAMI 2014), eq. 8, with the root alignment that its users apply.
    """
    _same_shape(predicted, target)
    return (root_aligned(predicted) - root_aligned(target)).norm(dim=-1).mean(dim=-1)


def pa_mpjpe(predicted: Tensor, target: Tensor, scale: bool = True) -> Tensor:
    """Mean per-joint error after the best rotation, translation and scale (Procrustes), (..., J, 3) twice -> (...).

    "Best" is in the sense of least squares (Umeyama, PAMI 1991), no reflection; computed in float64. Gradients hold
    the alignment still.

    Args:
        scale: False keeps the size of the predicted body.
    """
    _same_shape(predicted, target)
    source, goal = predicted.double(), target.double()
    with torch.no_grad():
        rotation, shift, *scales = roma.rigid_points_registration(source, goal, compute_scaling=scale)
    turned = source @ rotation.transpose(-1, -2)
    aligned = (scales[0][..., None, None] * turned if scales else turned) + shift.unsqueeze(-2)
    return (aligned - goal).norm(dim=-1).mean(dim=-1).to(predicted.dtype)


def pve(predicted_vertices: Tensor, target_vertices: Tensor, predicted_pelvis: Tensor, target_pelvis: Tensor) -> Tensor:
    """Mean per-vertex error with the pelvises laid on each other.

    Args:
        predicted_vertices, target_vertices: (..., V, 3) metres.
        predicted_pelvis, target_pelvis: (..., 3) metres.

    Returns:
        (...) metres. Source: Pavlakos et al., "Learning to estimate 3D human pose and shape" (CVPR 2018).
    """
    _same_shape(predicted_vertices, target_vertices)
    moved = predicted_vertices - predicted_pelvis.unsqueeze(-2)
    return (moved - (target_vertices - target_pelvis.unsqueeze(-2))).norm(dim=-1).mean(dim=-1)


def acceleration_error(predicted: Tensor, target: Tensor, fps: float) -> Tensor:
    """How differently two recordings accelerate: mean distance of their joints' accelerations.

    Args:
        predicted, target: (..., T, J, 3) metres, T frames one after the other in one frame of reference.
        fps: frames a second.

    Returns:
        (...) metres per square second. Source: Kanazawa et al., "Learning 3D human dynamics from video" (CVPR 2019),
        whose code takes second differences: that is ``fps=1``, millimetres per square frame.

    Raises:
        ValueError: fewer than three frames.
    """
    _same_shape(predicted, target)
    if predicted.shape[-3] < 3:
        raise ValueError("an acceleration needs at least three frames")
    difference = (predicted - target).diff(n=2, dim=-3)
    return fps**2 * difference.norm(dim=-1).mean(dim=(-1, -2))
