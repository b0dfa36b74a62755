"""The least change of a pose that meets a goal: all else stays as it is.

The pose is moved by small rotations of those joints that are free, each in its own frame. What is minimised is how far
they turn, how far points that should stay put move over the floor, and how far the goal is missed, which weighs far
more. A joint that is not free keeps its rotation to the bit. Same pose, same goal, same result.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import roma
import torch
from torch import Tensor

from pose_rft.body.landmarks import NUM_POINTS, POINT_INDEX
from pose_rft.body.load import load_body
from pose_rft.body.skeleton import JOINT_INDEX, NUM_JOINTS
from pose_rft.storage import package_table

Goal = Callable[[Tensor], Tensor]  # points (1, 32, 3) -> (C,) how far each condition is missed, 0 where it is met

MISSED = (20.0, 600.0)  # weights of what is missed, squared; the second goes on from where the first has led
HELD = 400.0  # of a point that should stay put, per square metre: 5 centimetres count as one radian
UNCOMFORTABLE = 30.0  # of rotations beyond a joint's range, per square radian
STEPS = 30  # of L-BFGS with each weight
MET = 0.05  # what may be missing at the end, in the goal's units: a degree or half a centimetre
# Knees and elbows are hinges: they turn about one axis of their own frame, in this sense when they bend.
HINGES = {"left_knee": (0, 1.0), "right_knee": (0, 1.0), "left_elbow": (1, -1.0), "right_elbow": (1, 1.0)}
ACROSS = 8.0  # times less willing to turn about their other axes
FIRST_BEND = 0.02  # radians by which a straight hinge is bent to begin with, as it could bend either way


@dataclass(frozen=True)
class Freedom:
    """What may move, and what should not.

    Attributes:
        joints: those that may turn, and how unwilling they are: 1 for most, less for those that turn readily.
        held: points (joints or landmarks) that should stay where they are in the world, with the share of ``HELD``.
        level: points of which the height alone should stay.
    """

    joints: Mapping[str, float]
    held: Mapping[str, float] = field(default_factory=dict)
    level: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """Where a pose has gone.

    Attributes:
        pose: (22, 3) axis-angle, radians.
        missed: (C,) how far each condition of the goal is still missed.
        effort: what it took: squared radians, weighted, and what was not held.
        slipped: metres by which the held point that moved most did.
    """

    pose: Tensor
    missed: Tensor
    effort: float
    slipped: float

    @property
    def is_met(self) -> bool:
        return bool((self.missed <= MET).all())


def comfortable_ranges() -> Tensor:
    """(22, 3, 2) lowest and highest components of each joint's axis-angle vector, radians: ``joint_ranges.yaml``."""
    ranges = torch.full((NUM_JOINTS, 3, 2), torch.pi)
    ranges[..., 0] = -torch.pi
    for name, rows in package_table(__package__, "joint_ranges.yaml").items():
        ranges[JOINT_INDEX[name]] = torch.deg2rad(torch.tensor(rows, dtype=torch.float32))
        if name.startswith("left_"):
            mirrored = ranges[JOINT_INDEX[name]].clone()
            mirrored[1:] = -mirrored[1:].flip(-1)
            ranges[JOINT_INDEX[name.replace("left_", "right_")]] = mirrored
    return ranges


def stiffness_of(joints: Mapping[str, float]) -> Tensor:
    """(22, 3) how unwilling joints are to turn about each axis; 0 of those that are not named."""
    stiffness = torch.zeros(NUM_JOINTS, 3)
    for name, unwilling in joints.items():
        stiffness[JOINT_INDEX[name]] = unwilling * (ACROSS if name in HINGES else 1.0)
        if name in HINGES:
            stiffness[JOINT_INDEX[name], HINGES[name][0]] = unwilling
    return stiffness


def first_bend_of(joints: Mapping[str, float]) -> Tensor:
    """(22, 3) radians where the search begins: a straight hinge could bend either way."""
    first = torch.zeros(NUM_JOINTS, 3)
    for name in HINGES.keys() & joints.keys():
        axis, sense = HINGES[name]
        first[JOINT_INDEX[name], axis] = sense * FIRST_BEND
    return first


