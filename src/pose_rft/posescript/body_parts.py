"""Parts of the body as rounded cones around the bones, and how far apart their surfaces are.

Joints alone do not say whether a hand touches a thigh: the thigh has flesh. Each part is therefore a segment whose ends
are placed by the joints, with a radius at both ends: how far the skin of the bundled body is from it at rest, as
``python -m benchmarks.contacts --radii`` prints it. Where that skin is not round, the radius is of the side that meets
other parts: half of a hand's or a foot's thickness, half of the depth of chest and belly. With poses, the same command
says how well all this does against the skin. It is a mean body's: whoever is stouter touches earlier. A hand goes on
straight from its forearm, as joints do not tell how a wrist is bent.
"""

from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from pose_rft.body.skeleton import JOINT_INDEX, NUM_JOINTS, mirrored_name
from pose_rft.storage import package_table

Radii = tuple[float, float] | Tensor  # at the start and at the end; a tensor is (2, ..., 1)
Place = dict[str, float]  # joint -> weight; the weights of a place add up to one


class Part(NamedTuple):
    """A part of the body, in the T-pose.

    Attributes:
        start, end: of its axis, as weighted means of joints (weights below 0 extrapolate).
        radii: at the start and at the end, metres.
        forward: how far the axis lies in front of that, as the chest faces, metres.
        skin: the joints whose skin is the part's.
    """

    start: Place
    end: Place
    radii: tuple[float, float]
    skin: tuple[str, ...]
    forward: float = 0.0


_LEFT_AND_MIDDLE = {
    name: Part(**entry | {"radii": tuple(entry["radii"]), "skin": tuple(entry["skin"])})
    for name, entry in package_table(__package__, "body_parts.yaml").items()
}


def _other_side(part: Part) -> Part:
    start, end = ({mirrored_name(name): weight for name, weight in place.items()} for place in (part.start, part.end))
    return part._replace(start=start, end=end, skin=tuple(map(mirrored_name, part.skin)))


PARTS = _LEFT_AND_MIDDLE | {
    mirrored_name(name): _other_side(part) for name, part in _LEFT_AND_MIDDLE.items() if name.startswith("left_")
}


def weights(place: Place) -> list[float]:
    """The weight of every joint, (22,)."""
    row = [0.0] * NUM_JOINTS
    for name, weight in place.items():
        row[JOINT_INDEX[name]] += weight
    return row


NAMES = tuple(PARTS)
PLACED = torch.tensor([weights(place) for part in PARTS.values() for place in (part.start, part.end)])  # (2 P, 22)
FORWARD = torch.tensor([part.forward for part in PARTS.values()])  # (P,)
TAPERED = {name for name, part in PARTS.items() if part.radii[0] != part.radii[1]}
POINTS = {name for name, part in PARTS.items() if part.start == part.end}


# Neighbours share flesh, or have it pressed together by the joint between them; all other pairs are strangers.
_LIMBS = (
    ("{}_hand", "{}_forearm"), ("{}_forearm", "{}_upper_arm"), ("{}_upper_arm", "chest"), ("{}_thigh", "hips"),
    ("{}_thigh", "belly"), ("{}_thigh", "{}_shin"), ("{}_shin", "{}_foot"),
)  # fmt: skip
_TRUNK = (("hips", "belly"), ("hips", "chest"), ("belly", "chest"), ("chest", "head"))
NEIGHBOURS = {
    frozenset(name.format(side) for name in pair) for side in ("left", "right") for pair in (*_LIMBS, *_TRUNK)
}
_SOLIDS = [name for name in PARTS if name not in POINTS]
STRANGERS = tuple(zip(*(p for p in combinations(_SOLIDS, 2) if frozenset(p) not in NEIGHBOURS), strict=True))


class Axis(NamedTuple):
    """The middle of one part in N poses: from ``start`` (3, N) by ``along`` (3, N), of squared length (N,), metres."""

    start: Tensor
    along: Tensor
    squared: Tensor


def axes(joints: Tensor, front: Tensor) -> dict[str, Axis]:
    """The axes of all parts.

    Args:
        joints: (N, 22, 3) metres.
        front: (N, 3) where the chests face, of length one.
    """
    ends = torch.einsum("pj,njc->pcn", PLACED.to(joints), joints).unflatten(0, (-1, 2))  # (P, 2, 3, N)
    start = ends[:, 0] + FORWARD.to(joints)[:, None, None] * front.T
    along = ends[:, 1] - ends[:, 0]
    squared = (along * along).sum(dim=1).clamp_min(1e-9)
    return {name: Axis(start[p], along[p], squared[p]) for p, name in enumerate(NAMES)}


def gap(one: str, other: str, known: dict[str, Axis]) -> Tensor:
    """Metres between the surfaces of two parts (N,); below zero where they overlap, as neighbours always do.

    Args:
        one, other: names of ``PARTS``.
        known: of N poses.
    """
    tapered = bool({one, other} & TAPERED) and not {one, other} & POINTS
    return _gap(known[one], known[other], PARTS[one].radii, PARTS[other].radii, tapered)


def _gap(one: Axis, other: Axis, radii: Radii, other_radii: Radii, tapered: bool) -> Tensor:
    """The least distance between two axes less the thickness there, (..., N) of axes (..., 3, N).

    The distance is by Ericson, "Real-time collision detection" (2005), section 5.1.9. Where parts are ``tapered``, the
    ends of the axes are tried as well, as parallel limbs touch where they are thickest.
    """
    (start, along, a), (other_start, across, e) = one, other
    (thick, thin), (other_thick, other_thin) = radii, other_radii
    between = start - other_start
    b, c, f = ((u * v).sum(dim=-2) for u, v in ((along, across), (along, between), (across, between)))
    square = (between * between).sum(dim=-2)

    def apart(here: Tensor, there: Tensor) -> Tensor:
        squared = square + here * (a * here + 2 * (c - b * there)) + there * (e * there - 2 * f)
        thickness, other_thickness = thick + (thin - thick) * here, other_thick + (other_thin - other_thick) * there
        return squared.clamp_min(1e-12).sqrt() - thickness - other_thickness

    here = ((b * f - c * e) / (a * e - b * b).clamp_min(1e-12)).clamp(0, 1)  # where the lines come nearest
    here = ((b * ((b * here + f) / e).clamp(0, 1) - c) / a).clamp(0, 1)  # where the segments do
    found = apart(here, ((b * here + f) / e).clamp(0, 1))
    if tapered:
        for end in (torch.zeros_like(a), torch.ones_like(a)):
            found = torch.minimum(found, apart(end, ((b * end + f) / e).clamp(0, 1)))
            found = torch.minimum(found, apart(((b * end - c) / a).clamp(0, 1), end))
    return found


def overlap(known: dict[str, Axis]) -> Tensor:
    """Metres (N,) by which two parts that are no neighbours overlap at most; 0 where none do."""
    (one, other), (radii, other_radii) = (
        [Axis(*map(torch.stack, zip(*(known[name] for name in names), strict=True))) for names in STRANGERS],
        [torch.tensor([PARTS[name].radii for name in names]).to(known["hips"].start) for names in STRANGERS],
    )
    found = _gap(one, other, radii.T.unsqueeze(-1), other_radii.T.unsqueeze(-1), True)
    return (-found).amax(dim=0).clamp_min(0)
