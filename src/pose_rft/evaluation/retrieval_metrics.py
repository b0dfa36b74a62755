"""What is measured by a retrieval model: recall, R-precision, Frechet distance, diversity. Pure functions.

docs/evaluation.md says how these figures differ between papers. Intervals are bootstraps over queries with the gallery
as it is.
"""

import torch
from torch import Tensor

from pose_rft.evaluation.metrics import Interval, bootstrap_interval
from pose_rft.retrieval.ranks import retrieval_ranks

KS = (1, 5, 10, 20)
MEAN_OF = (1, 5, 10)  # mean recall, as PoseScript (Delmas et al., ECCV 2022) defines it
POOL = 32
WAYS = ("text_to_pose", "pose_to_text")


def both_ranks(scores: Tensor, valid: Tensor | None = None) -> Tensor:
    """Ranks of the right item both ways.

    Args:
        scores: (N, N) of text i and pose j; pose i is the right one of text i.
        valid: (N,) bool, there is a pose i; without one neither text i nor pose i is ever found.

    Returns:
        (2, N): of pose i among the poses for text i, and of text i among the texts for pose i; infinite if not valid.
    """
    if valid is not None:
        scores = scores.masked_fill(~valid, -torch.inf)
    ranks = torch.stack([retrieval_ranks(scores), retrieval_ranks(scores.T)])
    return ranks if valid is None else ranks.masked_fill(~valid, torch.inf)


def hits(ranks: Tensor, k: int) -> Tensor:
    """1.0 where the right item is among the first k, same shape as `ranks`."""
    return (ranks <= k).double()


def pool_hits(ranks: Tensor, gallery: int, k: int, pool: int = POOL) -> Tensor:
    """The chance that the right item is among the first k of a random pool: what many random draws tend to.

    The pool is the right item and `pool - 1` others of the gallery. The right item is found if at most k - 1 of the
    rank - 1 better ones are drawn with it, which is a hypergeometric probability; so nothing needs to be drawn.

    Args:
        ranks: any shape, ranks in the full gallery; half ranks of ties are rounded up, infinite ones are never found.
        gallery: how many items that is.

    Returns:
        Probabilities of the same shape, float64.

    Raises:
        ValueError: the gallery is smaller than the pool.
    """
    if gallery < pool:
        raise ValueError(f"a pool of {pool} cannot be drawn from a gallery of {gallery}")
    found = ranks.isfinite()
    better = ranks.double().where(found, torch.ones(())).ceil() - 1
    drawn = torch.arange(min(k, pool), dtype=torch.float64)  # how many better ones are in the pool
    better = better.unsqueeze(-1)
    ways = _log_choose(better, drawn) + _log_choose(gallery - 1 - better, pool - 1 - drawn)
    total = _log_choose(torch.tensor(gallery - 1.0, dtype=torch.float64), torch.tensor(pool - 1.0))
    return (ways - total).exp().sum(-1).where(found, torch.zeros(()))


def mean_rank_hits(ranks: Tensor, gallery: int, k: int, pool: int = POOL) -> Tensor:
    """1.0 where the mean rank over many random pools is within the first k: PoseScript's released way, for comparison.

    Its R-precision averages the rank of a text's pose over repeated pools and then asks whether the mean is below k,
    counted from 0; the share of pools in which the pose is found (`pool_hits`) is another and lower number.
    """
    return ((ranks - 1) * (pool - 1) / (gallery - 1) < k).double()


def _log_choose(n: Tensor, k: Tensor) -> Tensor:
    """log of n over k, minus infinity where k > n."""
    inside = (k <= n) & (k >= 0)
    n, k = torch.broadcast_tensors(n, k)
    safe = k.where(inside, torch.zeros(()).to(n))
    value = torch.lgamma(n + 1) - torch.lgamma(safe + 1) - torch.lgamma(n - safe + 1)
    return value.where(inside, torch.tensor(-torch.inf).to(n))


