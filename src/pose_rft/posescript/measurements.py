"""Quantities read off the joints of a pose: the nouns of the check language (``pose_rft.posescript.checks``).

Every quantity is one number per pose, in metres or degrees. ``docs/posescript.md`` holds the table.

Two frames beside the world's (y up, z where an unturned body faces, x its left):

- the *torso's frame* - ``up`` from pelvis to neck; ``left`` across hips and shoulders, made orthogonal to ``up``;
  ``front = left x up``. It leans, bends and lies down with the torso, so nothing flips when a body bends forward.
- the *heading* - where the hips would face if the torso were set upright by the shortest rotation (swing-twist
  decomposition). Unlike a projection onto the floor it is defined for every torso but one hanging straight upside down.
"""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, PARENTS
from pose_rft.posescript.body_parts import PARTS, Axis, axes, gap

EPSILON = 1e-8


def _unit(vectors: Tensor) -> Tensor:
    """(N, 3) -> (N, 3) of length one; a zero vector stays zero."""
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(EPSILON)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """(N, 3), (N, 3) -> (N,)"""
    return (a * b).sum(dim=-1)


def _degrees_between(a: Tensor, b: Tensor) -> Tensor:
    """Angle between vectors, (N, 3), (N, 3) -> (N,) degrees in 0..180; exact near 0 and 180, unlike an arc cosine."""
    a, b = _unit(a), _unit(b)
    return torch.rad2deg(torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), _dot(a, b)))


class Measurements:
    """All quantities of one batch of poses, each computed at most once.

    Args:
        joints: (N, 22, 3) positions in metres, SMPL order, y up.
    """

    def __init__(self, joints: Tensor):
        self.joints = joints
        self._known: dict[tuple[str, ...], Tensor] = {}

    def measure(self, function: str, names: tuple[str, ...]) -> Tensor:
        """The value (N,) of one quantity, e.g. ``measure("angle", ("left_knee",))``."""
        key = (function, *names)
        if key not in self._known:
            self._known[key] = QUANTITIES[function].compute(self, *names)
        return self._known[key]

    def position(self, name: str) -> Tensor:
        """(N, 3)"""
        return self.joints[:, JOINT_INDEX[name]]

    def vector(self, start: str, end: str) -> Tensor:
        """From one joint to another, (N, 3)."""
        return self.position(end) - self.position(start)

    @cached_property
    def up(self) -> Tensor:
        """The torso's axis from pelvis to neck, (N, 3), unit length."""
        return _unit(self.vector("pelvis", "neck"))

    def _across(self, axis: Tensor) -> Tensor:
        """The part of ``axis`` at right angles to the torso, (N, 3), unit length."""
        return _unit(axis - _dot(axis, self.up).unsqueeze(-1) * self.up)

    @cached_property
    def left(self) -> Tensor:
        """Across hips and shoulders alike, at right angles to the torso, (N, 3), unit length."""
        hips, shoulders = self.vector("right_hip", "left_hip"), self.vector("right_shoulder", "left_shoulder")
        return self._across(_unit(hips) + _unit(shoulders))

    @cached_property
    def front(self) -> Tensor:
        """Where the chest faces, (N, 3), unit length."""
        return torch.linalg.cross(self.left, self.up)

    @cached_property
    def axes(self) -> dict[str, Axis]:
        """The middles of the parts of the body, for ``gap``."""
        return axes(self.joints, self.front)

    @cached_property
    def floor(self) -> Tensor:
        """Height of the lowest joint, (N,)."""
        return self.joints[..., 1].amin(dim=-1)

    @cached_property
    def heading(self) -> tuple[Tensor, Tensor]:
        """Horizontal unit vectors (x, z) to the front and to the left of the hips, (N, 2) each.

        The shortest rotation that takes ``up`` to the vertical y takes a vector v at right angles to ``up`` to
        v - (v.y) / (1 + up.y) (up + y).
        """
        hips = self._across(self.vector("right_hip", "left_hip"))
        drop = hips[:, 1] / (1 + self.up[:, 1]).clamp_min(EPSILON)
        left = _unit(hips[:, [0, 2]] - drop.unsqueeze(-1) * self.up[:, [0, 2]])
        return torch.stack([-left[:, 1], left[:, 0]], dim=-1), left

    @cached_property
    def leaning(self) -> tuple[Tensor, Tensor]:
        """Lean forward (+) / backward (-) and left (+) / right (-): the lean shared out by its direction, (N,) each."""
        direction = _unit(self.up[:, [0, 2]])
        front, left = self.heading
        lean = self.measure("lean", ())
        return lean * _dot(direction, front), lean * _dot(direction, left)


