"""What is measured: pure functions on joints. Positions are metres, y up, SMPL order; results are metres unless said.

Papers print millimetres; benchmarks convert. Every function takes any leading dimensions and float tensors, and is
exact enough in float32 for bodies of human size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import roma
import torch
from torch import Tensor

from pose_rft.body.distances import root_aligned
from pose_rft.posescript.checks import measure

Alignment = Literal["root", "heading"]


def heading_aligned(joints: Tensor) -> Tensor:
    """Joints (..., 22, 3) with the pelvis at the origin, turned around the vertical until the hips face +z.

    The heading is ``turn()`` of ``pose_rft.posescript.checks``: defined for lying and bent bodies too.
    """
    flat = root_aligned(joints).reshape(-1, *joints.shape[-2:])
    turned_back = torch.deg2rad(-measure("turn()", flat))
    rotation: Tensor = roma.rotvec_to_rotmat(torch.stack([0 * turned_back, turned_back, 0 * turned_back], dim=-1))
    return (flat @ rotation.transpose(-1, -2)).reshape(joints.shape)


def mean_pairwise_distance(joints: Tensor) -> Tensor:
    """Diversity of K samples: mean joint distance over all pairs, pelvises laid on each other, (..., K, J, 3) -> (...).

    0 means K times the same pose.

    Raises:
        ValueError: fewer than two samples; one pose has no diversity.
    """
    count = joints.shape[-3]
    if count < 2:
        raise ValueError("diversity needs at least two samples of a prompt")
    first, second = torch.triu_indices(count, count, offset=1, device=joints.device)
    aligned = root_aligned(joints)
    distances: Tensor = (aligned[..., first, :, :] - aligned[..., second, :, :]).norm(dim=-1)
    return distances.mean(dim=(-1, -2))


def nearest_pose_distance(joints: Tensor, reference: Tensor, align: Alignment = "heading", block: int = 512) -> Tensor:
    """How far each pose is from the nearest real one: a plain measure of naturalness.

    Args:
        joints: (N, 22, 3) metres.
        reference: (M, 22, 3) poses that people really took.
        align: "root" lays the pelvises on each other; "heading" also turns all bodies to face +z, so that a pose
            counts as known whichever way it faces.
        block: poses compared at a time (memory: block x M distances).

    Returns:
        (N,) mean joint distance to the nearest reference pose, metres.
    """
    if not len(reference):
        raise ValueError("the reference set holds no pose")
    if align not in ("root", "heading"):
        raise ValueError(f"align must be 'root' or 'heading', not {align!r}")
    to_common_frame = heading_aligned if align == "heading" else root_aligned
    known = to_common_frame(reference).transpose(0, 1).contiguous()  # (22, M, 3)
    asked, nearest = to_common_frame(joints), []
    for start in range(0, len(asked), block):
        part = asked[start : start + block]
        total = sum(
            torch.cdist(part[:, joint], known[joint], compute_mode="donot_use_mm_for_euclid_dist")
            for joint in range(joints.shape[1])
        )
        nearest.append(torch.as_tensor(total).amin(dim=1) / joints.shape[1])
    return torch.cat(nearest) if nearest else joints.new_zeros(0)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over prompts with its bootstrap confidence interval.

    Attributes:
        mean: over the values that are numbers.
        low, high: the interval's ends.
        n: how many values there were.
    """

    mean: float
    low: float
    high: float
    n: int


def bootstrap_interval(
    values: Sequence[float] | np.ndarray, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Percentile bootstrap of a mean (Efron and Tibshirani, 1993, ch. 13); the same seed gives the same interval.

    Args:
        values: one number per prompt. NaN marks a prompt without a value (no valid answer) and is left out.
        confidence: e.g. 0.95.
        resamples: how many times prompts are drawn anew, with replacement.

    Returns:
        All fields NaN and n = 0 if no value is a number.
    """
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return Interval(math.nan, math.nan, math.nan, 0)
    drawn = np.random.default_rng(seed).integers(len(numbers), size=(resamples, len(numbers)))
    means = numbers[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(numbers.mean()), float(low), float(high), len(numbers))


def paired_difference(
    before: Sequence[float] | np.ndarray,
    after: Sequence[float] | np.ndarray,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of ``mean(after - before)``, prompt by prompt: far narrower than two separate intervals.

    Args:
        before, after: (N,) values of two systems on the same prompts in the same order. A prompt where either is NaN
            is left out.
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"both systems must answer the same prompts: {first.shape} and {second.shape} values")
    return bootstrap_interval(second - first, confidence, resamples, seed)


def paired_difference_over_seeds(
    before: Sequence[Sequence[float]] | np.ndarray,
    after: Sequence[Sequence[float]] | np.ndarray,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of ``mean(after - before)`` over prompts and seeds of training.

    Seeds and prompts are drawn anew apart from each other, with replacement (the pigeonhole bootstrap, Owen, 2007), so
    that the interval is about other seeds and other prompts; of one seed it is about other prompts alone.

    Args:
        before, after: (S, N) values of two systems with the same seeds, on the same prompts in the same order. A place
            where either is NaN is left out.
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"both systems must have the same seeds and prompts: {first.shape} and {second.shape} values")
    there = np.isfinite(second - first)
    if not there.any():
        return Interval(math.nan, math.nan, math.nan, 0)
    difference = np.where(there, second - first, 0.0)
    generator, (seeds, prompts) = np.random.default_rng(seed), difference.shape
    seed_counts = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)  # (R, S)
    prompt_counts = generator.multinomial(prompts, np.full(prompts, 1 / prompts), size=resamples)  # (R, N)
    drawn = ((seed_counts @ there) * prompt_counts).sum(axis=1)
    sums = ((seed_counts @ difference) * prompt_counts).sum(axis=1)
    means = sums[drawn > 0] / drawn[drawn > 0]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(difference.sum() / there.sum()), float(low), float(high), int(there.sum()))
