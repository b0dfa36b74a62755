"""Questions whose answer is a side: "Which hand is higher?"."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pose_rft.posescript.checks import measure
from pose_rft.posescript.posecodes import exchange_sides
from pose_rft.storage import package_table

SIDES = ("left", "right", "both", "neither")


@dataclass(frozen=True)
class SideComparison:
    """A question whose answer is a side.

    Attributes:
        name: of the comparison.
        asked: wordings.
        answers: for left (the right one is its mirror image), both and neither; an empty one is never true.
        quantity: of the left side, in the check language.
        high, low: with `low`, a side counts when its quantity is above `high` and does not when it is below `low`;
            without, the side counts whose quantity is larger by `high`.
        same: without `low`, sides that differ by less than this are alike.
    """

    name: str
    asked: tuple[str, ...]
    answers: tuple[str, str, str]
    quantity: str
    high: float
    low: float | None = None
    same: float = 0.0


SIDE_COMPARISONS = tuple(
    SideComparison(**entry | {"asked": tuple(entry["asked"]), "answers": tuple(entry["answers"])})
    for entry in package_table(__package__, "side_comparisons.yaml")
)


def true_sides(comparison: SideComparison, joints: Tensor) -> list[str]:
    """The true side of every pose (N,), or an empty text where it is not clear."""
    left = measure(comparison.quantity, joints).numpy()
    right = measure(exchange_sides(comparison.quantity), joints).numpy()
    if comparison.low is None:
        apart = left - right
        table = (apart > comparison.high, apart < -comparison.high, np.abs(apart) < comparison.same, apart != apart)
    else:
        above = left > comparison.high, right > comparison.high
        below = left < comparison.low, right < comparison.low
        table = (above[0] & below[1], above[1] & below[0], above[0] & above[1], below[0] & below[1])
    return [next((t for t, row in zip(SIDES, table, strict=True) if row[n]), "") for n in range(len(joints))]
