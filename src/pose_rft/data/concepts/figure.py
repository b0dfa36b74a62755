"""Bodies while their pose is being solved: random numbers, joints placed so far, and places to reach for."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, PARENTS
from pose_rft.data.concepts.landmarks import LANDMARKS
from pose_rft.data.concepts.limb_geometry import rotate, unit
from pose_rft.data.concepts.pose_language import NUMBER_LIMITS, Direction, PoseSpec, Reach, alike

# Noise where the writer gives one number instead of a range: standard deviations, degrees.
NUMBER_NOISE = {
    ("trunk", "bend"): 2.0, ("trunk", "side"): 1.2, ("trunk", "twist"): 1.5, ("trunk", "curl"): 2.0,
    ("head", "nod"): 2.5, ("head", "turn"): 3.0, ("head", "tilt"): 1.5, ("head", "push"): 2.0,
    ("root", "pitch"): 2.0, ("root", "roll"): 1.2, ("root", "turn"): 6.0,
}  # fmt: skip
DIRECTION_NOISE = 3.0  # degrees
X, Y, Z = torch.eye(3)


class Figure:
    """The state of one batch: world rotations and positions of the joints placed so far."""

    def __init__(self, spec: PoseSpec, n: int, seed: int) -> None:
        self.spec, self.n = spec, n
        self.generator = torch.Generator().manual_seed(seed)
        self.offsets = load_body().offsets
        self.rotation: dict[str, Tensor] = {}
        self.position: dict[str, Tensor] = {}
        self.miss: dict[str, Tensor] = {}
        self.bent: dict[str, Tensor] = {}
        self.across = 1.0  # the sign of what is drawn along the left-right axis
        # What all parts hang on, set when the trunk is placed: world rotations (N, 3, 3).
        self.level = self.root = self.chest = torch.eye(3).expand(n, 3, 3)

    # -- drawing ---------------------------------------------------------------------------------------------------

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.n, *shape, generator=self.generator).clamp(-2, 2)

    def vector(self) -> Tensor:
        """(N, 3) normal; mirrored for the second limb of a pair that does the same."""
        return self.normal(3) * torch.tensor([self.across, 1.0, 1.0])

    def of_pair(self, limb: str, sides: Sequence[str]) -> Iterator[str]:
        """Both sides, one after the other: a pair of limbs that do the same ("arm", "leg") draws the same numbers.

        Noise of its own for each side makes nobody's plank or squat.
        """
        start = self.generator.get_state()
        same = alike(self.spec.limbs[f"left_{limb}"], self.spec.limbs[f"right_{limb}"])
        for side in sides:
            if same:
                self.generator.set_state(start)
                self.across = 1.0 if side == sides[0] else -1.0
            yield side
        self.across = 1.0

    def uniform(self, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(self.n, generator=self.generator)

    def number(self, group: str, name: str) -> Tensor:
        """Radians (N,)."""
        low, high = self.spec.numbers.get((group, name), (0.0, 0.0))
        value = self.uniform(low, high)
        steady = group == "root" and name != "turn" and self.spec.level  # who stands on both feet does not tip over
        if low == high and not steady:
            value = value + self.spec.vary * NUMBER_NOISE[group, name] * self.normal()
        limits = NUMBER_LIMITS.get((group, name))
        return torch.deg2rad(value.clamp(*limits) if limits else value)

    def direction(self, words: Direction, side: str, torso: Tensor, noise: float = DIRECTION_NOISE) -> Tensor:
        """Unit vectors (N, 3) in the world."""
        vector = unit(self.weighted(words, side))
        sigma = math.radians(noise) * self.spec.vary
        vector = unit(vector + sigma * self.vector())
        return rotate(self.level if words.world else torso, vector)

    def weighted(self, words: Direction, side: str) -> Tensor:
        """The sum of the words (N, 3) in their own frame."""
        out = X if side == "left" else -X
        axes = {"up": Y, "down": -Y, "forward": Z, "back": -Z, "left": X, "right": -X, "out": out, "in": -out}
        total = torch.zeros(self.n, 3)
        for low, high, word in words.terms:
            weight = torch.full((self.n,), low) if low == high else self.uniform(low, high)
            total = total + weight[:, None] * axes[word]
        return total

    # -- placing --------------------------------------------------------------------------------------------------

    def place(self, joint: str, rotation: Tensor) -> None:
        """Set a joint's world rotation; its position follows from its parent."""
        index = JOINT_INDEX[joint]
        self.rotation[joint] = rotation
        if PARENTS[index] < 0:
            self.position[joint] = torch.zeros(self.n, 3)
        else:
            self.position[joint] = self.end(JOINT_NAMES[PARENTS[index]], joint)

    def end(self, parent: str, joint: str) -> Tensor:
        return self.position[parent] + rotate(self.rotation[parent], self.offsets[JOINT_INDEX[joint]])

    def bones(self, first: str, second: str) -> tuple[tuple[Tensor, Tensor], float, float]:
        upper, lower = self.offsets[JOINT_INDEX[first]], self.offsets[JOINT_INDEX[second]]
        return (unit(upper), unit(lower)), float(upper.norm()), float(lower.norm())

    # -- landmarks -------------------------------------------------------------------------------------------------

    def landmark(self, words: Reach, limb_side: str) -> Tensor:
        """World position (N, 3) of a target."""
        entry = LANDMARKS[words.landmark]
        side = words.side or "left"
        sign = 1.0 if side == "left" else -1.0
        offset = torch.tensor(entry.offset) * torch.tensor([sign, 1.0, 1.0])
        name = entry.joint.replace("{side}", side)
        if name == "floor":
            shoulder = self.end("spine3", f"{side}_collar") + rotate(
                self.chest, self.offsets[JOINT_INDEX[f"{side}_shoulder"]]
            )
            point = torch.stack([shoulder[:, 0], self.floor(), shoulder[:, 2]], dim=-1)
            place = point + rotate(self.level, offset)
        elif name.endswith("_end"):
            joint = name.removesuffix("_end")
            child = {"hip": "knee", "knee": "ankle"}[joint.split("_")[1]]
            place = self.position[f"{side}_{child}"] + rotate(self.rotation[joint], offset)
        else:
            joint = {"pelvis_side": "pelvis", "chest_side": "spine3", "head_side": "head"}.get(name, name)
            place = self.position[joint] + rotate(self.rotation[joint], offset)
        if words.offset is not None:
            on_floor = name == "floor" or words.offset.world
            place = place + rotate(self.level if on_floor else self.chest, self.weighted(words.offset, limb_side))
        return place

    def floor(self) -> Tensor:
        """Height (N,) of the floor: under the lowest of soles, knees and seat."""
        under = {"ankle": 0.08, "foot": 0.03, "knee": 0.06}
        heights = [
            self.position[f"{side}_{part}"][:, 1] - below for part, below in under.items() for side in ("left", "right")
        ]
        return torch.stack([*heights, self.position["pelvis"][:, 1] - 0.14]).amin(0)
