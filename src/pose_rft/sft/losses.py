"""The supervised loss: words, likelihood of the pose, positions of its joints."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pose_rft.policy.distribution import PoseGaussian
from pose_rft.policy.heads import PoseHead


@dataclass
class LossWeights:
    """Weights of the supervised loss.

    Attributes:
        text: cross-entropy per token.
        likelihood: Gaussian negative log-likelihood per number of the pose.
        joints: distance of the mean pose's joints from the target's, per metre.
    """

    text: float = 1.0
    likelihood: float = 1.0
    joints: float = 5.0


def cross_entropy(logp: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``-logp`` over the masked (N, T) tokens of the batch."""
    return -(logp * mask).sum() / mask.sum().clamp(min=1)


def pose_losses(head: PoseHead, offsets_to_joints, predicted: PoseGaussian, poses: Tensor) -> dict[str, Tensor]:
    """Both pose losses of M predictions.

    Args:
        head: the head that made them (its action space).
        offsets_to_joints: maps (M, 22, 3, 3) rotations to (M, 22, 3) joints in metres.
        poses: (M, 22, 3) axis-angle targets.

    Returns:
        ``likelihood``: negative log-likelihood per number (mean squared error of the action for a deterministic
        head); ``joints``: mean distance of joints in metres.
    """
    target = head.to_action(poses)  # (M, 22, 6)
    mean = predicted.mean.unflatten(-1, target.shape[-2:])
    if head.is_deterministic:
        likelihood = (mean - target).square().mean()
    else:
        likelihood = -predicted.log_prob(target[:, None]).sum(dim=-1).mean() / target[0].numel()
    reached = offsets_to_joints(head.to_rotations(mean))
    wanted = offsets_to_joints(head.to_rotations(target))
    return {"likelihood": likelihood, "joints": torch.linalg.vector_norm(reached - wanted, dim=-1).mean()}
