"""Settling: the least change of a pose after which its body is on the floor as a body can be, and does what is stated.

A distribution over joint rotations knows nothing of the floor: feet of a mean or sampled pose end some centimetres
above or below one another, soles tilt, palms hang over the ground, the weight is beside the feet. Settling mends this
and nothing else, whatever the words say; where words state what a pose does not do (checks), it does that first.
``footing`` tells what is meant to bear the body; damped Gauss-Newton steps
then bring those points to one level, lay soles flat, put the weight over the bearing and push limbs out of one another,
each rotation held near where it was, as loosely as such joints move (``LOOSENESS``).
"""

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import roma
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.landmarks import LANDMARKS, NUM_POINTS, POINT_NAMES, with_landmarks
from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, NUM_JOINTS, PARENTS, forward_kinematics
from pose_rft.posescript.balance import FLESH, MASS
from pose_rft.posescript.check_syntax import conditions
from pose_rft.posescript.checks import Check, compile_check
from pose_rft.posescript.footing import SIDES, Footing, find_footing
from pose_rft.posescript.measurements import Measurements

ROUNDS = 10  # Gauss-Newton steps at most
STILL = 1e-3  # radians; a smaller step ends it
LONGEST_STEP = 0.35  # radians
SHARE = 0.7  # of each step that is taken: limbs that overlap in turns would swing to and fro for ever
NUM_UNKNOWNS = 3 * NUM_JOINTS + 1  # a small turn of each joint, and the height of the floor

# What counts as one unit of wrong: metres, or for soles the sine of the tilt.
ON_THE_FLOOR, LEVEL_SOLE, OVER_THE_BEARING, APART, IN_PLACE = 0.006, 0.06, 0.015, 0.01, 0.25
STATED = 0.02  # of a check's margin, in its units: 0.4 degrees or 2 mm
NOTICED = 0.05  # of a check's margin: 1 degree or 5 mm
LEAST = 1e-6  # by which what fails falls short
TO_SPARE = 0.5  # by which a check that did not hold is to hold: 10 degrees or 5 cm
MOST_OVERLAP, LEFT_OVERLAP = 0.04, 0.03  # metres: more is pushed apart, to this

# Degrees that count as one unit of change, about the axes of the parent: knees and elbows are hinges.
_LOOSENESS: dict[str, tuple[float, float, float]] = {
    "pelvis": (8, 0.001, 8), "spine1": (4, 4, 4), "spine2": (4, 4, 4), "spine3": (4, 4, 4), "neck": (4, 4, 4),
    "head": (6, 4, 4), "collar": (3, 3, 3), "shoulder": (9, 9, 9), "elbow": (3, 12, 3), "wrist": (20, 20, 20),
    "hip": (10, 8, 8), "knee": (12, 2, 2), "ankle": (20, 8, 15), "foot": (15, 3, 3),
}  # fmt: skip
LOOSENESS = torch.deg2rad(
    torch.tensor([_LOOSENESS[name.removeprefix("left_").removeprefix("right_")] for name in JOINT_NAMES])
).double()  # (22, 3)
FALLING = math.radians(14)  # of the pelvis about the ground's axes, where a body falls onto other parts
HEADINGS = 5  # degrees between those that are tried
OF_THE_HEADING = re.compile(r"(?<![a-z_])turn\(\)")
ANYWHERE = 100.0  # metres of the floor's height


def _carried() -> Tensor:
    """(32, 22): whether a joint's turn moves a point."""
    moves = torch.zeros(NUM_POINTS, NUM_JOINTS, dtype=torch.double)
    carriers = [*range(NUM_JOINTS), *(JOINT_INDEX[joint] for joint, _ in LANDMARKS.values())]
    for point, joint in enumerate(carriers):
        while joint >= 0:
            moves[point, joint] = 1
            joint = PARENTS[joint]
    return moves


_CARRIED = _carried()
_ANKLES = [JOINT_INDEX[f"{side}_ankle"] for side in SIDES]


