"""Where the weight of a body is and what it stands on."""

from itertools import combinations

import torch
from torch import Tensor

from pose_rft.body.landmarks import LANDMARKS
from pose_rft.body.skeleton import JOINT_NAMES
from pose_rft.posescript.body_parts import PARTS, Place, weights

NEAR_THE_FLOOR = 0.04  # metres: what is that close to the lowest point stands on the floor

# Share of the body's mass and where its middle is, as a weighted mean of joints: Winter, "Biomechanics and motor
# control of human movement" (2009), table 4.1. Of the limbs for the left side.
_MIDDLE: list[tuple[float, Place]] = [
    (0.081, {"head": 2.0, "neck": -1.0}),
    (0.497, {"left_hip": 0.25, "right_hip": 0.25, "left_shoulder": 0.25, "right_shoulder": 0.25}),
]
_LIMBS: list[tuple[float, Place]] = [
    (0.028, {"shoulder": 0.564, "elbow": 0.436}),
    (0.016, {"elbow": 0.57, "wrist": 0.43}),
    (0.006, {"elbow": -0.35, "wrist": 1.35}),
    (0.100, {"hip": 0.567, "knee": 0.433}),
    (0.0465, {"knee": 0.567, "ankle": 0.433}),
    (0.0145, {"ankle": 0.5, "foot": 0.5}),
]
_SEGMENTS = _MIDDLE + [
    (mass, {f"{side}_{joint}": weight for joint, weight in place.items()})
    for side in ("left", "right")
    for mass, place in _LIMBS
]
MASS = sum((mass * torch.tensor(weights(place)) for mass, place in _SEGMENTS), torch.zeros(len(JOINT_NAMES)))  # (22,)

_FLESH = {  # the part whose thickness is under a joint
    "pelvis": "hips", "spine1": "belly", "spine2": "belly", "spine3": "chest", "neck": "left_upper_arm", "head": "head",
    "hip": "left_thigh", "knee": "left_knee", "ankle": "left_shin", "foot": "left_foot", "collar": "left_shoulder",
    "shoulder": "left_shoulder", "elbow": "left_elbow", "wrist": "left_hand",
}  # fmt: skip
_THICKNESS = torch.tensor(
    [PARTS[_FLESH[name.removeprefix("left_").removeprefix("right_")]].radii for name in JOINT_NAMES]
)
# How far the skin is under a point, metres: a foot's and a shin's radius at its thin end, landmarks lie on the skin.
FLESH = torch.cat([_THICKNESS.amin(dim=1), torch.zeros(len(LANDMARKS))])  # (32,)


def centre_of_mass(joints: Tensor) -> Tensor:
    """(N, 22, 3) -> (N, 3) metres."""
    return torch.einsum("j,njc->nc", MASS.to(joints), joints)


def clearance(points: Tensor) -> Tensor:
    """How far the skin under each point is above the floor, (N, 32) metres; the floor is where the lowest is.

    What is less than ``NEAR_THE_FLOOR`` above it stands on it.

    Args:
        points: (N, 32, 3) joints and landmarks, metres.
    """
    skin = points[..., 1] - FLESH.to(points)
    return skin - skin.amin(dim=1, keepdim=True)


def off_balance(points: Tensor) -> Tensor:
    """Metres (N,) over the ground from the centre of mass to what stands on the floor; 0 over it.

    That is the convex hull of the points whose ``clearance`` is below ``NEAR_THE_FLOOR``: a kneeling body stands on
    knees and toes, a lying one on its back. What the body may lean against or hang from is not known.

    Args:
        points: (N, 32, 3) joints and landmarks, metres.
    """
    standing = clearance(points) < NEAR_THE_FLOOR
    ground = points[..., [0, 2]] - centre_of_mass(points[:, : len(JOINT_NAMES)])[:, None, [0, 2]]
    # What is in the air is put where one of them is, and thus adds nothing to the hull.
    some = standing.byte().argmax(dim=1)
    stand_in = ground[torch.arange(len(ground), device=ground.device), some].unsqueeze(1)
    return way_to_hull(torch.where(standing.unsqueeze(-1), ground, stand_in)).norm(dim=-1)


def nearest_mean(corners: Tensor) -> Tensor:
    """Weights (P,) of points (P, 2), P > 1, that make the point of their convex hull's rim nearest to the origin."""
    first, second, (place,), (ways,) = _nearest_on_segments(corners.unsqueeze(0))
    nearest = ways.norm(dim=-1).argmin()
    weights = corners.new_zeros(len(corners))
    weights[first[nearest]], weights[second[nearest]] = 1 - place[nearest], place[nearest]
    return weights


def way_to_hull(corners: Tensor) -> Tensor:
    """From the origin to the nearest point of the convex hulls of points (N, P, 2), (N, 2); 0 from inside.

    The origin is outside if the points leave a gap of more than half a turn around it; the hull is then nearest on one
    of the segments between two points.
    """
    with torch.no_grad():
        bearing = torch.atan2(corners[..., 1], corners[..., 0]).sort(dim=1).values
        around = torch.cat([bearing, bearing[:, :1] + 2 * torch.pi], dim=1).diff(dim=1).amax(dim=1)
    _, _, _, ways = _nearest_on_segments(corners)
    nearest = ways[torch.arange(len(ways), device=ways.device), ways.detach().norm(dim=-1).argmin(dim=1)]
    return torch.where((around > torch.pi)[:, None], nearest, torch.zeros_like(nearest))


def _nearest_on_segments(corners: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The point nearest to the origin on each of the S segments between two of P points, of points (N, P, 2).

    Returns:
        first, second: (S,) the points that a segment is between.
        place: (N, S) how far along it that point is, 0 to 1.
        ways: (N, S, 2) where it is.
    """
    first, second = torch.tensor(list(combinations(range(corners.shape[1]), 2)), device=corners.device).T
    start, along = corners[:, first], corners[:, second] - corners[:, first]
    place = (-(start * along).sum(dim=-1) / along.square().sum(dim=-1).clamp_min(1e-12)).clamp(0, 1)
    return first, second, place, start + place.unsqueeze(-1) * along
