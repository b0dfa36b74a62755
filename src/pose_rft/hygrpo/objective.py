"""The hybrid objective of HyGRPO and its token KL, as pure functions."""

from typing import Literal

import torch
from torch import Tensor

TextRatio = Literal["token", "answer", "answer_mean"]


def clipped_surrogate(log_ratio: Tensor, advantages: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """PPO's ``min(r A, clip(r, 1 - eps, 1 + eps) A)`` with ``r = exp(log_ratio)``, element by element.

    Args:
        log_ratio, advantages: broadcastable to one shape.

    Returns:
        The surrogate, and where the clip binds (bool): moving further along the advantage is no longer rewarded.
    """
    ratio = torch.exp(log_ratio)
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon)
    surrogate = torch.minimum(ratio * advantages, clipped * advantages)
    return surrogate, clipped * advantages < ratio * advantages


def text_log_ratio(logp: Tensor, old_logp: Tensor, mask: Tensor, kind: TextRatio = "token") -> Tensor:
    """Logarithm of the likelihood of an answer now, divided by that when it was sampled.

    Args:
        logp, old_logp, mask: (N, T).
        kind: "token", of each token, 0 where the mask is false (GRPO); "answer", of the whole answer (Pose-RFT's
            ``pi_d(a|q) / pi_d_old(a|q)``); "answer_mean", its mean over the tokens (GSPO, Zheng et al. 2025), which
            does not spread with the length.

    Returns:
        (N, T), or (N, 1) of the answer.
    """
    # Masked places are replaced before the exponential, so that what stands there (even NaN) has no gradient.
    difference = torch.where(mask, logp - old_logp, 0.0)
    if kind == "token":
        return difference
    whole = difference.sum(dim=1, keepdim=True)
    return whole if kind == "answer" else whole / mask.sum(dim=1, keepdim=True).clamp(min=1)


def mean_by_group(values: Tensor, mask: Tensor, groups: int = 1) -> Tensor:
    """The mean over the true places of each group, then over the groups that have any; 0 where none has.

    Args:
        values, mask: (M,), the groups of one size, side by side.
    """
    mask = mask.reshape(groups, -1)
    count = mask.sum(dim=1)
    means = torch.where(mask, values.reshape(groups, -1), 0.0).sum(dim=1) / count.clamp(min=1)
    return means.sum() / (count > 0).sum().clamp(min=1)


def hybrid_objective(
    logp_text: Tensor,
    old_logp_text: Tensor,
    text_mask: Tensor,
    text_advantages: Tensor,
    logp_pose: Tensor,
    old_logp_pose: Tensor,
    pose_mask: Tensor,
    pose_advantages: Tensor,
    epsilon: float = 0.2,
    text_ratio: TextRatio = "token",
    pose_groups: int = 1,
) -> tuple[Tensor, dict[str, float]]:
    """HyGRPO's objective without its KL terms; to be maximised (Pose-RFT, ICLR 2026).

    ``J = 1/N sum_i S(r_i, F_i) + mean over prompts of 1/V sum_m S(r_m, D_m)`` with ``S(r, A) = min(r A, clip(r) A)``,
    which is a mean over an answer's tokens where each has its own ratio.

    Args:
        logp_text, old_logp_text: (N, T) log-probabilities of the tokens of N answers, now and when they were sampled.
        text_mask: (N, T) true on tokens of the answer.
        text_advantages: (N,) the ``F_i``.
        logp_pose, old_logp_pose: (M,) log-likelihoods of M poses, or (M, J) of their joints; M = N, or N*K.
            Per joint, each joint has its own ratio and the joints are averaged, as tokens are.
        pose_mask: (M,) true where the answer holds a valid pose.
        pose_advantages: (M,) the ``D_m``.
        epsilon: clip range of both ratios.
        text_ratio: see ``text_log_ratio``.
        pose_groups: B, where the poses are those of B prompts, side by side: the V valid ones of a prompt are averaged
            first, then the prompts that have any. 1 averages over all valid poses at once.

    Returns:
        A scalar, and metrics (floats): ``<part>/clip_share`` and ``<part>/ratio_mean``. A part whose mask is all
        zero contributes 0, never NaN, and has no metrics.

    Raises:
        ValueError: shapes that do not fit together.
    """
    if logp_text.shape != text_mask.shape or text_advantages.shape != logp_text.shape[:1]:
        raise ValueError(
            f"text: logp {tuple(logp_text.shape)}, mask {tuple(text_mask.shape)} and advantages "
            f"{tuple(text_advantages.shape)} must be (N, T), (N, T) and (N,)"
        )
    if pose_mask.shape != logp_pose.shape[:1] or pose_advantages.shape != pose_mask.shape:
        raise ValueError(
            f"pose: logp {tuple(logp_pose.shape)}, mask {tuple(pose_mask.shape)} and advantages "
            f"{tuple(pose_advantages.shape)} must be (M,) or (M, J), (M,) and (M,)"
        )
    if len(pose_mask) % pose_groups:
        raise ValueError(f"pose: {len(pose_mask)} poses are not {pose_groups} groups of one size")
    text_mask, pose_mask = text_mask.bool(), pose_mask.bool()
    metrics: dict[str, float] = {}
    objective = logp_text.new_zeros(())

    if text_mask.any():
        log_ratio = text_log_ratio(logp_text, old_logp_text, text_mask, text_ratio)  # (N, T) or (N, 1)
        surrogate, clipped = clipped_surrogate(log_ratio, text_advantages[:, None], epsilon)
        counted = text_mask if text_ratio == "token" else text_mask.any(dim=1, keepdim=True)
        objective = objective + ((surrogate * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)).mean()
        metrics |= _ratio_metrics("text", log_ratio, clipped, counted)

    if pose_mask.any():
        log_ratio = (logp_pose - old_logp_pose).reshape(len(pose_mask), -1)  # (M, 1) or (M, J)
        log_ratio = torch.where(pose_mask[:, None], log_ratio, 0.0)
        surrogate, clipped = clipped_surrogate(log_ratio, pose_advantages[:, None], epsilon)
        objective = objective + mean_by_group(surrogate.mean(dim=1), pose_mask, pose_groups)
        metrics |= _ratio_metrics("pose", log_ratio, clipped, pose_mask[:, None].expand_as(clipped))

    return objective, metrics


def _ratio_metrics(part: str, log_ratio: Tensor, clipped: Tensor, counted: Tensor) -> dict[str, float]:
    return {
        f"{part}/clip_share": clipped[counted].double().mean().item(),
        f"{part}/ratio_mean": torch.exp(log_ratio.detach())[counted].double().mean().item(),
    }


def token_kl(logp: Tensor, reference_logp: Tensor, mask: Tensor, log_ratio: Tensor | None = None) -> Tensor:
    """Estimate of KL(pi || pi_ref) per token from samples of pi: ``exp(d) - d - 1``, ``d = ref - logp`` (>= 0).

    The low-variance unbiased estimator that GRPO uses (Schulman 2020, "k3"). Averaged like the objective's text part.

    Args:
        logp, reference_logp, mask: (N, T).
        log_ratio: (N, T) or (N, 1) of ``text_log_ratio``. Given, each term is weighed by its ratio, which makes the
            gradient that of the KL itself, also where the ratio is 1 (DeepSeek-V3.2); None leaves it out (GRPO).

    Returns:
        A scalar.
    """
    mask = mask.bool()
    difference = torch.where(mask, reference_logp - logp, 0.0)
    kl = torch.exp(difference) - difference - 1
    if log_ratio is not None:
        kl = kl * torch.exp(log_ratio)
    return ((kl * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()
