"""Group-relative advantages, for text and for poses alike."""

from typing import Literal

import torch
from torch import Tensor

AdvantageScale = Literal["std", "none", "per_reward"]


def group_advantages(
    rewards: Tensor,
    valid: Tensor | None = None,
    scale: Literal["std", "none"] = "std",
    std_floor: float = 0.0,
    epsilon: float = 1e-4,
) -> Tensor:
    """How much better each sample did than the other samples of its group.

    ``A = (r - mean) / (std + epsilon)`` over the valid samples of a group; a group whose rewards are all equal, or
    that has fewer than two valid samples, teaches nothing and gets zeros (GRPO, Shao et al. 2024, eq. 3; Pose-RFT
    uses it twice: over all G answers for the text, over the V answers that hold a pose for the pose).

    Args:
        rewards: (B, G) one row per group. Values at invalid places are ignored, NaN included.
        valid: (B, G) bool; None means all valid.
        scale: "std" divides by the group's sample standard deviation; "none" only subtracts the mean (Dr. GRPO,
            Liu et al. 2025), which keeps hard and easy prompts on one scale.
        std_floor: a smaller standard deviation counts as this one, so that what hardly differs teaches little.
        epsilon: added to the standard deviation.

    Returns:
        (B, G), zero at invalid places.

    Raises:
        ValueError: shapes differ, an unknown scale, or a valid reward that is not finite.
    """
    if rewards.ndim != 2:
        raise ValueError(f"rewards must be (B, G), not {tuple(rewards.shape)}")
    if valid is None:
        valid = torch.ones_like(rewards, dtype=torch.bool)
    if valid.shape != rewards.shape:
        raise ValueError(f"valid {tuple(valid.shape)} must have the shape of rewards {tuple(rewards.shape)}")
    if scale not in ("std", "none"):
        raise ValueError(f"scale must be 'std' or 'none', not {scale!r}")
    if not torch.isfinite(rewards[valid]).all():
        raise ValueError("rewards holds NaN or infinity at a valid place")

    count = valid.sum(dim=1, keepdim=True)  # (B, 1)
    kept = torch.where(valid, rewards, 0.0)
    mean = kept.sum(dim=1, keepdim=True) / count.clamp(min=1)
    centred = torch.where(valid, rewards - mean, 0.0)
    # Rounding must not turn equal rewards into a signal: what is left of them after the mean is below this.
    tiny = 8 * torch.finfo(rewards.dtype).eps * kept.abs().amax(dim=1, keepdim=True)
    centred = torch.where(centred.abs() <= tiny, 0.0, centred)
    if scale == "none":
        return centred
    std = (centred.square().sum(dim=1, keepdim=True) / (count - 1).clamp(min=1)).sqrt()
    return centred / (std.clamp(min=std_floor) + epsilon)


def per_reward_advantages(rewards: Tensor, weights: Tensor, std_floor: float = 0.0, epsilon: float = 1e-4) -> Tensor:
    """The weighted sum of the advantages that each reward alone would give.

    Each reward is normalised within its groups before the sum (GDPO, Liu et al. 2026, without its normalisation of the
    sum over the batch), so that a weight says how much a reward counts whatever its spread. In the normalised sum of
    the rewards the one that spreads most decides.

    Args:
        rewards: (R, B, G) of R rewards, unweighted; NaN where a reward has no grade, which takes no part in its group.
        weights: (R,)
        std_floor, epsilon: as for ``group_advantages``, of each reward.

    Returns:
        (B, G), zero where no reward has a grade.
    """
    count, groups, size = rewards.shape
    rows = rewards.reshape(count * groups, size)
    advantages = group_advantages(rows, ~rows.isnan(), "std", std_floor, epsilon)
    return (weights[:, None, None] * advantages.reshape(count, groups, size)).sum(dim=0)