class _Posed:
    """N posed bodies, in double precision, and how their points move with each joint's turn about its parent's axes."""

    def __init__(self, rotations: Tensor) -> None:
        self.rotations = rotations  # (N, 22, 3, 3)
        joints, self.orientation = forward_kinematics(rotations, load_body().offsets.double())
        self.points = with_landmarks(joints, self.orientation)  # (N, 32, 3)
        base = torch.eye(3, dtype=torch.double).expand(len(rotations), 1, 3, 3)
        parent = torch.cat([base, self.orientation[:, list(PARENTS[1:])]], dim=1)
        self.axes = parent.transpose(-1, -2)  # (N, 22, 3, 3): axis, coordinates

    def moved_points(self) -> Tensor:
        """(N, 32, 3, 66): metres a radian."""
        arm = self.points[:, :, None] - self.points[:, None, :NUM_JOINTS]  # (N, 32, 22, 3)
        moved = torch.linalg.cross(self.axes[:, None], arm.unsqueeze(-2)) * _CARRIED[:, :, None, None]
        return moved.permute(0, 1, 4, 2, 3).flatten(-2)

    def sole_axes(self) -> tuple[Tensor, Tensor]:
        """The horizontal part of the axes that point up from the soles, (N, 2, 2), and (N, 2, 2, 66) a radian."""
        up = self.orientation[:, _ANKLES, :, 1]  # (N, 2, 3)
        turned = torch.linalg.cross(self.axes[:, None], up[:, :, None, None]) * _CARRIED[_ANKLES][:, :, None, None]
        return up[..., [0, 2]], turned.permute(0, 1, 4, 2, 3).flatten(-2)[:, :, [0, 2]]


class _Residuals:
    """Rows of a least-squares problem: what is wrong, in its units, and how it changes with the unknowns."""

    def __init__(self) -> None:
        self.wrong: list[Tensor] = []
        self.change: list[Tensor] = []

    def add(self, wrong: Tensor, change: Tensor, unit: float, wanted: Tensor, floor: float = 0.0) -> None:
        """`wrong` (N, R), `change` (N, R, 66), `wanted` (N, R) or (N, 1) bool; `floor`: change with its height."""
        change = torch.cat([change, change.new_full((*change.shape[:-1], 1), floor)], dim=-1)
        self.wrong.append(wrong * wanted / unit)
        self.change.append(change * wanted.unsqueeze(-1) / unit)

    def solve(self, turned: Tensor, looseness: Tensor) -> Tensor:
        """The Gauss-Newton step (N, 67), where `turned` (N, 67) has been changed so far."""
        change, wrong = torch.cat(self.change, dim=1), torch.cat(self.wrong, dim=1)
        stiff = looseness.pow(-2)
        normal = change.transpose(1, 2) @ change + torch.diag_embed(stiff)
        slope = (change.transpose(1, 2) @ wrong.unsqueeze(-1))[..., 0] + stiff * turned
        return -torch.linalg.solve(normal, slope)


def settle(pose: Tensor, checks: Sequence[str] = ()) -> Tensor:
    """The least change of poses that puts their bodies on the floor, after what makes checks hold that do not.

    Who stands well, and does what is stated, is left nearly as it is. What cannot be met stays as it was: a pose is
    taken that meets more checks than before, or as many and comes nearer to one without falling further short of
    another. The body is the bundled one of mean shape. Poses in a camera's frame have no floor and are not for this.

    Args:
        pose: (..., 22, 3) axis-angle, radians, y up.
        checks: conditions in the language of ``checks`` that words state of these poses.

    Returns:
        The same shape and type.
    """
    flat = pose.reshape(-1, NUM_JOINTS, 3)
    if not len(flat):
        return pose
    with torch.no_grad():
        stated = tuple(map(compile_check, checks))
        start = _faced(roma.rotvec_to_rotmat(flat.double().cpu()), stated)
        settled = _moved(start, on_the_floor=True)
        missed = _shortfalls(settled, stated)
        short = (missed > 0).any(dim=1)
        if short.any():
            obeying = _moved(start[short], on_the_floor=False, checks=stated)
            obeying = _moved(obeying, on_the_floor=True, checks=stated)
            better = _is_better(_shortfalls(obeying, stated), missed[short])
            settled[short] = torch.where(better[:, None, None, None], obeying, settled[short])
    return roma.rotmat_to_rotvec(settled).to(pose).reshape(pose.shape)


