"""How far a pose is from what a body does by itself, whatever words may say of it.

Bowed heads, soles that a standing body tilts, a weight that is not over the feet and limbs that go through each other
are what people see first in an answer. Of several answers that meet the words, these measures tell the better one, and
a benchmark compares them with those of recordings.
"""

import torch
from torch import Tensor

from pose_rft.body.landmarks import POINT_INDEX, POINT_NAMES
from pose_rft.posescript.balance import NEAR_THE_FLOOR, clearance
from pose_rft.posescript.checks import as_joints
from pose_rft.posescript.measurements import Measurements

COMFORTABLE_NOD = 30.0  # degrees, down or up
FLAT_SOLE = 15.0  # degrees within which a sole counts as flat
STANDING = 0.5  # metres of the seat above the floor, 0.81 in the rest pose; who is lower sits, squats or kneels
UNITS = {"nod": 20.0, "sole": 20.0, "support": 0.1, "overlap": 0.1}  # that look equally wrong: degrees, metres
ANKLES = ("left_ankle", "right_ankle")
_FEET = [[POINT_INDEX[f"{side}_{point}"] for point in ("ankle", "foot", "heel", "toes")] for side in ("left", "right")]
_OTHERS = [index for index in range(len(POINT_NAMES)) if not any(index in foot for foot in _FEET)]


def supporting_soles(points: Tensor) -> tuple[Tensor, Tensor]:
    """The soles of the feet, left and right.

    Args:
        points: (N, 32, 3) joints and landmarks, metres.

    Returns:
        Tilt from the floor (N, 2), degrees, and whether a standing body stands on that foot, (N, 2) bool. A body stands
        if nothing but feet touches the floor and the seat is ``STANDING`` above it.
    """
    measured = Measurements(points)
    tilt = torch.stack([measured.measure("sole", (ankle,)) for ankle in ANKLES], dim=1)
    above = clearance(points)
    touching = above < NEAR_THE_FLOOR
    standing = (above[:, POINT_INDEX["pelvis"]] > STANDING) & ~touching[:, _OTHERS].any(dim=1)
    return tilt, torch.stack([touching[:, foot].any(dim=1) for foot in _FEET], dim=1) & standing.unsqueeze(1)


def plausibility(points: Tensor) -> dict[str, Tensor]:
    """How implausible poses are, in four measures (N,) that are 0 where nothing is wrong, differentiable.

    Args:
        points: (N, 32, 3) joints and landmarks, metres, as ``BodyModel.points`` returns them.

    Returns:
        ``nod``: degrees of the head's nod beyond ``COMFORTABLE_NOD``; ``sole``: of the supporting sole that is tilted
        most, beyond ``FLAT_SOLE``; ``support``: metres of a standing body's weight from over its feet; ``overlap``:
        metres by which parts go through each other.

    Raises:
        UserError: joints without landmarks, or another shape.
    """
    points = as_joints(points)
    measured = Measurements(points)
    nod = measured.measure("nod", ()).abs() - COMFORTABLE_NOD
    tilt, supporting = supporting_soles(points)
    off_balance = measured.measure("support", ())
    return {
        "nod": nod.clamp_min(0),
        "sole": ((tilt - FLAT_SOLE) * supporting).amax(dim=1).clamp_min(0),
        "support": torch.where(supporting.any(dim=1), off_balance, torch.zeros_like(off_balance)),
        "overlap": measured.measure("overlap", ()),
    }


def implausibility(points: Tensor) -> Tensor:
    """All four measures of poses in one number (N,), each in ``UNITS``; ``points`` as in ``plausibility``."""
    return torch.stack([wrong / UNITS[measure] for measure, wrong in plausibility(points).items()]).sum(dim=0)
