"""How head, chest and feet are turned: rotations read off points that are rigid with them.

A rotation is told by two vectors that it carries along. The chest's are those of its joints (neck and collars hang on
spine3), the head's and the feet's need landmarks (``pose_rft.body.landmarks``).
"""

from functools import cache

import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.landmarks import POINT_INDEX

EPSILON = 1e-8
# Two vectors that are rigid with a part, from one point to another each; not parallel.
CARRIED = {
    "chest": (("spine3", "neck"), ("right_collar", "left_collar")),
    "head": (("head", "crown"), ("head", "face")),
    "left_foot": (("left_ankle", "left_foot"), ("left_ankle", "left_heel")),
    "right_foot": (("right_ankle", "right_foot"), ("right_ankle", "right_heel")),
}


def unit(vectors: Tensor) -> Tensor:
    """(..., 3) -> (..., 3) of length one; a zero vector stays zero."""
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(EPSILON)


def _frame(points: Tensor, part: str) -> Tensor:
    """Orthonormal axes (..., 3, 3), columns, that are rigid with a part; points (..., 32, 3)."""
    first, second = (
        points[..., POINT_INDEX[end], :] - points[..., POINT_INDEX[start], :] for start, end in CARRIED[part]
    )
    along = unit(first)
    across = unit(torch.linalg.cross(first, second))
    return torch.stack([along, across, torch.linalg.cross(across, along)], dim=-1)


@cache
def _at_rest(part: str) -> Tensor:
    """The same of the bundled body in the T-pose, (3, 3)."""
    return _frame(load_body().points(torch.zeros(len(load_body().offsets), 3)), part)


def orientation(points: Tensor, part: str) -> Tensor:
    """The rotation (N, 3, 3) that takes a part from the T-pose to where it is.

    Args:
        points: (N, 32, 3) joints and landmarks, metres.
        part: of ``CARRIED``.
    """
    return _frame(points, part) @ _at_rest(part).to(points).T


def elevation(direction: Tensor) -> Tensor:
    """Degrees (N,) in -90..90 by which directions (N, 3) rise over the xz-plane."""
    return torch.rad2deg(torch.atan2(direction[:, 1], direction[:, [0, 2]].norm(dim=-1)))


def head_against_chest(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Nod (chin down), turn (to the left) and tilt (to the left shoulder) of the head, (N,) degrees each.

    The head's rotation against the chest is a turn about the chest's vertical, then a nod about the head's own
    left-right axis, then a tilt about the axis in which the face looks.
    """
    relative = orientation(points, "chest").transpose(-1, -2) @ orientation(points, "head")
    left, up, face = relative.unbind(dim=-1)  # the head's axes in the chest's frame
    turn = torch.rad2deg(torch.atan2(face[:, 0], face[:, 2]))
    tilt = torch.rad2deg(torch.atan2(-left[:, 1], up[:, 1]))
    return -elevation(face), turn, tilt
