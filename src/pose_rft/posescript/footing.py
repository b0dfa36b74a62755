"""Footing: which parts of a body are meant to bear it on the floor.

A sampled or averaged pose meets the floor nearly, not exactly: a palm hangs 8 cm above it, one foot is lower than the
other, a sole tilts. What touches is told by its clearance. A body that would fall over as it is falls until something
else bears it, so parts that the fall reaches soon are meant to bear it too.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pose_rft.body.landmarks import POINT_INDEX, POINT_NAMES
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.posescript.balance import centre_of_mass, clearance, nearest_mean, way_to_hull
from pose_rft.posescript.measurements import Measurements

SIDES = ("left", "right")
TOUCHING = 0.03  # metres above the floor within which a part touches it
STEPPING = 0.05  # the same of a foot
FLAT = 28.0  # degrees of a sole from the floor within which a foot that touches is meant to stand flat
LEVEL = 0.03  # metres within which the points of one hand or foot are equally low
BALANCED, LEANING = 0.02, 0.14  # metres of the weight from over what bears it: none to mend; who leans, sits or flies
LOW_SEAT = 0.25  # metres of the pelvis over the floor, under which a body lies or sits and does not fall
FALL, REACH = 14.0, 0.25  # degrees and metres of a fall within which a part is meant to bear the body
BEARING = 0.02  # metres by which another part must bring the bearing under the weight, to be one that bears
STEADY_MARGIN = 0.02  # metres that the weight is brought inside the rim of the bearing
RESCUED = 0.1  # metres from balance at most, after a fall

FEET = {side: tuple(POINT_INDEX[f"{side}_{point}"] for point in ("heel", "foot", "toes")) for side in SIDES}
HANDS = {side: tuple(POINT_INDEX[f"{side}_{point}"] for point in ("palm", "fingers")) for side in SIDES}
_LIMB_ENDS = ("ankle", "foot", "heel", "toes", "wrist", "palm", "fingers", "collar", "face")
_SINGLE = [name for name in POINT_NAMES if not name.endswith(_LIMB_ENDS)]
PARTS = {f"{side} foot": FEET[side] for side in SIDES} | {f"{side} hand": HANDS[side] for side in SIDES}
PARTS |= {name: (POINT_INDEX[name],) for name in _SINGLE}


@dataclass(frozen=True)
class Footing:
    """What bears N bodies.

    Attributes:
        bearing: (N, 32) bool, points whose skin is meant to be on the floor.
        flat: (N, 2) bool, whether the left and right sole are meant to be level.
        steady: (N,) bool, whether the weight is to be brought over what bears it.
        under: (N, 32) weights of the bearing points whose mean the weight is to be brought over.
        falls: (N,) bool, whether parts bear it that do not touch yet.
    """

    bearing: Tensor
    flat: Tensor
    steady: Tensor
    under: Tensor
    falls: Tensor


def find_footing(points: Tensor) -> Footing:
    """The footing of poses, (N, 32, 3) joints and landmarks in metres."""
    above, measured = clearance(points), Measurements(points)
    tilt = torch.stack([measured.measure("sole", (f"{side}_ankle",)) for side in SIDES], dim=1)
    ground = points[..., [0, 2]] - centre_of_mass(points[:, :NUM_JOINTS])[:, None, [0, 2]]
    return Footing(*map(torch.stack, zip(*map(_footing, above, tilt, ground), strict=True)))


def _footing(above: Tensor, tilt: Tensor, ground: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """One pose's: clearances (32,), tilts of the soles (2,) and places on the ground from under the weight (32, 2)."""
    flat_foot = {f"{side} foot": bool(tilt[number] < FLAT) for number, side in enumerate(SIDES)}
    low = {part: float(above[list(points)].min()) for part, points in PARTS.items()}

    def mask(parts: list[str]) -> Tensor:
        bearing = torch.zeros(len(above), dtype=torch.bool)
        for part in parts:
            whole = flat_foot.get(part, False)
            bearing[[point for point in PARTS[part] if whole or above[point] < low[part] + LEVEL]] = True
        return bearing

    def way(parts: list[str]) -> Tensor:
        """(2,) from under the weight to what these parts bear."""
        corners = ground[mask(parts)]
        if not len(corners):
            return torch.full((2,), math.inf)
        return way_to_hull(torch.cat([corners, corners[:1]])[None])[0]  # a hull has two corners at least

    touching = [part for part in PARTS if low[part] < (STEPPING if part in flat_foot else TOUCHING)]
    parts = list(touching)
    upright = float(above[POINT_INDEX["pelvis"]]) > LOW_SEAT
    if upright:
        while new := _reached_by_fall(parts, way, low, above, ground):
            parts.append(new)
        if way(parts).norm() > RESCUED:  # no fall rights it: it leans on something, sits or flies
            parts = touching
    bearing, off = mask(parts), float(way(parts).norm())
    needs_hands = float(way([part for part in parts if "hand" not in part]).norm()) > BALANCED
    for side, points in HANDS.items():
        if f"{side} hand" in parts and (needs_hands or above[points[0]] < TOUCHING):  # a hand that bears lies flat
            bearing[list(points)] = True
    flat = torch.tensor([part in parts and is_flat for part, is_flat in flat_foot.items()])
    steady = upright and BALANCED < off < LEANING
    return bearing, flat, torch.tensor(steady), _under(bearing, ground), torch.tensor(parts != touching)


def _under(bearing: Tensor, ground: Tensor) -> Tensor:
    """(32,) weights of the point of the bearing that is nearest to the weight, a little way inside."""
    weights, points = torch.zeros(len(bearing)), bearing.nonzero()[:, 0]
    if len(points) > 1:
        corners = ground[points]
        rim = nearest_mean(corners)
        inwards = (corners.mean(dim=0) - rim @ corners).norm()
        inside = (STEADY_MARGIN / inwards.clamp_min(1e-6)).clamp_max(1)
        weights[points] = (1 - inside) * rim + inside / len(points)
    return weights


def _reached_by_fall(
    parts: list[str], way: Callable[[list[str]], Tensor], low: dict[str, float], above: Tensor, ground: Tensor
) -> str | None:
    """Of the parts that would bear a falling body better, the one that it reaches first; None where it stands."""
    pivot = way(parts)
    off = float(pivot.norm())
    if not BALANCED < off < math.inf:
        return None
    reached: list[tuple[float, str]] = []
    for part in [part for part in PARTS if part not in parts]:
        lowest = min(PARTS[part], key=lambda point: float(above[point]))
        ahead = float((ground[lowest] - pivot) @ -pivot) / off  # metres beyond the pivot, the way it falls
        fall = math.degrees(math.atan2(low[part], ahead))
        if ahead > STEPPING and low[part] < REACH and fall < FALL and way([*parts, part]).norm() < off - BEARING:
            reached.append((fall, part))
    return min(reached)[1] if reached else None
