"""The supervised loss: words, likelihood of the pose, positions of its joints, and what the words say of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pose_rft.body.distances import pa_mpjpe
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.config import NonNegativeFloat, validate
from pose_rft.policy.mixture import PoseDistribution
from pose_rft.policy.pose_head import PoseHead
from pose_rft.posescript.checks import compile_check
from pose_rft.posescript.measurements import Measurements

HEAD = JOINT_INDEX["head"]
TO_SPARE = 0.3  # of the checks' units, 6 degrees or 3 centimetres: what is met by that much costs nothing


@dataclass(frozen=True)
class LossWeights:
    """Weights of the supervised loss.

    Attributes:
        text: cross-entropy per token.
        likelihood: Gaussian negative log-likelihood per number of the pose.
        joints: distance of the mean pose's joints from the target's, per metre; of a mixture, the mean of the component
            that most probably made the target.
        aligned: the same after the best rotation, translation and scale (PA-MPJPE); 0 leaves it out.
        checks: by how much the mean pose fails what the words say (``check_loss``); 0 leaves it out.
        sampled_checks: the same of a sampled pose, through its reparameterisation: narrows the Gaussian where the words
            leave no choice; 0 leaves it out.
    """

    text: NonNegativeFloat = 1.0
    likelihood: NonNegativeFloat = 1.0
    joints: NonNegativeFloat = 5.0
    aligned: NonNegativeFloat = 0.0
    checks: NonNegativeFloat = 0.0
    sampled_checks: NonNegativeFloat = 0.0

    def __post_init__(self) -> None:
        validate(self)


def cross_entropy(logp: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``-logp`` over the masked (N, T) tokens of the batch."""
    return -(logp * mask).sum() / mask.sum().clamp(min=1)


def pose_losses(
    head: PoseHead,
    offsets_to_joints: Callable[[Tensor], Tensor],
    predicted: PoseDistribution,
    poses: Tensor,
    checks: Sequence[Sequence[str]] | None = None,
    sampled: bool = True,
    aligned: bool = False,
) -> dict[str, Tensor]:
    """The pose losses of M predictions.

    Args:
        head: the head that made them (its action space).
        offsets_to_joints: maps (M, 22, 3, 3) rotations to (M, 22, 3) joints in metres.
        poses: (M, 22, 3) axis-angle targets.
        checks: M lists of what the words say, or None to leave that out.
        sampled: with checks, those of a sampled pose too; False draws none.
        aligned: with the distance after alignment.

    Returns:
        ``likelihood``: negative log-likelihood per number (mean squared error of the action for a deterministic
        head); ``joints``: mean distance of joints in metres; ``aligned``: the same after alignment; ``checks``,
        ``sampled_checks``: ``check_loss`` of the mean pose and, unless the head is deterministic, of a sampled one.
    """
    target = head.to_action(poses)  # (M, 22, 6)
    mean = predicted.mean_near(target.flatten(1)).unflatten(-1, target.shape[-2:])
    if head.is_deterministic:
        likelihood = (mean - target).square().mean()
    else:
        likelihood = -predicted.log_prob(target[:, None]).sum(dim=-1).mean() / target[0].numel()
    reached = offsets_to_joints(head.to_rotations(mean))
    wanted = offsets_to_joints(head.to_rotations(target))
    losses = {"likelihood": likelihood, "joints": torch.linalg.vector_norm(reached - wanted, dim=-1).mean()}
    if aligned:
        losses["aligned"] = pa_mpjpe(reached, wanted).mean()
    if checks is not None:
        judged = [reached]
        if sampled and not head.is_deterministic:
            judged.append(offsets_to_joints(head.to_rotations(predicted.sample(1)[:, 0])))
        losses |= zip(("checks", "sampled_checks"), check_loss(checks, torch.stack(judged)), strict=False)
    return losses


def check_loss(checks: Sequence[Sequence[str]], joints: Tensor) -> Tensor:
    """Hinge loss of geometric statements: how far each is from being met with something to spare.

    A recorded pose is one of many that fit its words. The statements say which of its details matter, and as functions
    of the joints they can be descended directly, where a reward has to try. The head is held still: the rest of the
    body has to do what is said.

    Args:
        checks: M lists of statements in the language of ``pose_rft.posescript.checks``; lists may be empty.
        joints: (M, 22, 3) metres, or (P, M, 22, 3) of P poses to each.

    Returns:
        Mean over the samples that have checks of the mean over their checks; 0 if none has any. () or (P,).
    """
    # The head stays where likelihood and joints put it: bowing it is the cheap way to get it below the hands, and few
    # statements mind where it looks.
    still = joints.clone()
    still[..., HEAD, :] = joints[..., HEAD, :].detach()
    measurements = Measurements(still.flatten(0, -3))
    column = {check: number for number, check in enumerate(dict.fromkeys(c for each in checks for c in each))}
    if not column:
        return joints.new_zeros(joints.shape[:-3])
    stated = [(column[check], row, len(each)) for row, each in enumerate(checks) for check in each]
    columns, rows, counts = torch.tensor(stated, device=joints.device).unbind(dim=1)
    # Every statement is evaluated on the whole batch: statements share their quantities, which cost next to nothing.
    margins = torch.stack([compile_check(text).margin(measurements) for text in column], dim=-1)  # (P * M, C)
    missing = (TO_SPARE - margins.unflatten(0, joints.shape[:-2])[..., rows, columns]).clamp(min=0)
    return (missing / counts).sum(dim=-1) / sum(bool(statements) for statements in checks)
