"""Quantities read off joints and landmarks of a pose: the nouns of the check language (``pose_rft.posescript.checks``).

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

from pose_rft.body.landmarks import LANDMARKS, NUM_POINTS, POINT_INDEX, POINT_NAMES
from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, MIRROR, NUM_JOINTS, PARENTS, mirrored_name
from pose_rft.errors import UserError
from pose_rft.posescript.balance import off_balance
from pose_rft.posescript.body_parts import PARTS, Axis, axes, gap, overlap
from pose_rft.posescript.orientations import EPSILON, elevation, head_against_chest, orientation, unit


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """(N, 3), (N, 3) -> (N,)"""
    return (a * b).sum(dim=-1)


def _degrees_between(a: Tensor, b: Tensor) -> Tensor:
    """Angle between vectors, (N, 3), (N, 3) -> (N,) degrees in 0..180; exact near 0 and 180, unlike an arc cosine."""
    a, b = unit(a), unit(b)
    return torch.rad2deg(torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), _dot(a, b)))


class Measurements:
    """All quantities of one batch of poses, each computed at most once.

    Args:
        points: (N, 22, 3) joints in metres, SMPL order, y up, or (N, 32, 3) with the landmarks after them, as
            ``BodyModel.points`` returns them; some quantities need these.
    """

    def __init__(self, points: Tensor):
        self.points = points
        self.joints = points[:, :NUM_JOINTS]
        self._known: dict[tuple[str, ...], Tensor] = {}

    def measure(self, function: str, names: tuple[str, ...]) -> Tensor:
        """The value (N,) of one quantity, e.g. ``measure("angle", ("left_knee",))``.

        Raises:
            UserError: it needs landmarks, and only joints are known.
        """
        key = (function, *names)
        if key not in self._known:
            if self.points.shape[1] < NUM_POINTS and (QUANTITIES[function].landmarks or LANDMARKS.keys() & names):
                raise UserError(
                    f"{function}({', '.join(names)}) is not told by 22 joints, as it needs rotations: "
                    "give the 32 points that body.points(poses) returns"
                )
            self._known[key] = QUANTITIES[function].compute(self, *names)
        return self._known[key]

    def position(self, name: str) -> Tensor:
        """Of a joint or landmark, (N, 3)."""
        return self.points[:, POINT_INDEX[name]]

    def vector(self, start: str, end: str) -> Tensor:
        """From one joint or landmark to another, (N, 3)."""
        return self.position(end) - self.position(start)

    @cached_property
    def up(self) -> Tensor:
        """The torso's axis from pelvis to neck, (N, 3), unit length."""
        return unit(self.vector("pelvis", "neck"))

    def _across(self, axis: Tensor) -> Tensor:
        """The part of ``axis`` at right angles to the torso, (N, 3), unit length."""
        return unit(axis - _dot(axis, self.up).unsqueeze(-1) * self.up)

    @cached_property
    def left(self) -> Tensor:
        """Across hips and shoulders alike, at right angles to the torso, (N, 3), unit length."""
        hips, shoulders = self.vector("right_hip", "left_hip"), self.vector("right_shoulder", "left_shoulder")
        return self._across(unit(hips) + unit(shoulders))

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
    def ground(self) -> Tensor:
        """Height of the lowest joint or landmark, (N,)."""
        return self.points[..., 1].amin(dim=-1)

    @cached_property
    def heading(self) -> tuple[Tensor, Tensor]:
        """Horizontal unit vectors (x, z) to the front and to the left of the hips, (N, 2) each.

        The shortest rotation that takes ``up`` to the vertical y takes a vector v at right angles to ``up`` to
        v - (v.y) / (1 + up.y) (up + y).
        """
        hips = self._across(self.vector("right_hip", "left_hip"))
        drop = hips[:, 1] / (1 + self.up[:, 1]).clamp_min(EPSILON)
        left = unit(hips[:, [0, 2]] - drop.unsqueeze(-1) * self.up[:, [0, 2]])
        return torch.stack([-left[:, 1], left[:, 0]], dim=-1), left

    @cached_property
    def leaning(self) -> tuple[Tensor, Tensor]:
        """Lean forward (+) / backward (-) and left (+) / right (-): the lean shared out by its direction, (N,) each."""
        direction = unit(self.up[:, [0, 2]])
        front, left = self.heading
        lean = self.measure("lean", ())
        return lean * _dot(direction, front), lean * _dot(direction, left)

    @cached_property
    def head(self) -> tuple[Tensor, Tensor, Tensor]:
        """Nod, turn and tilt of the head against the chest, (N,) degrees each."""
        return head_against_chest(self.points)

    @cached_property
    def from_the_mirror(self) -> Tensor:
        """How far each joint is from the mirror image of its twin, in the torso's frame, (N, 22) metres."""
        frame = torch.stack([self.left, self.up, self.front], dim=-1)  # (N, 3, 3)
        own = (self.joints - self.joints[:, :1]) @ frame
        return (own - own[:, list(MIRROR)] * own.new_tensor([-1.0, 1.0, 1.0])).norm(dim=-1)

    def direction(self, name: str) -> Tensor:
        """One of ``DIRECTIONS``, (N, 3) of length one."""
        axis, sign = DIRECTIONS[name]
        return sign * axis(self)


