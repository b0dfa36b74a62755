"""Edits whose targets are what the order says and nothing else: solved, for many poses at once.

An order is made first, of the words that orders are read with, and then met by the least changes of several starts
(``pose_rft.body.least_changes``). Targets with limbs of another pose change much that no order says, and a learner
that cannot know which of it takes the safe way, the pose as it was.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import roma
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.landmarks import POINT_NAMES
from pose_rft.body.least_changes import least_changes
from pose_rft.body.skeleton import mirror_pose
from pose_rft.data.edit_prompts import is_edit_prompt
from pose_rft.data.mixtures.everyday_orders import (
    AROUND,
    Said,
    Wish,
    instructed_states,
    joined,
    part_of,
    say,
    twin_of,
    wishes,
)
from pose_rft.posescript.balance import NEAR_THE_FLOOR, clearance
from pose_rft.posescript.checks import Check, Evaluate, compile_check, compile_quantity, mirrored, satisfied
from pose_rft.posescript.edits.comparisons import compare, read_comparison
from pose_rft.posescript.edits.edit import with_joints
from pose_rft.posescript.edits.order_words import Vectors, order_words
from pose_rft.posescript.edits.targets import CORE, LEVEL, SHIFT, SPINE, TO_SPARE, WIDE, limbs_in, unit_of
from pose_rft.posescript.measurements import Measurements
from pose_rft.posescript.plausibility import COMFORTABLE_NOD, UNITS, plausibility, supporting_soles
from pose_rft.posescript.posecodes import exchange_sides

STARTS = 6  # poses that an order is given to
BOTH_RATE = 0.4  # of the changes of one side, that are of both
SIZE_RATES = (0.3, 0.4, 0.3)  # of the changes: a little, no amount, a lot
TWO_RATE = 0.25  # of the orders, that ask for two things
CHANGE_RATE, STATE_RATE = 0.45, 0.42  # of the orders; the others are postures
GROUP = 192  # poses that one wish is met for at once, at least
WORSE = {"nod": 4.0, "sole": 8.0, "support": 0.04, "overlap": 0.03}  # degrees and metres that an edit may add
MOST_UNMET = 0.15  # of the poses, that are left out without another try in which more joints turn
TILTS_SOLES = ("tiptoe", "left_foot_turn")
NEAR = 0.3  # units of 20 degrees or 10 cm that may be missed
_SIDED = re.compile(r"^(?!.*\bright (?:together|up|close))(?=.*\b(?:left|right)\b)")


@dataclass(frozen=True)
class Asked:
    """A wish, said.

    Attributes:
        wish: what is asked for.
        far: by how much a quantity shall change, in its unit; 0 of a state or a posture.
        said: clause and statements.
    """

    wish: Wish
    far: float
    said: Said

    @property
    def wanted(self) -> list[Wish]:
        """The wish, and the same of the other side where the clause is about both."""
        both = self.wish.measure is not None and len(self.said.changes) > 1
        return [self.wish, twin_of(self.wish)] if both else [self.wish]


def solved_edits(poses: Tensor, rng: np.random.Generator) -> Iterator[tuple[Said, Tensor, Tensor]]:
    """Orders, each with a start that is one of these poses and the target.

    Args:
        poses: (N, 22, 3) axis-angle, radians; of those that follow one another ``STARTS`` get the same order.

    Yields:
        What is said (not yet as people type; the same object for the same order), start and target, (22, 3) each;
        fewer than N: orders that make no sense for a pose or are not met are left out.
    """
    orders = [row // STARTS for row in range(len(poses))]
    first = _asked_in_groups(orders[-1] + 1, rng)
    middle, met = _follow(poses, [first[order] for order in orders])
    chosen = (rng.random(len(first)) < TWO_RATE).nonzero()[0].tolist()
    second = {
        order: other
        for order, other in zip(chosen, _asked_in_groups(len(chosen), rng), strict=True)
        if part_of(first[order].wish.name) != part_of(other.wish.name)
    }
    rows = [row for row, order in enumerate(orders) if order in second and met[row]]
    after = middle.clone()
    if rows:
        after[rows], met[rows] = _follow(middle[rows], [second[orders[row]] for row in rows])
    said = [
        joined([one.said, second[order].said], rng) if order in second else one.said for order, one in enumerate(first)
    ]
    true = _is_true([said[order] for order in orders], poses, after)
    known = [is_edit_prompt(each.clause) for each in said]
    turned = [rng.random() < 0.5 and bool(_SIDED.search(each.clause)) for each in said]
    other_side = [_other_side(each) if turn else each for each, turn in zip(said, turned, strict=True)]
    for row, order in enumerate(orders):
        if met[row] and true[row] and not known[order]:
            pair = torch.stack([poses[row], after[row]])
            before, changed = mirror_pose(pair) if turned[order] else pair
            yield other_side[order], before, changed


def _other_side(said: Said) -> Said:
    checks, changes = map(mirrored, said.checks), (str(read_comparison(each).mirrored()) for each in said.changes)
    return Said(exchange_sides(said.clause), tuple(checks), tuple(changes))


def _is_true(said: Sequence[Said], before: Tensor, after: Tensor) -> list[bool]:
    """Of which pairs what is said holds."""
    body, rows_of = load_body(), defaultdict(list)
    for row, each in enumerate(said):
        rows_of[each].append(row)
    was, now = body.points(before), body.points(after)
    true = torch.zeros(len(said), dtype=torch.bool)
    for each, rows in rows_of.items():
        true[rows] = satisfied(each.checks, now[rows]).all(dim=1) & compare(each.changes, was[rows], now[rows]).all(1)
    return true.tolist()


def _asked_in_groups(count: int, rng: np.random.Generator) -> list[Asked]:
    """So many orders; of a few wishes only, so that each is met for many poses at once. What has a side is the left."""
    postures = order_words().postures.keys()
    kinds: list[list[Wish]] = [[], [], []]
    kinds[1] += instructed_states()
    for wish in wishes():
        if not wish.name.startswith("right_") and not wish.name.endswith("_right"):
            kinds[0 if wish.measure is not None else 2 if wish.name in postures else 1].append(wish)
    groups = max(1, count * STARTS // GROUP)
    shares = np.array((CHANGE_RATE, STATE_RATE, 1 - CHANGE_RATE - STATE_RATE))
    few: list[Wish] = []
    for kind, number in zip(kinds, rng.multinomial(groups, shares), strict=True):
        passes = [rng.permutation(len(kind)) for _ in range(-(-int(number) // len(kind)))]
        few += [kind[index] for index in np.concatenate([np.zeros(0, int), *passes])[:number]]
    return [_ask(few[int(index)], rng) for index in rng.permutation(np.arange(count) % groups)]


def _ask(wish: Wish, rng: np.random.Generator) -> Asked:
    if wish.measure is None:
        return Asked(wish, 0.0, say(wish, [wish], {}, rng))
    far = wish.measure.by[int(rng.choice(3, p=SIZE_RATES))] * float(np.exp(rng.normal(0, 0.15)))
    twin = twin_of(wish)
    told = [wish, twin] if twin is not wish and rng.random() < BOTH_RATE else [wish]
    return Asked(wish, far, say(wish, told, {each.name: each.sign * far for each in told}, rng))


# ---- meeting them ----


def _follow(poses: Tensor, asked: Sequence[Asked]) -> tuple[Tensor, Tensor]:
    """Poses (N, 22, 3) after an order each, and (N,) bool which were changed as it says and look no worse."""
    rows_of: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for row, each in enumerate(asked):
        rows_of[each.wish.name, each.wish.sign, len(each.wanted)].append(row)
    after, met = poses.clone(), torch.zeros(len(poses), dtype=torch.bool)
    for rows in rows_of.values():
        far = torch.tensor([asked[row].far for row in rows])
        after[rows], met[rows] = _meet(poses[rows], asked[rows[0]].wanted, far)
    return after, met


def _meet(poses: Tensor, wanted: Sequence[Wish], far: Tensor) -> tuple[Tensor, Tensor]:
    """The same wishes of N poses, by ``far`` (N,)."""
    points, name = load_body().points(poses), wanted[0].name
    if name in ("left_turn", "right_turn"):
        sign = wanted[0].sign * (1.0 if name == "left_turn" else -1.0)
        return _turned(poses, sign * far), torch.ones(len(poses), dtype=torch.bool)
    if name == AROUND:
        return _turned(poses, torch.full((len(poses),), 180.0)), torch.ones(len(poses), dtype=torch.bool)
    missed, sensible = _conditions(wanted, points, far)
    begun, posture = poses, order_words().postures.get(name)
    if posture is not None:
        begun = _in_posture(poses, points, name)
    elif wanted[0].measure is None:
        state = order_words().states.get(name)
        joints: Vectors = {}
        for each in (*name.split("+"), *(state.codes if state else ())):
            joints |= order_words().begins.get(each, {})
        begun = torch.stack([with_joints(pose, joints) for pose in poses])
    standing = _Standing(points)
    goals = partial(_goals, missed, standing)
    limbs = frozenset[str]().union(*(limbs_in(w.measure.of if w.measure else " ".join(w.checks)) for w in wanted))
    if posture is not None:
        limbs = frozenset({"left_leg", "right_leg", "head"})
    found = poses.clone()
    met = torch.zeros(len(poses), dtype=torch.bool)
    left = sensible.nonzero()[:, 0]
    turns = {joint: 1.0 for w in wanted if w.measure for joint in w.measure.turns}
    for free in _freedoms(limbs, turns, posture is not None):
        if len(left) > MOST_UNMET * len(poses):
            held = torch.zeros(len(left), len(POINT_NAMES), 3) if posture else _held(points[left], limbs, name)
            of_rows = partial(goals, left)
            new = least_changes(poses[left], begun[left], of_rows, free, held)
            good = _is_met(load_body().points(new), points[left], partial(missed, left), name)
            found[left[good]], met[left[good]] = new[good], True
            left = left[~good]
    return found, met


def _conditions(wanted: Sequence[Wish], points: Tensor, far: Tensor) -> tuple[Callable[..., Tensor], Tensor]:
    """What is missed by poses that stand for these rows, (N, C), and (N,) bool where there is something to do."""
    now = Measurements(points)
    parts: list[Callable[[Measurements, Tensor], Tensor]] = []
    sensible = torch.ones(len(points), dtype=torch.bool)
    for wish in wanted:
        if wish.measure is None:
            checks = [compile_check(check) for check in wish.checks]
            parts += [partial(_unmet, check) for check in checks]
            sensible &= torch.stack([check.margin(now) < 0 for check in checks]).any(dim=0)
        else:
            measure, quantity = wish.measure, compile_quantity(wish.measure.of)
            was = torch.as_tensor(quantity(now))
            goal = torch.minimum(was + wish.sign * far, was.clamp_min(measure.high))
            goal = torch.maximum(goal, was.clamp_max(measure.low))
            sensible &= (goal - was).abs() > 0.7 * far
            parts.append(partial(_apart, quantity, goal, unit_of(measure.of)))

    def missed(rows: Tensor, m: Measurements) -> Tensor:
        return torch.stack([part(m, rows) for part in parts], dim=1)

    return missed, sensible


def _unmet(check: Check, m: Measurements, rows: Tensor) -> Tensor:
    return (TO_SPARE - check.margin(m)).clamp_min(0)


def _apart(quantity: Evaluate, goal: Tensor, unit: float, m: Measurements, rows: Tensor) -> Tensor:
    return (torch.as_tensor(quantity(m)) - goal[rows]).abs() / unit


class _Standing:
    """How N poses stand before they are changed; see ``pose_rft.posescript.edits.targets.Standing``."""

    def __init__(self, points: Tensor) -> None:
        now = Measurements(points)
        tilt, supporting = supporting_soles(points)
        self.tilt, self.supporting = tilt.clamp_min(LEVEL), supporting
        self.balanced = supporting.any(dim=1) & (now.measure("support", ()) < UNITS["support"])
        self.nod = now.measure("nod", ()).abs().clamp_min(COMFORTABLE_NOD)

    def worsened(self, m: Measurements, rows: Tensor) -> Tensor:
        """(N, 4) of nod, balance and soles; overlap takes too long, and poses with more of it are left out."""
        soles = torch.stack([m.measure("sole", (f"{side}_ankle",)) for side in ("left", "right")], dim=1)
        columns = [
            (m.measure("nod", ()).abs() - self.nod[rows]) / UNITS["nod"],
            (m.measure("support", ()) - 0.02) / UNITS["support"] * self.balanced[rows],
            *((soles - self.tilt[rows]) / UNITS["sole"] * self.supporting[rows]).unbind(dim=1),
        ]
        return torch.stack(columns, dim=1).clamp_min(0)


def _goals(missed: Callable[..., Tensor], standing: _Standing, rows: Tensor, points: Tensor) -> Tensor:
    m = Measurements(points)
    return torch.cat([missed(rows, m), 0.5 * standing.worsened(m, rows)], dim=1)


def _is_met(after: Tensor, before: Tensor, missed: Callable[..., Tensor], name: str) -> Tensor:
    was, now = plausibility(before), plausibility(after)
    good = missed(Measurements(after)).amax(dim=1) < NEAR
    for kind, more in WORSE.items():
        if kind != "sole" or name not in TILTS_SOLES:
            good &= now[kind] <= was[kind] + more
    return good


def _held(points: Tensor, limbs: frozenset[str], name: str) -> Tensor:
    """(N, 32, 3) what stands on the floor and is not to be moved; where nothing is left of it, its height."""
    touching = clearance(points) < NEAR_THE_FLOOR
    sides = {limb.split("_")[0] for limb in limbs if limb.endswith("_leg")}
    moves_feet = len(sides) == 1 or any(word in name for word in ("foot", "feet"))
    own = torch.tensor([moves_feet and point.split("_")[0] in sides for point in POINT_NAMES])
    held = touching & ~own
    level = touching & ~held.any(dim=1, keepdim=True)
    weights = held.float()[..., None].repeat(1, 1, 3)
    weights[..., 1] += level.float()
    return weights


def _freedoms(limbs: frozenset[str], turns: dict[str, float], posture: bool) -> Iterator[dict[str, float]]:
    core: dict[str, float] = {}
    wide: dict[str, float] = {}
    for limb in sorted(limbs):
        core |= CORE[limb]
        wide |= WIDE[limb]
    if any(limb.endswith("_leg") for limb in limbs):
        wide |= SHIFT
    yield turns or core
    yield wide | SPINE if not posture else core | SPINE | {"pelvis": 1.0}


def _turned(poses: Tensor, degrees: Tensor) -> Tensor:
    """Poses turned about the vertical, to the left, by (N,) degrees."""
    upright = torch.zeros(len(poses), 3)
    upright[:, 1] = torch.deg2rad(degrees)
    turned = poses.clone()
    turned[:, 0] = roma.rotmat_to_rotvec(roma.rotvec_to_rotmat(upright) @ roma.rotvec_to_rotmat(poses[:, 0]))
    return turned


def _in_posture(poses: Tensor, points: Tensor, name: str) -> Tensor:
    """Legs and pelvis as a posture begins, facing as before."""
    posture = order_words().postures[name]
    joints = posture.joints | dict.fromkeys(("left_foot", "right_foot"), (0.0, 0.0, 0.0))
    begun = torch.stack([with_joints(pose, joints) for pose in poses])
    begun[:, 0] = torch.deg2rad(torch.tensor([posture.pitch, 0.0, 0.0]))
    return _turned(begun, Measurements(points).measure("turn", ()))