def _faced(rotations: Tensor, checks: Sequence[Check]) -> Tensor:
    """Poses (N, 22, 3, 3), those that fail what is stated of where they face turned to the middle of it."""
    parts = [part for check in checks if not check.sides for part in conditions(check.text)]
    stated = [compile_check(part) for part in parts if OF_THE_HEADING.search(part)]
    failing = (_shortfalls(rotations, stated) > 0).any(dim=1)
    if not failing.any():
        return rotations
    angles = torch.deg2rad(torch.arange(-180, 180, HEADINGS, dtype=rotations.dtype))
    turns = roma.rotvec_to_rotmat(angles[:, None] * angles.new_tensor([0.0, 1.0, 0.0]))  # (K, 3, 3)
    spares = []
    for turn in turns:
        measured = Measurements(load_body().points_from_rotations(_turned(rotations, turn).float()))
        spares.append(torch.stack([check.margin(measured) for check in stated]).amin(dim=0))
    best = turns[torch.stack(spares).argmax(dim=0)]
    return torch.where(failing[:, None, None, None], _turned(rotations, best), rotations)


def _turned(rotations: Tensor, turn: Tensor) -> Tensor:
    """Poses turned as a whole about the vertical, by (3, 3) or (N, 3, 3)."""
    return torch.cat([(turn @ rotations[:, 0])[:, None], rotations[:, 1:]], dim=1)


def _shortfalls(rotations: Tensor, checks: Sequence[Check]) -> Tensor:
    """(N, C) by how much poses (N, 22, 3, 3) fail checks, in the units of their margins; 0 where one holds."""
    if not checks:
        return rotations.new_zeros(len(rotations), 0)
    measured = Measurements(load_body().points_from_rotations(rotations.float()))
    missed = [(-check.margin(measured)).clamp(min=LEAST) * ~check.evaluate(measured) for check in checks]
    return torch.stack(missed, dim=1)


def _is_better(missed: Tensor, before: Tensor) -> Tensor:
    """(N,) whether shortfalls (N, C) are fewer, or as many and none of them larger and all together smaller."""
    more = (missed > 0).sum(dim=1) - (before > 0).sum(dim=1)
    nearer = (missed <= before + NOTICED).all(dim=1) & (missed.sum(dim=1) < before.sum(dim=1) - NOTICED)
    return (more < 0) | ((more == 0) & nearer)


class _Wish(NamedTuple):
    """One condition, and who of N bodies is to meet it."""

    condition: Check
    wanted: Tensor  # (N,) bool


def _wishes(checks: Sequence[Check], points: Tensor) -> tuple[_Wish, ...]:
    """The conditions of checks one by one; of those that may be met on either side, of the side that is nearer."""
    everybody = torch.ones(len(points), dtype=torch.bool)
    found: list[_Wish] = []
    for check in checks:
        nearer = [everybody]
        if check.sides:
            margins = [torch.stack([_margin(each, points) for each in side]).amin(dim=0) for side in check.sides]
            nearer = [margins[0] >= margins[1], margins[0] < margins[1]]
        for side, wanted in zip(check.sides or ((check,),), nearer, strict=True):
            parts = (compile_check(part) for each in side for part in conditions(each.text))
            found += [_Wish(part, wanted) for part in parts]
    return tuple(found)


class _Goal(NamedTuple):
    """What N bodies are to be brought to: where they ``start``, what bears them, who has limbs to push apart."""

    start: Tensor  # (N, 32, 3)
    footing: Footing | None  # None: wherever
    pressed: Tensor  # (N,) bool
    looseness: Tensor  # (N, 67)
    wishes: tuple[_Wish, ...]


def _goal(points: Tensor, on_the_floor: bool, checks: Sequence[Check]) -> _Goal:
    footing = find_footing(points.float()) if on_the_floor else None
    looseness = torch.cat([LOOSENESS.flatten(), LOOSENESS.new_tensor([ANYWHERE])]).repeat(len(points), 1)
    if footing is not None:
        looseness[:, [0, 2]] = torch.where(footing.falls[:, None], FALLING, looseness[:, [0, 2]])
    return _Goal(points, footing, _overlap(points) > MOST_OVERLAP, looseness, _wishes(checks, points))


