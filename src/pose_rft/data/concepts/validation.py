"""Whether a concept's pose can be taken, and does what its checks say."""

import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.skeleton import mean_pose
from pose_rft.data.concepts.concept import Concept
from pose_rft.data.concepts.procedural import solve
from pose_rft.posescript.checks import satisfied


def problems(concept: Concept, n: int = 256, seed: int = 0) -> tuple[list[str], Tensor]:
    """What is wrong with a concept, in words, and `n` sampled poses (n, 22, 3)."""
    solved = solve(concept.spec, n, seed)
    found = []
    points = load_body().points(solved.pose)
    at_mean = satisfied(concept.checks, load_body().points(mean_pose(solved.pose)[None]))[0]
    shares = satisfied(concept.checks, points).float().mean(0)
    for check, share, mean in zip(concept.checks, shares.tolist(), at_mean.tolist(), strict=True):
        if share < 0.95:
            found.append(f"only {share:.0%} of samples meet {check!r}")
        elif not mean:
            found.append(f"the mean of the samples misses {check!r}: the pose varies too much")
    for limb, miss in solved.miss.items():
        if miss.mean() > 0.05:
            found.append(f"{limb} stays {miss.mean() * 100:.0f} cm from its target: out of reach")
    for limb, bent in solved.bent.items():
        if bent.mean() > 0.35:
            found.append(
                f"{limb}: {torch.rad2deg(bent.mean()):.0f} degrees off the asked direction: joints cannot bend so"
            )
    return found, solved.pose
