"""The quantities of the check language, written a second time to judge those that state them.

Numpy, one pose at a time, other formulas than those of ``pose_rft.posescript.measurements``.
"""

from functools import cache
from types import CodeType

import numpy as np

from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.posescript.body_parts import PARTS

BONE_ENDS = {  # the joints on both sides of a hinge
    "spine1": ("pelvis", "spine2"), "spine2": ("spine1", "spine3"), "spine3": ("spine2", "neck"),
    "neck": ("spine3", "head"), "collar": ("spine3", "shoulder"), "elbow": ("shoulder", "wrist"),
    "knee": ("hip", "ankle"), "ankle": ("knee", "foot"),
}  # fmt: skip
POINTS = 120  # tried along the middle of a part of the body, 4 mm apart in a thigh


class Figure:
    """One pose, (22, 3) metres, and the quantities of docs/posescript.md, each from its definition."""

    def __init__(self, joints: np.ndarray):
        self.place = {name: np.asarray(joints[row], np.float64) for name, row in JOINT_INDEX.items()}
        self.trunk = self.place["neck"] - self.place["pelvis"]
        hips, shoulders = (self.place[f"left_{part}"] - self.place[f"right_{part}"] for part in ("hip", "shoulder"))
        across = hips / np.linalg.norm(hips) + shoulders / np.linalg.norm(shoulders)
        self.chest = np.cross(across, self.trunk)  # the normal of the plane that holds trunk and shoulders
        self.side = np.cross(self.trunk, self.chest)
        self.azimuth = self._azimuth(hips)

    def _azimuth(self, hips: np.ndarray) -> float:
        """Where the hips face over the ground, degrees from z towards x, once the figure is turned upright."""
        axis = np.cross(self.trunk, [0.0, 1.0, 0.0])  # the shortest way up
        if np.linalg.norm(axis) > 0:
            axis, angle = axis / np.linalg.norm(axis), np.radians(self.lean())
            hips = (  # Rodrigues
                hips * np.cos(angle) + np.cross(axis, hips) * np.sin(angle) + axis * (axis @ hips) * (1 - np.cos(angle))
            )
        return float(np.degrees(np.arctan2(-hips[2], hips[0])))

    def _between(self, u: np.ndarray, v: np.ndarray) -> float:
        """Angle between two directions by the law of cosines, degrees."""
        a, b, c = np.linalg.norm(u), np.linalg.norm(v), np.linalg.norm(u - v)
        return float(np.degrees(np.arccos(np.clip((a * a + b * b - c * c) / (2 * a * b), -1, 1))))

    def _offset(self, joint: str, origin: str) -> np.ndarray:
        return self.place[joint] - self.place[origin]

    def _along(self, direction: np.ndarray, joint: str, origin: str) -> float:
        return float(self._offset(joint, origin) @ direction / np.linalg.norm(direction))

    def _over_ground(self, joint: str, origin: str, degrees: float) -> float:
        """How far along a direction on the ground, given by its azimuth."""
        offset, angle = self._offset(joint, origin), np.radians(degrees)
        return float(offset[0] * np.sin(angle) + offset[2] * np.cos(angle))

    def x(self, joint: str) -> float:
        return float(self.place[joint][0])

    def y(self, joint: str) -> float:
        return float(self.place[joint][1])

    def z(self, joint: str) -> float:
        return float(self.place[joint][2])

    def height(self, joint: str) -> float:
        return self.y(joint) - min(float(place[1]) for place in self.place.values())

    def distance(self, joint: str, other: str) -> float:
        return float(np.sqrt(((self.place[joint] - self.place[other]) ** 2).sum()))

    def _axis(self, part: str) -> np.ndarray:
        """Points along the middle of a part of the body and, last, how thick it is there, (POINTS, 4) metres."""
        shape, along = PARTS[part], np.linspace(0, 1, POINTS)[:, None]
        start, end = (
            sum(weight * self.place[name] for name, weight in place.items()) for place in (shape.start, shape.end)
        )
        middle = (1 - along) * start + along * end + shape.forward * self.chest / np.linalg.norm(self.chest)
        return np.hstack([middle, (1 - along) * shape.radii[0] + along * shape.radii[1]])

    def gap(self, part: str, other: str) -> float:
        """The least way between two surfaces: every point along one part is tried with every one along the other."""
        one, two = self._axis(part), self._axis(other)
        apart = np.sqrt(((one[:, None, :3] - two[None, :, :3]) ** 2).sum(axis=2))
        return float((apart - one[:, None, 3] - two[None, :, 3]).min())

    def angle(self, joint: str) -> float:
        if joint.endswith("_hip"):
            return self._between(self.trunk, self._offset(joint.replace("hip", "knee"), joint))
        if joint.endswith("_shoulder"):
            return self._between(-self.trunk, self._offset(joint.replace("shoulder", "elbow"), joint))
        side, _, part = joint.rpartition("_")
        ends = BONE_ENDS[part]
        one, other = (end if end in self.place else f"{side}_{end}" for end in ends)
        return self._between(self._offset(one, joint), self._offset(other, joint))

    def front(self, joint: str, origin: str = "pelvis") -> float:
        return self._along(self.chest, joint, origin)

    def left(self, joint: str, origin: str = "pelvis") -> float:
        return self._along(self.side, joint, origin)

    def up(self, joint: str, origin: str = "pelvis") -> float:
        return self._along(self.trunk, joint, origin)

    def ahead(self, joint: str, origin: str = "pelvis") -> float:
        return self._over_ground(joint, origin, self.azimuth)

    def aside(self, joint: str, origin: str = "pelvis") -> float:
        return self._over_ground(joint, origin, self.azimuth + 90)

    def lean(self) -> float:
        return float(np.degrees(np.arccos(self.trunk[1] / np.linalg.norm(self.trunk))))

    def pitch(self) -> float:
        return self.lean() * float(np.cos(np.radians(self._leaning())))

    def roll(self) -> float:
        return self.lean() * float(np.sin(np.radians(self._leaning())))

    def _leaning(self) -> float:
        """To which side of where it faces the torso leans: 0 forward, 90 left, degrees."""
        return float(np.degrees(np.arctan2(self.trunk[0], self.trunk[2]))) - self.azimuth

    def turn(self) -> float:
        return self.azimuth

    def tilt(self, joint: str, end: str) -> float:
        segment = self._offset(end, joint)
        return 90 - float(np.degrees(np.arcsin(segment[1] / np.linalg.norm(segment))))

    def fulfils(self, check: str) -> bool:
        """Whether a check holds. For the project's own checks only."""
        return bool(self.measure(check))

    def measure(self, expression: str) -> float:
        """An expression of the check language, which is a line of Python on the quantities above."""
        names = {name: name for name in (*JOINT_INDEX, *PARTS)} | {
            "abs": abs,
            "min": min,
            "max": max,
            "__builtins__": {},
        }
        quantities = {name: getattr(self, name) for name in QUANTITIES}
        return float(eval(_compiled(expression), names | quantities))


QUANTITIES = tuple(name for name in vars(Figure) if not name.startswith("_") and name not in ("fulfils", "measure"))


@cache
def _compiled(expression: str) -> CodeType:
    return compile(expression, "check", "eval")
