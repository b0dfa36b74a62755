"""Draws wordings with poses that do what they say; many poses and prompts of each, as solving costs the same."""

import math
from collections.abc import Callable

import numpy as np

from pose_rft.data.concepts.pools import tidiest
from pose_rft.data.concepts.pose_language import parse_pose
from pose_rft.data.concepts.procedural import solve
from pose_rft.data.mixtures.wordings.amounts import draw_degree, draw_number
from pose_rft.data.mixtures.wordings.contrast import draw_contrast
from pose_rft.data.mixtures.wordings.negation import draw_negation
from pose_rft.data.mixtures.wordings.scenes import Wording

KINDS: dict[str, tuple[float, Callable[[np.random.Generator], Wording]]] = {
    "contrast": (0.35, draw_contrast),
    "negation": (0.25, draw_negation),
    "number": (0.2, draw_number),
    "degree": (0.15, draw_degree),
}
KEPT_SHARE = 0.3  # of the poses must meet all checks, otherwise the words do not go together
MOST = 24  # samples of one wording


def draw_wording(rng: np.random.Generator, kind: str | None = None) -> Wording:
    """A wording of any kind, or of one."""
    if kind is None:
        rates = np.array([rate for rate, _ in KINDS.values()])
        kind = list(KINDS)[int(rng.choice(len(KINDS), p=rates / rates.sum()))]
    return KINDS[kind][1](rng)


def poses_of(wording: Wording, size: int, rng: np.random.Generator, settled: bool = False) -> np.ndarray:
    """Poses (M, 22, 3), M at most `size`, that meet every check of a wording; none where most do not."""
    n = 2 * size + 8
    pose = solve(parse_pose(wording.pose), n, int(rng.integers(2**31))).pose
    return tidiest(pose, wording.checks, size, math.ceil(KEPT_SHARE * n), settled)
