"""Solving what is asked: the least change that meets conditions, by as few joints as will do."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.least_change import MET, Change, Freedom, Goal, least_change
from pose_rft.posescript.checks import UNIT_DEGREES, UNIT_METRES
from pose_rft.posescript.edits.targets import ALL, CORE, SPINE, Condition, Standing, freedoms, sunk, to_hold
from pose_rft.posescript.measurements import Measurements

WORSE, SLIPPED = 0.25, 0.03  # what may be lost in plausibility (units), and what a foot may slip (metres)
LOOKS_UP = 25.0  # degrees up or down that somebody in a posture looks at most


def nearest(pose: Tensor, begun: Tensor, conditions: Sequence[Condition], standing: Standing) -> Tensor:
    """The least change (22, 3) that meets the conditions, by as few joints as will do.

    Args:
        pose: as it is.
        begun: the same with limbs where they begin; what is changed least is this.
    """
    best, least = pose, float("inf")
    for freedom in freedoms(conditions, standing):
        found = least_change(pose, _goal(conditions, standing, freedom), freedom, begun)
        missed = found.missed[: len(conditions)]
        worse = standing.worsened(Measurements(load_body().points(found.pose)[None]), *_stands(conditions, freedom))
        bad = 10 * float((missed - MET).clamp_min(0).sum()) + float((worse - WORSE).clamp_min(0).sum())
        bad += 10 * max(0.0, found.slipped - SLIPPED)
        if bad < least - 0.05:
            best, least = found.pose, bad
        if bad <= 0.0:
            break
    return best


def _stands(conditions: Sequence[Condition], freedom: Freedom) -> tuple[bool, bool]:
    """Whether soles should stay flat, and whether the weight should stay over the feet: as far as legs turn."""
    feet = any(name.endswith(("_hip", "_knee", "_ankle", "pelvis")) for name in freedom.joints)
    return feet and not any("soles" in each.limbs for each in conditions), feet


def _goal(conditions: Sequence[Condition], standing: Standing, freedom: Freedom) -> Goal:
    soles, feet = _stands(conditions, freedom)
    # A leg that is lifted does not swing to the other side to keep the balance; the body shifts over the other foot.
    balance = feet and ("pelvis" in freedom.joints or standing.touching <= freedom.held.keys())
    held = sorted(freedom.held) if feet else []

    def goal(points: Tensor) -> Tensor:
        m = Measurements(points)
        rows = [each.missed(m) for each in conditions] + [0.5 * standing.worsened(m, soles, balance)]
        if held:
            rows.append(0.5 * sunk(m, held))
        return torch.cat(rows)

    return goal


def settled_posture(pose: Tensor, check: str, before: Tensor, spare: float) -> Tensor:
    """A posture that holds, near to this one: soles flat, the weight over the feet, no limb through another."""
    points = load_body().points(pose)
    now = Standing(points)
    must = [to_hold(check, points, spare)]
    overlap = max(float(Measurements(before[None]).measure("overlap", ())), 0.02)

    def goal(points: Tensor) -> Tensor:
        m = Measurements(points)
        rows = [each.missed(m) for each in must]
        rows += [0.5 * (m.measure("sole", (ankle,)) / UNIT_DEGREES - 0.1).clamp_min(0) for ankle, _ in now.soles]
        rows += [0.5 * (m.measure("support", ()) - 0.02).clamp_min(0) / UNIT_METRES] if now.soles else []
        rows += [0.5 * (m.measure("overlap", ()) - overlap).clamp_min(0) / UNIT_METRES]
        rows += [0.3 * (m.measure("gaze", ()).abs() - LOOKS_UP).clamp_min(0) / UNIT_DEGREES]
        return torch.cat(rows)

    legs = CORE["left_leg"] | CORE["right_leg"] | {"pelvis": 1.0}
    found: Change | None = None
    for joints in (legs | CORE["head"], legs | CORE["head"] | SPINE, ALL):
        found = least_change(pose, goal, Freedom(joints))
        if found.is_met:
            break
    assert found is not None
    return found.pose
