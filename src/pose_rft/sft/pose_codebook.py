"""Training of the pose codebook, on poses alone."""

import torch
from torch import Tensor

from pose_rft.body.skeleton import mirror_pose
from pose_rft.policy.pose_codebook import GROUPS, STAGES, WORDS, PoseCodebook
from pose_rft.policy.pose_head import rotation_6d
from pose_rft.policy.pose_prior import PosePrior

ROUNDS = 12  # of k-means
DRAWN = 20_000  # poses that clusters are made of


@torch.no_grad()
def fit_pose_codebook(prior: PosePrior, poses: Tensor, weights: Tensor) -> PoseCodebook:
    """Words by k-means on the prior's numbers, each stage on what the words before it leave.

    Args:
        prior: whose numbers are put into words; stays as it is.
        poses: (N, 22, 3) axis-angle radians.
        weights: (N,) how often each is drawn, half of the times mirrored.

    Returns:
        The same arguments give the same one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = poses[torch.multinomial(weights, DRAWN, replacement=True)]
        drawn[: DRAWN // 2] = mirror_pose(drawn[: DRAWN // 2])
        return PoseCodebook(prior, _clusters(prior.encode(rotation_6d(drawn))))


def _clusters(numbers: Tensor) -> Tensor:
    """Words (STAGES, GROUPS, WORDS, 6) for numbers (N, GROUPS, 6), each stage for what those before it leave."""
    words, left = [], numbers.transpose(0, 1)  # (GROUPS, N, 6)
    for _ in range(STAGES):
        centres = torch.stack([_k_means(each) for each in left])
        nearest = torch.cdist(left, centres).argmin(dim=-1)
        left = left - centres[torch.arange(GROUPS)[:, None], nearest]
        words.append(centres)
    return torch.stack(words)


def _k_means(points: Tensor) -> Tensor:
    """(WORDS, 6) centres of (N, 6) points; one that nothing is nearest to moves to a point."""
    centres = points[torch.randperm(len(points))[:WORDS]]
    for _ in range(ROUNDS):
        nearest = torch.cdist(points, centres).argmin(dim=-1)
        count = torch.bincount(nearest, minlength=WORDS)[:, None]
        total = torch.zeros_like(centres).index_add_(0, nearest, points)
        elsewhere = points[torch.randint(len(points), (WORDS,))]
        centres = torch.where(count > 0, total / count.clamp(min=1), elsewhere)
    return centres