def retrieval_figures(ranks: Tensor, gallery: int, pool: int = POOL) -> dict[str, Interval]:
    """All recalls, shares from 0 to 1, with 95 % bootstrap intervals over queries.

    Args:
        ranks: (2, N), or (K, 2, N) for K poses per text, over which each query is averaged; see `both_ranks`.
        gallery: number of items that each query was ranked against.
        pool: size of the random pools; figures of pools are left out where the gallery is smaller.

    Returns:
        `text_to_pose/recall@K` and `pose_to_text/recall@K` for K of 1, 5, 10 and 20 over the full gallery;
        `mean_recall`, of K = 1, 5 and 10 both ways; the same names with `pool/` before them for random pools;
        `r_precision@K` for K of 1, 2 and 3: the pose finds its own text among `pool` texts (Guo et al., "Generating
        diverse and natural 3D human motions from text", CVPR 2022); and `mean_rank_precision@K`: see `mean_rank_hits`.
    """
    ranks = ranks.reshape(-1, 2, ranks.shape[-1])

    def found_share(k: int, pooled: bool) -> Tensor:  # (2, N)
        return (pool_hits(ranks, gallery, k, pool) if pooled else hits(ranks, k)).mean(0)

    values: dict[str, Tensor] = {}
    for prefix, pooled in (("", False), ("pool/", True)):
        if pooled and gallery < pool:
            continue
        found = {k: found_share(k, pooled) for k in KS}
        values |= {f"{prefix}{way}/recall@{k}": found[k][row] for row, way in enumerate(WAYS) for k in KS}
        values[f"{prefix}mean_recall"] = torch.stack([found[k] for k in MEAN_OF]).mean((0, 1))
    if gallery >= pool:
        values |= {f"r_precision@{k}": found_share(k, True)[1] for k in (1, 2, 3)}
        values |= {f"mean_rank_precision@{k}": mean_rank_hits(ranks[:, 0], gallery, k, pool).mean(0) for k in (1, 2, 3)}
    return {name: bootstrap_interval(value.numpy()) for name, value in values.items()}


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Frechet distance of two sets of features, each taken for a Gaussian ("FID" with another network's features).

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2) (Heusel et al., NeurIPS 2017, after Dowson and Landau, 1982).
    The symmetric form needs only eigenvalues of positive matrices; those that rounding made negative count as zero, so
    that singular covariances (fewer samples than dimensions) need no noise added.

    It is biased: two samples of one distribution have a distance above 0, the more the fewer they are. Compare only
    sets of equal size, and state what a set of real poses of that size gets.

    Args:
        first, second: (N, D), (M, D).

    Returns:
        In squared units of the features.

    Raises:
        ValueError: fewer than two samples in a set, or values that are not finite.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError("the Frechet distance needs at least two samples of each set")
    if not (first.isfinite().all() and second.isfinite().all()):
        raise ValueError("the Frechet distance needs finite features; leave invalid poses out")
    first, second = first.double(), second.double()
    one, other = torch.cov(first.T), torch.cov(second.T)
    one, other = (each.reshape(first.shape[1], first.shape[1]) for each in (one, other))
    values, vectors = torch.linalg.eigh(one)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    between = torch.linalg.eigvalsh(root @ other @ root).clamp(min=0).sqrt().sum()
    shift = (first.mean(0) - second.mean(0)).square().sum()
    return max(0.0, float(shift + one.trace() + other.trace() - 2 * between))


def feature_diversity(features: Tensor) -> float:
    """Mean distance between two different rows of (N, D): how varied a set of answers to different prompts is.

    Guo et al. (CVPR 2022) draw 300 pairs; this is the mean over all. The same over the K answers to one prompt is their
    multimodality.

    Raises:
        ValueError: fewer than two rows.
    """
    if len(features) < 2:
        raise ValueError("diversity needs at least two samples")
    return float(torch.pdist(features.double()).mean())
