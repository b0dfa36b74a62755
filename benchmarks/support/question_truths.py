"""What any pose answers to a question, also where that is close: for grading poses by questions."""

import math

from torch import Tensor

from pose_rft.data.questions.body_states import body_states
from pose_rft.data.questions.side_comparisons import SIDE_COMPARISONS
from pose_rft.errors import UserError
from pose_rft.posescript.checks import compile_check, measure
from pose_rft.posescript.measurements import Measurements
from pose_rft.posescript.posecodes import exchange_sides


def truth_in(topic: str, joints: Tensor) -> str:
    """What a pose answers to a question that is not a description: the truth if it must be one, however close it is.

    Args:
        topic: of the ``Question``.
        joints: (22, 3) metres, or (32, 3) with landmarks; upright, or in the camera's frame for ``facing``.

    Raises:
        UserError: no question is about that.
    """
    return _truth(topic, joints)[0]


def clearness(topic: str, joints: Tensor) -> float:
    """By how much a pose would have to change for ``truth_in`` to be another: of 20 degrees or 0.1 metres.

    Infinite for ``facing``, which is asked where it is clear. Arguments and errors as for ``truth_in``.
    """
    return _truth(topic, joints)[1]


def _truth(topic: str, joints: Tensor) -> tuple[str, float]:
    measured = Measurements(joints[None])
    if topic == "facing":
        return "yes" if float(measured.front[0, 2]) > 0 else "no", math.inf
    for state in body_states():
        if state.topic == topic:
            margin = float(compile_check(state.check).margin(measured))
            return "yes" if margin > 0 else "no", abs(margin)
    for comparison in SIDE_COMPARISONS:
        if comparison.name == topic:
            left, right = (
                float(measure(quantity, joints[None]))
                for quantity in (comparison.quantity, exchange_sides(comparison.quantity))
            )
            unit = 20 if abs(comparison.high) > 1 else 0.1
            if comparison.low is None:
                middle = (comparison.high + comparison.same) / 2
                truth = "both" if abs(left - right) < middle else "left" if left > right else "right"
                return truth, abs(abs(left - right) - middle) / unit
            middle = (comparison.high + comparison.low) / 2
            counts = [side for side, value in (("left", left), ("right", right)) if value > middle]
            truth = counts[0] if len(counts) == 1 else "both" if counts else "neither"
            return truth, min(abs(left - middle), abs(right - middle)) / unit
    raise UserError(f"no question is about {topic!r}")
