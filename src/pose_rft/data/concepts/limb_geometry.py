"""Rotations of two-bone limbs: from directions of the bones, and from a place that the end should reach.

All functions are batched over N samples; directions are unit vectors (N, 3), rotations are matrices (N, 3, 3).
"""

import math

import torch
from torch import Tensor


def unit(vector: Tensor) -> Tensor:
    """Vectors (..., 3) scaled to length 1; the zero vector stays finite."""
    return vector / vector.norm(dim=-1, keepdim=True).clamp_min(1e-8)


def about(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotation matrices (N, 3, 3) about unit axes (N, 3) or (3,) by `angle` (N,) radians (Rodrigues' formula)."""
    x, y, z = axis.expand(len(angle), 3).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).view(-1, 3, 3)
    s, c = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return torch.eye(3) + s * cross + (1 - c) * (cross @ cross)


def arc(start: Tensor, end: Tensor) -> Tensor:
    """The shortest rotation (N, 3, 3) that takes unit vectors `start` to `end`, (N, 3) or (3,) each."""
    start, end = torch.broadcast_tensors(start, end)
    cross = torch.linalg.cross(start, end)
    sine, cosine = cross.norm(dim=-1), (start * end).sum(-1)
    # Opposite directions: any axis across will do; x or z, whichever is farther from the direction.
    fallback = torch.linalg.cross(
        start, torch.where(start[:, :1].abs() < 0.7, torch.tensor([1.0, 0, 0]), torch.tensor([0, 0, 1.0]))
    )
    axis = unit(torch.where(sine[:, None] > 1e-5, cross, fallback))
    return about(axis, torch.atan2(sine, cosine))


def frame(first: Tensor, second: Tensor) -> Tensor:
    """Right-handed orthonormal frames (N, 3, 3): columns `first`, `second` made perpendicular, and their cross."""
    x = unit(first)
    y = unit(second - (second * x).sum(-1, keepdim=True) * x)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """Angles (N,) in radians between unit vectors (N, 3)."""
    return torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), (a * b).sum(-1))


def rotate(matrix: Tensor, vector: Tensor) -> Tensor:
    """Apply rotations (N, 3, 3) to vectors (N, 3) or (3,)."""
    return (matrix @ vector.expand(len(matrix), 3).unsqueeze(-1)).squeeze(-1)


def limb_rotations(
    rest: tuple[Tensor, Tensor],
    hinge: Tensor,
    upper: Tensor,
    lower: Tensor | None,
    flexion: Tensor,
    twist_limits: tuple[Tensor, Tensor],
    max_flexion: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Rotations of shoulder and elbow (or hip and knee), in the frame in which the directions are given.

    The upper bone swings by the shortest arc and then twists about itself so that the joint's hinge stands across the
    plane in which the limb is bent; the twist is held within human limits, and the lower bone with it.

    Args:
        rest: directions (3,) of the upper and lower bone in the rest pose.
        hinge: (3,) axis about which the elbow or knee flexes in the rest pose (right-handed).
        upper: (N, 3) where the upper bone points.
        lower: (N, 3) where the lower bone points, or None: `flexion` in the plane of the untwisted hinge.
        flexion: (N,) radians, used if `lower` is None.
        twist_limits: lowest and highest twist (N,) about the upper bone, radians.
        max_flexion: radians.

    Returns:
        global rotations (N, 3, 3) of the upper and lower bone, and the lower bone's direction (N, 3) as it came out.
    """
    swing = arc(rest[0], upper)
    untwisted = rotate(swing, hinge)
    if lower is None:
        twist = torch.zeros_like(flexion)
        normal = untwisted
        lower = rotate(about(normal, flexion), upper)
    else:
        cross = torch.linalg.cross(upper, lower)
        # An almost straight or wholly folded limb shows no plane: lean towards the untwisted hinge.
        folded = (upper * lower).sum(-1, keepdim=True) < -0.85
        wanted = cross + torch.where(folded, 0.6, 0.12) * untwisted
        wanted = unit(wanted - (wanted * upper).sum(-1, keepdim=True) * upper)
        side = torch.linalg.cross(upper, untwisted)
        full = torch.atan2((wanted * side).sum(-1), (wanted * untwisted).sum(-1))
        # The twist's range is not centred on zero: measure it from the range's middle.
        middle = (twist_limits[0] + twist_limits[1]) / 2
        full = middle + torch.remainder(full - middle + math.pi, 2 * math.pi) - math.pi
        twist = torch.minimum(torch.maximum(full, twist_limits[0]), twist_limits[1])
        lower = rotate(about(upper, twist - full), lower)
        normal = rotate(about(upper, twist), untwisted)
        angle = angle_between(upper, lower)
        lower = rotate(about(unit(torch.linalg.cross(upper, lower)), angle.clamp(max=max_flexion) - angle), lower)
    upper_rotation = about(upper, twist) @ swing
    lower_rotation = arc(rotate(upper_rotation, rest[1]), lower) @ upper_rotation
    return upper_rotation, lower_rotation, lower


def reach(
    start: Tensor, target: Tensor, pole: Tensor, upper: float, lower: float, max_flexion: float
) -> tuple[Tensor, Tensor]:
    """Analytic two-bone inverse kinematics.

    Args:
        start, target: (N, 3) where the limb begins and where its end should be, metres.
        pole: (N, 3) the side to which the middle joint points.
        upper, lower: lengths of the bones, metres.
        max_flexion: radians.

    Returns:
        directions (N, 3) of the upper and the lower bone; a target out of reach is approached as far as possible.
    """
    to_target = target - start
    nearest = math.sqrt(upper**2 + lower**2 + 2 * upper * lower * math.cos(max_flexion))
    distance = to_target.norm(dim=-1).clamp(nearest, 0.998 * (upper + lower))
    straight = unit(to_target)
    across = unit(pole - (pole * straight).sum(-1, keepdim=True) * straight)
    cosine = ((upper**2 + distance**2 - lower**2) / (2 * upper * distance)).clamp(-1, 1)[:, None]
    first = straight * cosine + across * (1 - cosine**2).sqrt()
    return first, unit(straight * distance[:, None] - upper * first)
