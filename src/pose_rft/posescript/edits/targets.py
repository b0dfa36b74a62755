"""From what is asked to what is solved: conditions on a pose, the joints that may turn, and what should stay put.

A change becomes a value that a quantity has to reach, a state becomes checks that have to hold with something to spare.
Of a check only the parts that do not hold yet say which limbs may move; the others are kept. Beside what is asked, an
edit must not make the pose less plausible than it was (``pose_rft.posescript.plausibility``).
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pose_rft.body.landmarks import POINT_INDEX, POINT_NAMES
from pose_rft.body.least_change import Freedom
from pose_rft.body.skeleton import JOINT_NAMES
from pose_rft.posescript.balance import FLESH, NEAR_THE_FLOOR, clearance
from pose_rft.posescript.check_syntax import DEGREES, parse, written
from pose_rft.posescript.checks import UNIT_DEGREES, UNIT_METRES, compile_check, compile_quantity
from pose_rft.posescript.edits.order_words import Measure
from pose_rft.posescript.edits.orders import Amount
from pose_rft.posescript.measurements import Measurements
from pose_rft.posescript.plausibility import COMFORTABLE_NOD, UNITS, supporting_soles

SIDES = ("left", "right")
TO_SPARE = 0.2  # units (4 degrees, 2 cm) that what is to come true holds with
LEVEL = 3.0  # degrees that a sole may always be tilted
TOUCH = 0.01  # metres of overlap that nobody sees
_ARM = re.compile(r"(left|right)_(?:elbow|wrist|hand|forearm|upper_arm|fingers|palm|arm)\b")
_LEG = re.compile(r"(left|right)_(?:knee|ankle|foot|heel|toes|thigh|shin|leg)\b")
_BEND = re.compile(r"angle\((left|right)_(hip|shoulder)\)")
_HEAD = re.compile(r"\b(?:nod|gaze|head_turn|head_tilt)\(")
_SOLES = re.compile(r"sole\(|height\((?:left|right)_(?:heel|toes)\)")
_SEAT = re.compile(r"(?:height|y)\(pelvis\)")

SPINE = {"spine1": 1.0, "spine2": 1.0, "spine3": 1.0}
HINGED = {"pelvis": 0.4, "left_hip": 0.3, "right_hip": 0.3}  # bending at the hips comes easier than in the back
SHIFT = {"pelvis": 0.5, "left_hip": 0.7, "right_hip": 0.7, "left_ankle": 0.5, "right_ankle": 0.5}  # of the weight
ALL = dict.fromkeys(JOINT_NAMES, 1.0)
CORE = {"head": {"neck": 1.0, "head": 1.0}, "trunk": SPINE | HINGED, "soles": {}}  # limb -> the joints that move it
WIDE = {"head": CORE["head"] | {"spine3": 1.5}, "trunk": CORE["trunk"], "soles": SHIFT}  # and those that help
for _side in SIDES:
    CORE["soles"] |= {f"{_side}_ankle": 1.0, f"{_side}_foot": 0.5}
    CORE[f"{_side}_arm"] = {f"{_side}_shoulder": 1.0, f"{_side}_elbow": 1.0}
    WIDE[f"{_side}_arm"] = CORE[f"{_side}_arm"] | {f"{_side}_collar": 2.0, f"{_side}_wrist": 1.0}
    CORE[f"{_side}_leg"] = {f"{_side}_hip": 1.0, f"{_side}_knee": 1.0, f"{_side}_ankle": 1.0}
    WIDE[f"{_side}_leg"] = CORE[f"{_side}_leg"] | {f"{_side}_foot": 1.0}


def limbs_in(text: str) -> frozenset[str]:
    """What would have to move for a condition on these names: left_arm, right_leg, head, trunk, ..."""
    if _SOLES.search(text):
        return frozenset({"soles"})
    arms = {f"{side}_arm" for side in _ARM.findall(text)}
    if arms and ("gap(" in text or "distance(" in text):
        return frozenset(arms)
    legs = {f"{side}_leg" for side in _LEG.findall(text)}
    for side, joint in _BEND.findall(text):
        (legs if joint == "hip" else arms).add(f"{side}_{'leg' if joint == 'hip' else 'arm'}")
    if _SEAT.search(text):
        legs |= {"left_leg", "right_leg"}
    found = arms | legs
    if _HEAD.search(text):
        found.add("head")
    return frozenset(found or {"trunk"})


@dataclass(frozen=True)
class Condition:
    """One thing that has to be reached.

    Attributes:
        missed: measurements of N poses -> (N,) how far it is missed, units of 20 degrees or 10 cm; 0 where it is met.
        limbs: what has to move for it; empty where it is met already.
        turns: joints that turn first, where they are known.
    """

    missed: Callable[[Measurements], Tensor]
    limbs: frozenset[str]
    turns: tuple[str, ...] = ()


def unit_of(expression: str) -> float:
    """Degrees or metres that count as one."""
    return UNIT_DEGREES if set(re.findall(r"[a-z_]+", expression)) & DEGREES else UNIT_METRES


def measured(expression: str, points: Tensor) -> float:
    """The value of an expression for one pose, (32, 3)."""
    return float(torch.as_tensor(compile_quantity(expression)(Measurements(points[None]))))


def change_target(
    measure: Measure, sign: int, amount: Amount, told: float | None, now: float, strength: float
) -> float:
    """The value that a quantity shall reach.

    Args:
        told: how much the words of the order tell by themselves.
        now: its value.
        strength: factor of amounts that are told in words.
    """
    if amount.size == "all":
        far = measure.high if sign > 0 else measure.low
        return far if abs(far) < 1e3 else now + sign * 2 * measure.by[2]
    if amount.value is not None and amount.absolute:
        bend = measure.name.endswith(("knee_angle", "elbow_angle"))
        value = 180 - amount.value if bend else amount.value * (1 if measure.low >= 0 else sign)
    elif amount.value is not None and amount.is_length == (unit_of(measure.of) == UNIT_METRES):
        value = now + sign * amount.value
    else:
        size = measure.by[("little", "some", "much").index(amount.size)]
        value = now + sign * strength * (told if told is not None and not amount.said else size)
    return min(max(value, min(measure.low, now)), max(measure.high, now))


def to_value(measure: Measure, value: float) -> Condition:
    """The condition that a quantity is at a value."""
    quantity, unit = compile_quantity(measure.of), unit_of(measure.of)

    def missed(m: Measurements) -> Tensor:
        return (torch.as_tensor(quantity(m)) - value).abs() / unit

    return Condition(missed, limbs_in(measure.of), measure.turns)


def to_hold(check: str, points: Tensor, spare: float = TO_SPARE) -> Condition:
    """The condition that a check holds with something to spare, for a pose whose points (32, 3) are those."""
    compiled = compile_check(check)
    now = Measurements(points[None])
    unmet = [part for part in _conjuncts(check) if float(compile_check(part).margin(now)) < spare]
    limbs = frozenset[str]().union(*map(limbs_in, unmet))
    return Condition(lambda m: (spare - compiled.margin(m)).clamp_min(0), limbs)


def _conjuncts(check: str) -> Iterator[str]:
    """The parts of a check that all have to hold."""
    tree = parse(check, "check")
    if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And):
        for part in tree.values:
            yield from _conjuncts(written(part))
    else:
        yield check


# ---- what stays as it is ----


class Standing:
    """How a pose stands, and how plausible it is, before it is changed.

    Attributes:
        touching: names of points that are on the floor.
        plausible: measurements of N poses -> (N, M) by how much they are less plausible than this one.
    """

    def __init__(self, points: Tensor) -> None:
        now = Measurements(points[None])
        self.touching = {
            name
            for name, height in zip(POINT_NAMES, clearance(points[None])[0], strict=True)
            if height < NEAR_THE_FLOOR
        }
        tilt, supporting = supporting_soles(points[None])
        self.soles = [(f"{side}_ankle", float(tilt[0, n])) for n, side in enumerate(SIDES) if supporting[0, n]]
        self.balanced = bool(self.soles) and float(now.measure("support", ())) < UNITS["support"]
        self.nod = max(COMFORTABLE_NOD, abs(float(now.measure("nod", ()))))
        self.overlap = float(now.measure("overlap", ())) + TOUCH

    def worsened(self, m: Measurements, soles: bool, feet: bool) -> Tensor:
        """(M,) by how much a pose is less plausible than this one.

        Args:
            soles: what stands shall stand on flat soles.
            feet: it still stands on its feet.
        """
        rows = [(m.measure("nod", ()).abs() - self.nod) / UNITS["nod"], (m.measure("overlap", ()) - self.overlap) / 0.1]
        if soles:
            rows += [(m.measure("sole", (ankle,)) - max(tilt, LEVEL)) / UNITS["sole"] for ankle, tilt in self.soles]
        if self.balanced and feet:
            rows.append((m.measure("support", ()) - 0.02) / UNITS["support"])
        return torch.cat(rows).clamp_min(0)


def sunk(m: Measurements, held: Sequence[str]) -> Tensor:
    """(1,) by how much something is below what stands on the floor, in units of 10 cm."""
    skin = m.points[..., 1] - FLESH.to(m.points)
    floor = skin[:, [POINT_INDEX[name] for name in held]].amin(dim=1)
    return (floor - skin.amin(dim=1) - TOUCH).clamp_min(0) / UNIT_METRES


def freedoms(conditions: Sequence[Condition], standing: Standing) -> Iterator[Freedom]:
    """What may move for these conditions, the least first: each next one is for what the one before did not reach."""
    limbs = frozenset[str]().union(*(each.limbs for each in conditions))
    known = {joint: 1.0 for each in conditions for joint in each.turns if each.limbs}
    core, wide = dict(known), dict(known)
    for each in conditions:
        for limb in each.limbs:
            core |= CORE[limb] if not each.turns else {}
            wide |= WIDE[limb]
    legs = tuple(f"{limb.split('_')[0]}_" for limb in limbs if limb.endswith("_leg"))
    feet = {name for name in standing.touching if name.startswith(legs)} if legs else set[str]()
    held = dict.fromkeys(standing.touching - feet, 1.0)
    if "soles" in limbs:
        held = {name: 1.0 for name in held if name.endswith(("_foot", "_toes"))}
    level = dict.fromkeys(feet, 1.0) if not held else {}
    if not legs:
        yield Freedom(core, held)
        yield Freedom(wide, held)
        yield Freedom(wide | SPINE | (HINGED if "trunk" in limbs else {}), held)
    else:
        if standing.soles:
            yield Freedom(core, dict.fromkeys(standing.touching, 1.0))
        yield Freedom(core, held, level)
        yield Freedom(wide | SHIFT, held, level)
        yield Freedom(wide | SHIFT | SPINE | CORE["left_leg"] | CORE["right_leg"], held, level)
    yield Freedom(ALL | HINGED, held, level)