def _sky(m: Measurements) -> Tensor:
    return torch.tensor([0.0, 1.0, 0.0], dtype=m.up.dtype, device=m.up.device).expand_as(m.up)


def _level(vectors: Tensor) -> Tensor:
    """Horizontal (x, z) (N, 2) -> (N, 3)."""
    return torch.stack([vectors[:, 0], torch.zeros_like(vectors[:, 0]), vectors[:, 1]], dim=-1)


# Name -> axis and sign: of the torso, then of the world and the heading.
DIRECTIONS: dict[str, tuple[Callable[[Measurements], Tensor], int]] = {
    "front": (lambda m: m.front, 1),
    "back": (lambda m: m.front, -1),
    "left": (lambda m: m.left, 1),
    "right": (lambda m: m.left, -1),
    "up": (lambda m: m.up, 1),
    "down": (lambda m: m.up, -1),
    "sky": (_sky, 1),
    "ground": (_sky, -1),
    "ahead": (lambda m: _level(m.heading[0]), 1),
    "behind": (lambda m: _level(m.heading[0]), -1),
    "port": (lambda m: _level(m.heading[1]), 1),
    "starboard": (lambda m: _level(m.heading[1]), -1),
}


def _lean(m: Measurements) -> Tensor:
    return _degrees_between(m.up, _sky(m))


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


def _height(m: Measurements, name: str) -> Tensor:
    """A joint's above the lowest joint, whether landmarks are known or not; a landmark's above the lowest of all."""
    return m.position(name)[:, 1] - (m.ground if name in LANDMARKS else m.floor)


def _sole(m: Measurements, ankle: str) -> Tensor:
    upwards = orientation(m.points, ankle.replace("ankle", "foot"))[:, :, 1]  # at right angles to the sole
    return _degrees_between(upwards, _sky(m))


def _gaze(m: Measurements) -> Tensor:
    return elevation(orientation(m.points, "head")[:, :, 2])


ASYMMETRIES = {"arms": ("elbow", "wrist"), "legs": ("knee", "ankle"), "body": None}
ARMS, LEGS = ("left_arm", "right_arm"), ("left_leg", "right_leg")
ARM_SPREAD, ARM_BEND, LEG_SPREAD, LEG_BEND = 20.0, 30.0, 15.0, 15.0  # degrees within which a limb is at rest


def _asymmetry(m: Measurements, part: str) -> Tensor:
    joints = ASYMMETRIES[part]
    chosen = range(NUM_JOINTS) if joints is None else [JOINT_INDEX[f"left_{joint}"] for joint in joints]
    return m.from_the_mirror[:, list(chosen)].amax(dim=-1)


def _rest(m: Measurements, limb: str) -> Tensor:
    """Degrees beyond the spread and the bend of a limb that hangs or stands: the arm along the torso, the leg along the
    torso or plumb, whichever is nearer."""
    side, kind = limb.split("_")
    if kind == "arm":
        off, bend = m.measure("angle", (f"{side}_shoulder",)), 180 - m.measure("angle", (f"{side}_elbow",))
        beyond = torch.maximum(off - ARM_SPREAD, bend - ARM_BEND)
    else:
        in_line, plumb = m.measure("angle", (f"{side}_hip",)), m.measure("tilt", (f"{side}_hip", f"{side}_knee"))
        off, bend = 180 - torch.maximum(in_line, plumb), 180 - m.measure("angle", (f"{side}_knee",))
        beyond = torch.maximum(off - LEG_SPREAD, bend - LEG_BEND)
    return beyond.clamp_min(0)


