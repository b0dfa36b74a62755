"""Editing a pose by an order: what is said comes true, exactly, and all else stays.

The order is read (``orders``), turned into conditions (``targets``) and met by the least change of the pose
(``pose_rft.body.least_change``). Where that is met by turning few joints, no other moves. Turns of the whole body, the
mirror image and postures ("sit down") have their own way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import roma
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX, mirror_pose
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.edits.order_words import (
    Meaning,
    Posture,
    Vectors,
    mirrored_vectors,
    order_words,
    orders_table,
)
from pose_rft.posescript.edits.orders import Amount, Demand, Order, read_order
from pose_rft.posescript.edits.solving import nearest, settled_posture
from pose_rft.posescript.edits.targets import (
    SIDES,
    TO_SPARE,
    UNIT_METRES,
    Condition,
    Standing,
    change_target,
    measured,
    to_hold,
    to_value,
    unit_of,
)
from pose_rft.posescript.measurements import Measurements
from pose_rft.posescript.mentions import code_of
from pose_rft.posescript.posecodes import exchange_sides

Status = Literal["done", "partly", "already", "cannot"]
FACING = {"body.facing_left": 90.0, "body.facing_right": -90.0, "body.facing_away": 180.0, "body.facing_front": 0.0}
REACHED = 0.25  # units within which a value counts as reached
SIZES = ("little", "some", "much", "all")


@dataclass(frozen=True)
class Outcome:
    """What became of one demand.

    Attributes:
        words: of the order.
        status: "partly" went as far as it goes, "already" changed nothing, "cannot" needs something that was not given.
        detail: how far, or what is missing; may be empty.
    """

    words: str
    status: Status
    detail: str = ""


@dataclass(frozen=True, eq=False)
class Edited:
    """A pose after an order.

    Attributes:
        pose: (22, 3) axis-angle, radians; the given one where nothing was done.
        before: the given one.
        order: as it was understood.
        outcomes: of its demands, in their order.
    """

    pose: Tensor
    before: Tensor
    order: Order
    outcomes: tuple[Outcome, ...]


def edit_pose(pose: Tensor, instruction: str, history: Sequence[Edited] = (), strength: float = 1.0) -> Edited:
    """Change a pose as an order says.

    Args:
        pose: (22, 3) axis-angle, radians.
        instruction: in ordinary words.
        history: earlier edits, the last one last: what "undo", "again" and "do the same with the right arm" go back to.
        strength: factor of amounts that are told in words; other values give other poses that follow the order as well.
    """
    order = read_order(instruction, last_part(history))
    demands = _repeated(order.demands, history)
    edit = _Edit(pose.detach().float().cpu(), strength)
    waiting: list[Demand] = []
    outcomes: list[Outcome] = []
    for demand in demands:
        kind = demand.meanings[0].kind if demand.meanings else "state"
        if kind in ("change", "state") and not edit.turns_round(demand):
            waiting.append(demand)
            continue
        outcomes += edit.solve(waiting)
        waiting = []
        outcomes.append(edit.as_a_whole(demand, history))
    outcomes += edit.solve(waiting)
    return Edited(edit.pose, pose.detach().float().cpu(), order, tuple(outcomes))


def last_part(history: Sequence[Edited]) -> str:
    """The part of the body that the last edit was about, such as "left arm", or ""."""
    return history[-1].order.demands[-1].part if history and history[-1].order.demands else ""


def _repeated(demands: Sequence[Demand], history: Sequence[Edited]) -> list[Demand]:
    """The demands, with those that repeat an earlier one in its place."""
    found: list[Demand] = []
    for demand in demands:
        name = demand.meanings[0].name if demand.meanings else ""
        earlier = found or [each for each in (history[-1].order.demands if history else ()) if each.meanings]
        if name == "same" and earlier:
            side = demand.part.split(" ")[0]
            found += [_on_side(each, side, demand.words) for each in (earlier[-1:] if found else earlier)]
        elif name in ("again", "less_again") and earlier:
            back = -1 if name == "less_again" else 1
            meanings = [m._replace(sign=m.sign * back) for each in earlier for m in each.meanings if m.kind == "change"]
            amount = demand.amount if demand.amount.said else Amount("little" if back < 0 else "some", said=True)
            found.append(Demand(demand.words, tuple(meanings), (), amount, earlier[-1].part) if meanings else demand)
        else:
            found.append(demand)
    return found


def _on_side(demand: Demand, side: str, words: str) -> Demand:
    """A demand about one side as one about this side; what is about neither stays."""
    if side not in SIDES or exchange_sides(side) not in " ".join([demand.part, *(m.name for m in demand.meanings)]):
        return replace(demand, words=words)
    meanings = tuple(m._replace(name=exchange_sides(m.name)) for m in demand.meanings)
    codes = tuple(map(exchange_sides, demand.codes))
    return Demand(words, meanings, codes, demand.amount, exchange_sides(demand.part))


class _Edit:
    """A pose on its way."""

    def __init__(self, pose: Tensor, strength: float) -> None:
        self.pose, self.strength = pose, strength
        self.spare = TO_SPARE * max(1.0, strength)

    @property
    def points(self) -> Tensor:
        return load_body().points(self.pose)

    # ---- changes and states: the least change ----

    def solve(self, demands: Sequence[Demand]) -> list[Outcome]:
        """Meet these together."""
        points, standing = self.points, Standing(self.points)
        asked = [self._conditions(demand, points) for demand in demands]
        conditions = [each for some in asked for each in some]
        if any(each.limbs for each in conditions):
            begun = with_joints(self.pose, self._begins(demands, asked))
            self.pose = nearest(self.pose, begun, conditions, standing)
        after = self.points
        return [self._outcome(demand, some, points, after) for demand, some in zip(demands, asked, strict=True)]

    def _begins(self, demands: Sequence[Demand], asked: Sequence[Sequence[Condition]]) -> Vectors:
        """Where limbs begin that are to come into a state which does not hold yet."""
        joints: Vectors = {}
        for demand, conditions in zip(demands, asked, strict=True):
            if not demand.amount.said and any(each.limbs for each in conditions):
                names = [*(m.name for m in demand.meanings if m.kind == "state"), *demand.codes]
                states = [order_words().states[name] for name in names if name in order_words().states]
                for name in (*names, *(code for state in states for code in state.codes)):
                    joints |= order_words().begins.get(name, {})
        return joints

    def _conditions(self, demand: Demand, points: Tensor) -> list[Condition]:
        """A state where one is said that does not hold yet, else a change."""
        checks = _checks(demand)
        changes = _changes(demand)
        holds = bool(checks) and bool(satisfied(checks, points[None]).all())
        if checks and not (changes and (demand.amount.said or holds)):
            return [to_hold(check, points, self.spare) for check in checks]
        return [to_value(order_words().measures[m.name], self._value(demand, m, points)) for m in changes]

    def _value(self, demand: Demand, meaning: Meaning, points: Tensor) -> float:
        measure = order_words().measures[meaning.name]
        now = measured(measure.of, points)
        return change_target(measure, meaning.sign, demand.amount, meaning.amount, now, self.strength)

    def _outcome(self, demand: Demand, conditions: Sequence[Condition], before: Tensor, after: Tensor) -> Outcome:
        if not conditions:
            return Outcome(demand.words, "cannot", "what it refers to was not given")
        if not any(each.limbs for each in conditions):
            return Outcome(demand.words, "already")
        if any(not float(each.missed(Measurements(before[None]))) <= 0 for each in conditions):
            missed = max(float(each.missed(Measurements(after[None]))) for each in conditions)
            changes = () if _checks(demand) and not demand.amount.said else _changes(demand)
            detail = ", ".join(dict.fromkeys(_told(meaning, before, after) for meaning in changes))
            short = any(_falls_short(meaning, demand.amount, before, after) for meaning in changes)
            return Outcome(demand.words, "partly" if short or missed > REACHED else "done", detail)
        return Outcome(demand.words, "already")

    # ---- what changes the whole pose ----

    def turns_round(self, demand: Demand) -> bool:
        """Whether a demand turns the whole body about the vertical."""
        names = {*(meaning.name for meaning in demand.meanings), *demand.codes}
        return bool(names & {"left_turn", "right_turn", *FACING}) or _posture(demand) is not None

    def as_a_whole(self, demand: Demand, history: Sequence[Edited]) -> Outcome:
        """Turn, mirror, relax, undo, or take a posture."""
        names = {*(meaning.name for meaning in demand.meanings), *demand.codes}
        posture = _posture(demand)
        if posture is not None:
            return self._take(posture, demand)
        if facing := [FACING[name] for name in FACING if name in names]:
            return self._face(facing[0], demand)
        if names & {"left_turn", "right_turn"}:
            turns = [meaning for meaning in demand.meanings if meaning.name.endswith("_turn")]
            degrees = self._value(demand, turns[0], self.points) - measured(
                order_words().measures[turns[0].name].of, self.points
            )
            return self._turn(degrees if turns[0].name == "left_turn" else -degrees, demand)
        if "around" in names:
            return self._turn(180.0, demand)
        if "face_front" in names:
            return self._face(0.0, demand)
        if "mirror" in names:
            self.pose = mirror_pose(self.pose)
            return Outcome(demand.words, "done")
        if "relax" in names:
            return self._relax(demand)
        if "undo" in names and history:
            self.pose = history[-1].before
            return Outcome(demand.words, "done")
        if "stay" in names:
            return Outcome(demand.words, "already")
        return Outcome(demand.words, "cannot", "there is no earlier order to go back to")

    def _face(self, degrees: float, demand: Demand) -> Outcome:
        return self._turn((degrees - measured("turn()", self.points) + 180) % 360 - 180, demand)

    def _turn(self, degrees: float, demand: Demand) -> Outcome:
        """Turn about the vertical, to the left."""
        about = roma.rotvec_to_rotmat(torch.deg2rad(torch.tensor([0.0, degrees, 0.0])))
        self.pose = self.pose.clone()
        self.pose[0] = roma.rotmat_to_rotvec(about @ roma.rotvec_to_rotmat(self.pose[0]))
        return Outcome(demand.words, "done", f"{abs(degrees):.0f} degrees")

    def _relax(self, demand: Demand) -> Outcome:
        share = orders_table()["relaxing"][SIZES.index(demand.amount.size)]
        pose = self.pose.clone()
        left: Vectors = orders_table()["relaxed"]
        relaxed = with_joints(self.pose, mirrored_vectors(left) | left)
        for joint in {JOINT_INDEX[name] for name in (*left, *mirrored_vectors(left))}:
            ends = (roma.rotvec_to_unitquat(vector[joint]) for vector in (self.pose, relaxed))
            between = roma.utils.unitquat_slerp(*ends, torch.tensor(min(1.0, share * self.strength)), True)
            pose[joint] = roma.unitquat_to_rotvec(between)
        self.pose = pose
        return Outcome(demand.words, "done")

    def _take(self, posture: Posture, demand: Demand) -> Outcome:
        """Legs and pelvis as in the posture, then the least change that makes it hold."""
        check = code_of(posture.code).check
        if bool(satisfied([check], self.points[None])):
            return Outcome(demand.words, "already")
        heading = torch.tensor([0.0, measured("turn()", self.points), 0.0])
        pose = with_joints(self.pose, posture.joints | dict.fromkeys(("left_foot", "right_foot"), (0.0, 0.0, 0.0)))
        upright, pitched = (
            roma.rotvec_to_rotmat(torch.deg2rad(v)) for v in (heading, torch.tensor([posture.pitch, 0.0, 0.0]))
        )
        pose[0] = roma.rotmat_to_rotvec(upright @ pitched)
        self.pose = settled_posture(pose, check, self.points, self.spare)
        met = bool(satisfied([check], self.points[None]))
        return Outcome(demand.words, "done" if met else "partly")


def conditions_of(demand: Demand, points: Tensor) -> list[Condition]:
    """What a pose has to reach that does what a demand asks of one with these points (32, 3).

    Empty for what is no condition on a single pose: turns, the mirror image, what goes back to earlier orders.
    """
    edit = _Edit(torch.zeros(len(JOINT_INDEX), 3), 1.0)
    posture = _posture(demand)
    if posture is not None:
        return [to_hold(code_of(posture.code).check, points, 0.0)]
    is_local = all(meaning.kind in ("change", "state") for meaning in demand.meanings)
    return edit._conditions(demand, points) if is_local and not edit.turns_round(demand) else []


def with_joints(pose: Tensor, joints: Vectors) -> Tensor:
    """A pose with these joints turned as they say."""
    pose = pose.clone()
    for name, vector in joints.items():
        pose[JOINT_INDEX[name]] = torch.deg2rad(torch.tensor(vector, dtype=torch.float32))
    return pose


def _checks(demand: Demand) -> tuple[str, ...]:
    """The checks of the state that a demand names."""
    states = [meaning.name for meaning in demand.meanings if meaning.kind == "state"]
    own = [order_words().states[name] for name in states if name in order_words().states]
    codes = [code for state in own for code in state.codes]
    checks = [check for state in own for check in state.checks]
    if not own:
        codes = list(demand.codes) or states
    return tuple(dict.fromkeys([*checks, *(code_of(code).check for code in codes)]))


def _changes(demand: Demand) -> tuple[Meaning, ...]:
    """The changes that a demand asks for: of what its words may mean the first, for each side."""
    changes = [meaning for meaning in demand.meanings if meaning.kind == "change"]
    kept: dict[str, Meaning] = {}
    for meaning in changes:
        if meaning.name in (changes[0].name, exchange_sides(changes[0].name)):
            kept.setdefault(meaning.name, meaning)
    return tuple(kept.values())


def _posture(demand: Demand) -> Posture | None:
    postures = order_words().postures
    for meaning in demand.meanings:
        if meaning.kind == "posture":
            return postures[meaning.name]
    return next((posture for posture in postures.values() if posture.code in demand.codes), None)


def _falls_short(meaning: Meaning, amount: Amount, before: Tensor, after: Tensor) -> bool:
    """Whether a quantity has changed by clearly less than a number that was said."""
    of = order_words().measures[meaning.name].of
    if amount.value is None or amount.absolute or amount.is_length != (unit_of(of) == UNIT_METRES):
        return False
    return abs(measured(of, after) - measured(of, before)) < amount.value - REACHED * unit_of(of)


def _told(meaning: Meaning, before: Tensor, after: Tensor) -> str:
    """By how much a quantity has changed, in words."""
    of = order_words().measures[meaning.name].of
    change = abs(measured(of, after) - measured(of, before))
    return f"{change * 100:.0f} cm" if unit_of(of) == UNIT_METRES else f"{change:.0f} degrees"
