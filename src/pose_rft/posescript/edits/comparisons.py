"""Statements about two poses: by how much a quantity of the check language has changed from one to the other.

    change(angle(left_knee)) < -12                  the left knee is bent more, by over 12 degrees
    0.07 < change(y(left_wrist) - y(pelvis)) < 0.25     the left hand is a little higher
    change(turn()) > 15                             turned to the left

Everything inside ``change()`` is an expression of ``pose_rft.posescript.checks``. The change of ``turn()`` is taken the
short way round, between -180 and 180 degrees.
"""

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pose_rft.errors import UserError
from pose_rft.posescript.checks import as_joints, compile_quantity, mirrored_quantity
from pose_rft.posescript.measurements import Measurements

NUMBER = r"-?\d+(?:\.\d+)?"
PATTERN = re.compile(rf"(?:(?P<low>{NUMBER}) < )?change\((?P<of>.+)\)(?: (?P<sign>[<>]) (?P<bound>{NUMBER}))?")


class Comparison(NamedTuple):
    """``low < of(target) - of(source) < high``; metres or degrees, as ``of`` is."""

    of: str
    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"change({self.of}) > {self.low:g}"
        return (f"{self.low:g} < " if math.isfinite(self.low) else "") + f"change({self.of}) < {self.high:g}"

    def mirrored(self) -> "Comparison":
        """The same of the other side."""
        of, sign = mirrored_quantity(self.of)
        return Comparison(of, self.low, self.high) if sign > 0 else Comparison(of, -self.high, -self.low)

    def narrowed(self, margin: float) -> "Comparison":
        """Whoever fulfils it fulfils this one with that much to spare."""
        return Comparison(self.of, self.low + margin, self.high - margin)


@lru_cache(maxsize=65536)
def read_comparison(text: str) -> Comparison:
    """Parse one.

    Raises:
        UserError: it is not of the form above, or holds no expression of the check language.
    """
    match = PATTERN.fullmatch(text.strip())
    if match is None or (match["low"] and match["sign"] == ">") or not (match["low"] or match["sign"]):
        raise UserError(f"{text!r} compares no two poses; write for example 'change(angle(left_knee)) < -15'")
    compile_quantity(match["of"])
    low = float(match["low"] or (match["bound"] if match["sign"] == ">" else -math.inf))
    return Comparison(match["of"], low, float(match["bound"]) if match["sign"] == "<" else math.inf)


class PosePair:
    """The measurements of N pairs of poses.

    Args:
        joints_from, joints_to: (N, 22, 3) metres; of one of them a single pose will do, which stands for all.

    Raises:
        UserError: wrong shapes, or different numbers of poses.
    """

    def __init__(self, joints_from: Tensor | np.ndarray, joints_to: Tensor | np.ndarray) -> None:
        source, target = as_joints(joints_from), as_joints(joints_to)
        if 1 != len(source) != len(target) != 1:
            raise UserError(f"there are {len(source)} poses to start from and {len(target)} to reach: give as many")
        self.size = max(len(source), len(target)) if len(source) and len(target) else 0
        self.source, self.target = Measurements(source[: self.size]), Measurements(target[: self.size])
        self.finite = source.isfinite().flatten(1).all(dim=1) & target.isfinite().flatten(1).all(dim=1)
        self._changes: dict[str, Tensor] = {}

    @torch.no_grad()
    def change(self, of: str) -> Tensor:
        """How much an expression is larger in the target than in the source, (N,) metres or degrees."""
        if of not in self._changes:
            quantity = compile_quantity(of)
            difference = torch.as_tensor(quantity(self.target) - quantity(self.source))
            if "turn()" in of:
                difference = (difference + 180) % 360 - 180
            self._changes[of] = difference.expand(self.size)
        return self._changes[of]

    def holds(self, comparison: Comparison) -> Tensor:
        """(N,) bool"""
        change = self.change(comparison.of)
        return (comparison.low < change) & (change < comparison.high)


def compare(comparisons: Sequence[str], joints_from: Tensor | np.ndarray, joints_to: Tensor | np.ndarray) -> Tensor:
    """Which comparisons hold for which pairs of poses.

    Args:
        comparisons: C texts.
        joints_from, joints_to: (N, 22, 3) metres; of one of them a single pose will do, which stands for all.

    Returns:
        (N, C) bool; a pair with a number that is not finite fulfils none.

    Raises:
        UserError: a text that is no comparison, wrong shapes, or different numbers of poses.
    """
    pair = PosePair(joints_from, joints_to)
    if not comparisons:
        return torch.zeros(pair.size, 0, dtype=torch.bool, device=pair.finite.device)
    held = torch.stack([pair.holds(read_comparison(text)) for text in comparisons], dim=1)
    return held & pair.finite.unsqueeze(1)