def _lean(m: Measurements) -> Tensor:
    return _degrees_between(m.up, torch.tensor([0.0, 1.0, 0.0], dtype=m.up.dtype, device=m.up.device).expand_as(m.up))


def _tilt(m: Measurements, start: str, end: str) -> Tensor:
    segment = m.vector(start, end)
    return torch.rad2deg(torch.atan2(segment[:, [0, 2]].norm(dim=-1), segment[:, 1]))


def _turn(m: Measurements) -> Tensor:
    front, _ = m.heading
    return torch.rad2deg(torch.atan2(front[:, 0], front[:, 1]))


# The joint at the far end of the bone that an angle is measured against; head, wrists and feet end the tree.
CHILD = {"spine1": "spine2", "spine2": "spine3", "spine3": "neck", "neck": "head"} | {
    f"{side}_{joint}": f"{side}_{child}"
    for side in ("left", "right")
    for joint, child in (
        ("hip", "knee"),
        ("knee", "ankle"),
        ("ankle", "foot"),
        ("collar", "shoulder"),
        ("shoulder", "elbow"),
        ("elbow", "wrist"),
    )
}
ANGLED_JOINTS = tuple(name for name in JOINT_NAMES if name in CHILD)


def _angle(m: Measurements, name: str) -> Tensor:
    child = m.vector(name, CHILD[name])
    if name.endswith("_hip"):
        return _degrees_between(m.up, child)
    if name.endswith("_shoulder"):
        return _degrees_between(-m.up, child)
    return _degrees_between(m.vector(name, JOINT_NAMES[PARENTS[JOINT_INDEX[name]]]), child)


def _along(axis: Callable[[Measurements], Tensor]) -> Callable[..., Tensor]:
    return lambda m, name, origin="pelvis": _dot(m.vector(origin, name), axis(m))


def _over_ground(side: int) -> Callable[..., Tensor]:
    """Along the heading: 0 = to the front of the hips, 1 = to their left."""
    return lambda m, name, origin="pelvis": _dot(m.vector(origin, name)[:, [0, 2]], m.heading[side])


class Quantity(NamedTuple):
    """A function of the check language: how many names it takes, how it is computed, what a mirror does to it."""

    arity: tuple[int, ...]
    compute: Callable[..., Tensor]
    odd: bool = False  # its sign changes when left and right are exchanged
    of: str = "joint"  # what its names are names of
    names: tuple[str, ...] = JOINT_NAMES


QUANTITIES: dict[str, Quantity] = {
    "x": Quantity((1,), lambda m, name: m.position(name)[:, 0], odd=True),
    "y": Quantity((1,), lambda m, name: m.position(name)[:, 1]),
    "z": Quantity((1,), lambda m, name: m.position(name)[:, 2]),
    "height": Quantity((1,), lambda m, name: m.position(name)[:, 1] - m.floor),
    "angle": Quantity((1,), _angle),
    "distance": Quantity((2,), lambda m, start, end: m.vector(start, end).norm(dim=-1)),
    "gap": Quantity((2,), lambda m, one, other: gap(one, other, m.axes), of="part", names=tuple(PARTS)),
    "front": Quantity((1, 2), _along(lambda m: m.front)),
    "left": Quantity((1, 2), _along(lambda m: m.left), odd=True),
    "up": Quantity((1, 2), _along(lambda m: m.up)),
    "ahead": Quantity((1, 2), _over_ground(0)),
    "aside": Quantity((1, 2), _over_ground(1), odd=True),
    "lean": Quantity((0,), _lean),
    "pitch": Quantity((0,), lambda m: m.leaning[0]),
    "roll": Quantity((0,), lambda m: m.leaning[1], odd=True),
    "turn": Quantity((0,), _turn, odd=True),
    "tilt": Quantity((2,), _tilt),
}