class Kind(NamedTuple):
    """What a name in a check is the name of."""

    of: str
    names: tuple[str, ...]


POINT = Kind("joint", POINT_NAMES)
PART = Kind("part", tuple(PARTS))
DIRECTION = Kind("direction", tuple(DIRECTIONS))
_OPPOSITE = {"left": "right", "right": "left", "port": "starboard", "starboard": "port"}


def other_side(name: str) -> str:
    """What a joint, landmark, part, limb or direction is in the mirror."""
    return _OPPOSITE.get(name, mirrored_name(name))


class Quantity(NamedTuple):
    """A function of the check language.

    Attributes:
        takes: what its names are names of; the last ``optional`` may be left out.
        compute: its value (N,) of measurements and names.
        odd: its sign changes when left and right are exchanged.
        degrees: it is an angle; otherwise a length in metres.
        landmarks: joints alone do not tell it.
    """

    takes: tuple[Kind, ...]
    compute: Callable[..., Tensor]
    odd: bool = False
    degrees: bool = False
    landmarks: bool = False
    optional: int = 0


QUANTITIES: dict[str, Quantity] = {
    "x": Quantity((POINT,), lambda m, name: m.position(name)[:, 0], odd=True),
    "y": Quantity((POINT,), lambda m, name: m.position(name)[:, 1]),
    "z": Quantity((POINT,), lambda m, name: m.position(name)[:, 2]),
    "height": Quantity((POINT,), _height),
    "angle": Quantity((Kind("joint with an angle", ANGLED_JOINTS),), _angle, degrees=True),
    "distance": Quantity((POINT, POINT), lambda m, start, end: m.vector(start, end).norm(dim=-1)),
    "gap": Quantity((PART, PART), lambda m, one, other: gap(one, other, m.axes)),
    "front": Quantity((POINT, POINT), _along(lambda m: m.front), optional=1),
    "left": Quantity((POINT, POINT), _along(lambda m: m.left), odd=True, optional=1),
    "up": Quantity((POINT, POINT), _along(lambda m: m.up), optional=1),
    "ahead": Quantity((POINT, POINT), _over_ground(0), optional=1),
    "aside": Quantity((POINT, POINT), _over_ground(1), odd=True, optional=1),
    "lean": Quantity((), _lean, degrees=True),
    "pitch": Quantity((), lambda m: m.leaning[0], degrees=True),
    "roll": Quantity((), lambda m: m.leaning[1], odd=True, degrees=True),
    "turn": Quantity((), _turn, odd=True, degrees=True),
    "tilt": Quantity((POINT, POINT), _tilt, degrees=True),
    "nod": Quantity((), lambda m: m.head[0], degrees=True, landmarks=True),
    "head_turn": Quantity((), lambda m: m.head[1], odd=True, degrees=True, landmarks=True),
    "head_tilt": Quantity((), lambda m: m.head[2], odd=True, degrees=True, landmarks=True),
    "gaze": Quantity((), _gaze, degrees=True, landmarks=True),
    "sole": Quantity((Kind("ankle", ("left_ankle", "right_ankle")),), _sole, degrees=True, landmarks=True),
    "off": Quantity(
        (POINT, POINT, DIRECTION),
        lambda m, start, end, direction: _degrees_between(m.vector(start, end), m.direction(direction)),
        degrees=True,
    ),
    "apart": Quantity(
        (POINT,) * 4,
        lambda m, start, end, start2, end2: _degrees_between(m.vector(start, end), m.vector(start2, end2)),
        degrees=True,
    ),
    "rest": Quantity((Kind("limb", (*ARMS, *LEGS)),), _rest, degrees=True),
    "asymmetry": Quantity((Kind("group", tuple(ASYMMETRIES)),), _asymmetry),
    "overlap": Quantity((), lambda m: overlap(m.axes)),
    "support": Quantity((), lambda m: off_balance(m.points), landmarks=True),
}
