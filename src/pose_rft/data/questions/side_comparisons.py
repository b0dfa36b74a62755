"""Questions whose answer is a side: "Which hand is higher?"."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pose_rft.posescript.checks import measure
from pose_rft.posescript.posecodes import exchange_sides

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


SIDE_COMPARISONS = (
    SideComparison(
        "knee_bent_more",
        ("Which knee is bent more?", "Which knee is more bent, the left or the right?", "which leg is bent more?"),
        ("The left knee is bent more.", "Both knees are bent about the same.", ""),
        "-angle(left_knee)", 25, same=5,
    ),
    SideComparison(
        "elbow_bent_more",
        ("Which elbow is bent more?", "Which arm is bent more?", "which elbow is more bent, left or right?"),
        ("The left elbow is bent more.", "Both elbows are bent about the same.", ""),
        "-angle(left_elbow)", 25, same=5,
    ),
    SideComparison(
        "hand_higher",
        ("Which hand is higher?", "Which hand is held higher?", "Which hand is higher up, the left or the right?"),
        ("The left hand is higher.", "Both hands are at about the same height.", ""),
        "y(left_wrist)", 0.13, same=0.03,
    ),
    SideComparison(
        "foot_higher",
        ("Which foot is higher?", "Which foot is higher off the ground?", "which foot is lifted more?"),
        ("The left foot is higher.", "Both feet are at about the same height.", ""),
        "y(left_ankle)", 0.13, same=0.03,
    ),
    SideComparison(
        "foot_in_front",
        ("Which foot is further forward?", "Which foot is in front?", "Which foot is ahead of the other?"),
        ("The left foot is further forward.", "Both feet are side by side.", ""),
        "ahead(left_ankle)", 0.15, same=0.05,
    ),
    SideComparison(
        "hand_in_front",
        ("Which hand is further in front of the body?", "which hand is more in front?"),
        ("The left hand is further forward.", "Both hands are about equally far forward.", ""),
        "front(left_wrist)", 0.15, same=0.05,
    ),
    SideComparison(
        "hand_near_head",
        ("Which hand is closer to the head?", "Which hand is nearer to the head?"),
        ("The left hand is closer to the head.", "Both hands are about equally close to the head.", ""),
        "-distance(left_wrist, head)", 0.13, same=0.03,
    ),
    SideComparison(
        "arm_raised",
        ("Which arm is raised?", "Is an arm raised, and which one?", "which arm is lifted above the shoulder?"),
        ("The left arm is raised.", "Both arms are raised.", "Neither arm is raised."),
        "y(left_wrist) - y(left_shoulder)", 0.08, low=-0.05,
    ),
    SideComparison(
        "elbow_bent",
        ("Which elbow is bent?", "Which arm is bent?", "Is one of the elbows bent, and which?"),
        ("The left elbow is bent.", "Both elbows are bent.", "Neither elbow is bent."),
        "-angle(left_elbow)", -115, low=-148,
    ),
    SideComparison(
        "knee_bent",
        ("Which knee is bent?", "Which leg is bent?", "Is one of the knees bent, and which?"),
        ("The left knee is bent.", "Both knees are bent.", "Neither knee is bent."),
        "-angle(left_knee)", -125, low=-152,
    ),
)  # fmt: skip


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
