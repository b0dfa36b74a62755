"""Whether a pose, wherever it comes from, is what an order makes of another one: for choosing among answers."""

import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.distances import mpjpe
from pose_rft.body.skeleton import JOINT_NAMES
from pose_rft.posescript.checks import UNIT_METRES
from pose_rft.posescript.edits.edit import conditions_of
from pose_rft.posescript.edits.orders import Order
from pose_rft.posescript.edits.targets import SPINE, WIDE, Condition
from pose_rft.posescript.measurements import Measurements
from pose_rft.posescript.plausibility import implausibility


def strayed(answers: Tensor, given: Tensor, stays: Tensor) -> Tensor:
    """How far joints of answers are, in the mean, from where they would be had nothing turned that should have stayed.

    Args:
        answers: (N, 22, 3) axis-angle, radians.
        given: (22, 3) the pose that was edited.
        stays: (22,) bool, which joints should be turned as they are in it.

    Returns:
        (N,) metres.
    """
    as_asked = torch.where(stays[:, None], given, answers)
    body = load_body()
    return mpjpe(body.joints(answers), body.joints(as_asked))


def faults(order: Order, given: Tensor, answers: Tensor) -> Tensor | None:
    """How far answers are from what an order asks for, how much else has changed, and how much worse they look.

    Args:
        given: (22, 3) axis-angle, radians.
        answers: (N, 22, 3).

    Returns:
        (N,) units of 20 degrees or 10 cm, 0 at best; None where something in the order cannot be verified.
    """
    points = load_body().points(answers)
    before = load_body().points(given)
    conditions: list[Condition] = []
    for demand in order.demands:
        found = conditions_of(demand, before)
        if not found:
            return None
        conditions += found
    if not conditions:
        return None
    measured = Measurements(points)
    missed = sum((each.missed(measured) for each in conditions), start=torch.zeros(len(answers)))
    moving = SPINE.keys() | {joint for each in conditions for limb in each.limbs for joint in WIDE[limb]}
    stays = torch.tensor([name not in moving for name in JOINT_NAMES])
    worse = (implausibility(points) - implausibility(before[None])).clamp_min(0)
    return missed + strayed(answers, given, stays) / UNIT_METRES + worse
