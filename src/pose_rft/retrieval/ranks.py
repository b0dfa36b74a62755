"""Ranks: where the right item stands among all, and whether two scores put things in the same order."""

import math

import numpy as np
import torch
from torch import Tensor


def retrieval_ranks(scores: Tensor) -> Tensor:
    """Where the right item stands for each query.

    Args:
        scores: (N, N) of query i and item j; item i is the right one of query i.

    Returns:
        (N,) 1 + the number of better items + half the number of equal ones, so that a model that gives everything the
        same score has the recall of chance, not 100 %. NaN counts as better than the right item.
    """
    right = scores.diagonal().unsqueeze(1)  # (N, 1)
    not_worse = (~(scores < right)).sum(1)  # (N,), the right one included
    return not_worse - ((scores == right).sum(1) - 1).clamp(min=0) / 2


def order(values: np.ndarray) -> np.ndarray:
    """(N,) places from 0 in ascending order; equal values share the mean of theirs."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[group]


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's rank correlation of two (N,) lists of numbers, -1 to 1; NaN where one of them is constant."""
    if first.min() == first.max() or second.min() == second.max():
        return math.nan
    return float(np.corrcoef(order(first.cpu().numpy()), order(second.cpu().numpy()))[0, 1])


def rankings_agree(first: Tensor, second: Tensor) -> float:
    """Mean rank correlation of the rows of two (T, N) tables.

    Returns:
        -1 to 1. Rows that hold NaN or no difference are left out; NaN if no row is left.
    """
    rows = [
        rank_correlation(one, other)
        for one, other in zip(first, second, strict=True)
        if torch.isfinite(one).all() and torch.isfinite(other).all()
    ]
    numbers = [row for row in rows if math.isfinite(row)]
    return float(np.mean(numbers)) if numbers else math.nan