def least_change(pose: Tensor, goal: Goal, freedom: Freedom, begun: Tensor | None = None) -> Change:
    """The pose nearest to this one that meets a goal.

    Args:
        pose: (22, 3) axis-angle, radians.
        goal: differentiable; its conditions are in units that are about equally far for a limb (20 degrees, 10 cm).
        freedom: which joints may turn and what should stay put.
        begun: (22, 3) the pose from which the change is counted, where that is not ``pose``: some limbs are brought
            near to where they shall go. What should stay put stays where it is in ``pose``.
    """
    search = _Search(pose.detach().float(), pose if begun is None else begun, goal, freedom)
    for weight in MISSED:
        search.descend(weight)
    return search.found()


class _Search:
    """The unknowns: a rotation vector for each free joint."""

    def __init__(self, pose: Tensor, begun: Tensor, goal: Goal, freedom: Freedom) -> None:
        self.pose, self.goal = begun, goal
        self.free = sorted(JOINT_INDEX[name] for name in freedom.joints)
        self.body = load_body()
        self.rotations = roma.rotvec_to_rotmat(begun)
        self.before = self.body.points(pose)
        self.stiffness = stiffness_of(freedom.joints)
        self.held = torch.zeros(NUM_POINTS, 3)
        for name, share in freedom.held.items():
            self.held[POINT_INDEX[name]] = HELD * share
        for name, share in freedom.level.items():
            self.held[POINT_INDEX[name], 1] = HELD * share
        low, high = comfortable_ranges()[self.free].unbind(dim=-1)
        start = begun[self.free]
        self.low, self.high = torch.minimum(low, start), torch.maximum(high, start)
        self.turn = first_bend_of(freedom.joints)[self.free].requires_grad_()

    def rotated(self, turn: Tensor) -> Tensor:
        """(22, 3, 3) rotations with the free joints turned by (F, 3)."""
        rotations = self.rotations.clone()
        rotations[self.free] = self.rotations[self.free] @ roma.rotvec_to_rotmat(turn)
        return rotations

    def slip(self, points: Tensor) -> Tensor:
        """(32, 3) how far points have moved over the floor, where the pelvis goes wherever the held ones move least."""
        moved = points - self.before
        total = self.held.sum(dim=0)
        return moved - (self.held * moved).sum(dim=0) / total.clamp_min(1e-6)

    def effort(self, turn: Tensor, points: Tensor) -> Tensor:
        turned = (self.stiffness[self.free] * turn.square()).sum()
        return turned + (self.held * self.slip(points).square()).sum()

    def discomfort(self, rotations: Tensor) -> Tensor:
        vectors = roma.rotmat_to_rotvec(rotations[self.free])
        return ((vectors - self.high).clamp_min(0) + (self.low - vectors).clamp_min(0)).square().sum()

    def descend(self, weight: float) -> None:
        optimiser = torch.optim.LBFGS(
            [self.turn], max_iter=STEPS, tolerance_grad=1e-3, tolerance_change=3e-5, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimiser.zero_grad()
            rotations = self.rotated(self.turn)
            points = self.body.points_from_rotations(rotations)
            missed = self.goal(points[None]).square().sum()
            loss = self.effort(self.turn, points) + weight * missed
            loss = loss + UNCOMFORTABLE * self.discomfort(rotations)
            loss.backward()
            return loss

        optimiser.step(closure)

    @torch.no_grad()
    def found(self) -> Change:
        rotations = self.rotated(self.turn)
        points = self.body.points_from_rotations(rotations)
        pose = self.pose.clone()
        pose[self.free] = roma.rotmat_to_rotvec(rotations[self.free])
        slipped = (self.slip(points) * (self.held > 0)).norm(dim=-1).max()
        effort = self.effort(self.turn, points)
        return Change(pose, self.goal(points[None]), float(effort), float(slipped))
