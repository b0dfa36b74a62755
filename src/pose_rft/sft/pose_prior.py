"""Training of the latent pose prior, on poses alone."""

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.skeleton import NUM_JOINTS, mirror_pose
from pose_rft.policy.pose_codebook import PoseCodebook
from pose_rft.policy.pose_head import from_6d, rotation_6d
from pose_rft.policy.pose_prior import PosePrior

NORMALISED = 10_000  # drawn poses over which codes have mean 0 and standard deviation 1
NOISE = 0.1  # standard deviation of the noise on a code in training: what is nearer than that means the same
LENGTH = 1e-4  # weight of a code's mean squared number, which keeps codes from outgrowing the noise
NUMBERS = 0.2  # weight of the 6D numbers' squared error beside the points' distance in metres


def fit_pose_prior(
    poses: Tensor, weights: Tensor, steps: int, batch: int = 256, rate: float = 1e-3, progress: bool = True
) -> PosePrior:
    """Train a prior: distance of joints and landmarks, and of the rotations' numbers, at a code with noise on it.

    Args:
        poses: (N, 22, 3) axis-angle radians.
        weights: (N,) how often each is drawn, half of the times mirrored.
        steps: of AdamW; the rate falls as a cosine does.

    Returns:
        A frozen one; the same arguments give the same one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        prior, body = PosePrior(), load_body()
        optimizer = torch.optim.AdamW(prior.parameters(), lr=rate)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in track(range(steps), "Pose prior", console=Console(stderr=True), disable=not progress):
            drawn = poses[torch.multinomial(weights, batch, replacement=True)]
            drawn[: batch // 2] = mirror_pose(drawn[: batch // 2])
            rotation = rotation_6d(drawn)
            code = prior.encode(rotation)
            noise = torch.randn_like(code) * NOISE
            noise[:, 0] = 0.0  # the root's rotation is kept as it is
            reached = prior.decode(code + noise)
            apart = body.points_from_rotations(from_6d(reached)) - body.points_from_rotations(from_6d(rotation))
            numbers, length = (reached - rotation).square().mean(), code[:, 1:].square().mean()
            loss = torch.linalg.vector_norm(apart, dim=-1).mean() + NUMBERS * numbers + LENGTH * length
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        prior.normalise(rotation_6d(poses[torch.multinomial(weights, NORMALISED, replacement=True)]))
    return prior.frozen()


@torch.no_grad()
def reconstruction_errors(prior: PosePrior | PoseCodebook, poses: Tensor) -> Tensor:
    """(N,) mean distance of the joints of poses (N, 22, 3) from where their codes or words put them, millimetres."""
    body, rotation = load_body(), rotation_6d(poses)
    points = [body.points_from_rotations(from_6d(each)) for each in (rotation, prior.decode(prior.encode(rotation)))]
    return 1000 * (points[0] - points[1])[:, :NUM_JOINTS].norm(dim=-1).mean(dim=-1)