def _moved(rotations: Tensor, on_the_floor: bool, checks: Sequence[Check] = ()) -> Tensor:
    """(N, 22, 3, 3) rotation matrices in double precision -> the same."""
    body = _Posed(rotations)
    goal = _goal(body.points, on_the_floor, checks)
    floor = (body.points[..., 1] - FLESH.double()).amin(dim=1)  # (N,)
    turned = rotations.new_zeros(len(rotations), NUM_UNKNOWNS)
    moves = torch.ones(len(rotations), 1, dtype=torch.bool)  # each by itself, whatever else is in the batch
    due = torch.zeros(len(rotations), len(goal.wishes), dtype=torch.bool)  # what did not hold once; it is kept up
    for _ in range(ROUNDS):
        step, due = _step(body, floor, goal, turned, due)
        longest = step[:, :-1].abs().amax(dim=1, keepdim=True)
        step = step * (LONGEST_STEP / longest).clamp_max(SHARE) * moves
        turned, floor = turned + step, floor + step[:, -1]
        body = _Posed(roma.rotvec_to_rotmat(step[:, :-1].unflatten(1, (NUM_JOINTS, 3))) @ body.rotations)
        moves = moves & (longest >= STILL)
        if not moves.any():
            break
    return body.rotations


def _step(body: _Posed, floor: Tensor, goal: _Goal, turned: Tensor, due: Tensor) -> tuple[Tensor, Tensor]:
    """The next step (N, 67), and the wishes (N, W) that are due now."""
    rows, moved, footing = _Residuals(), body.moved_points(), goal.footing
    if footing is not None:
        above = body.points[..., 1] - FLESH.double() - floor[:, None]
        rows.add(above, moved[:, :, 1], ON_THE_FLOOR, footing.bearing | (above < 0), floor=-1.0)
        up, turned_up = body.sole_axes()
        rows.add(up.flatten(1), turned_up.flatten(1, 2), LEVEL_SOLE, footing.flat.repeat_interleave(2, dim=1))
        rows.add(*_beside(body.points, moved, footing.under), OVER_THE_BEARING, footing.steady[:, None])
    if goal.pressed.any():
        deep, change = _change(_overlap, body.points, moved)
        rows.add(deep[:, None] - LEFT_OVERLAP, change[:, None], APART, goal.pressed[:, None])
    measured = _OverTheRest(body.points)
    for number, (condition, wanted) in enumerate(goal.wishes):
        due[:, number] |= wanted & (condition.margin(measured) < 0)
        if due[:, number].any():  # slopes are what takes time
            spare, change = _change(partial(_margin, condition), body.points, moved)
            rows.add(spare[:, None] - TO_SPARE, change[:, None], STATED, due[:, number, None])
    everything = torch.ones_like(goal.pressed[:, None])
    rows.add((body.points - goal.start).flatten(1), moved.flatten(1, 2), IN_PLACE, everything)
    return rows.solve(turned, goal.looseness), due


def _overlap(points: Tensor) -> Tensor:
    return Measurements(points).measure("overlap", ())


def _margin(check: Check, points: Tensor) -> Tensor:
    return check.margin(_OverTheRest(points))


class _OverTheRest(Measurements):
    """Measurements whose heights are those above the rest of the body.

    So what is lowest itself can rise; its height over the lowest point would be 0 whatever it does.
    """

    def measure(self, function: str, names: tuple[str, ...]) -> Tensor:
        if function != "height":
            return super().measure(function, names)
        (name,) = names
        known = NUM_POINTS if name in LANDMARKS else NUM_JOINTS
        rest = [point for point in range(known) if POINT_NAMES[point] not in _rising_with(name)]
        return self.position(name)[:, 1] - self.points[:, rest, 1].amin(dim=-1)


def _rising_with(name: str) -> set[str]:
    """The points that go up with one: a foot or a hand as a whole, but a heel or the toes alone."""
    side, _, part = name.partition("_")
    for end in (("ankle", "foot", "heel", "toes"), ("wrist", "palm", "fingers")):
        if part in end and part not in ("heel", "toes"):
            return {f"{side}_{each}" for each in end}
    return {name}


def _change(measure: Callable[[Tensor], Tensor], points: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
    """A measure of bodies, (N,), and how it changes, (N, 66) a radian."""
    with torch.enable_grad():
        leaf = points.detach().requires_grad_()
        value = measure(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), torch.einsum("npc,npcu->nu", slope, moved)


def _beside(points: Tensor, moved: Tensor, under: Tensor) -> tuple[Tensor, Tensor]:
    """Metres over the ground from the weight to where it is to be, (N, 2), and its change, (N, 2, 66) a radian."""
    share = under.to(points)
    share = torch.cat([share[:, :NUM_JOINTS] - MASS.to(points), share[:, NUM_JOINTS:]], dim=1)
    way, change = torch.einsum("np,npc->nc", share, points), torch.einsum("np,npcu->ncu", share, moved)
    return way[:, [0, 2]], change[:, [0, 2]]
