"""The hybrid objective of HyGRPO and its two KL terms, as pure functions."""

import torch
from torch import Tensor


def clipped_surrogate(logp: Tensor, old_logp: Tensor, advantages: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """PPO's ``min(r A, clip(r, 1 - eps, 1 + eps) A)`` with ``r = exp(logp - old_logp)``, element by element.

    Args:
        logp, old_logp, advantages: broadcastable to one shape. Gradient flows through ``logp`` only.

    Returns:
        The surrogate, and where the clip binds (bool): moving further along the advantage is no longer rewarded.
    """
    ratio = torch.exp(logp - old_logp)
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon)
    surrogate = torch.minimum(ratio * advantages, clipped * advantages)
    return surrogate, clipped * advantages < ratio * advantages


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
) -> tuple[Tensor, dict[str, float]]:
    """HyGRPO's objective without its KL terms; to be maximised (Pose-RFT, ICLR 2026).

    ``J = 1/N sum_i 1/|a_i| sum_t min(r_it F_i, clip(r_it) F_i) + 1/V sum_m min(r_m D_m, clip(r_m) D_m)``

    Args:
        logp_text, old_logp_text: (N, T) log-probabilities of the tokens of N answers, now and when they were sampled.
        text_mask: (N, T) true on tokens of the answer.
        text_advantages: (N,) the ``F_i``.
        logp_pose, old_logp_pose: (M,) log-likelihoods of M poses, or (M, J) of their joints; M = N, or N*K.
            Per joint, each joint has its own ratio and the joints are averaged, as tokens are.
        pose_mask: (M,) true where the answer holds a valid pose.
        pose_advantages: (M,) the ``D_m``.
        epsilon: clip range of both ratios.

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
    text_mask, pose_mask = text_mask.bool(), pose_mask.bool()
    metrics: dict[str, float] = {}
    objective = logp_text.new_zeros(())

    if text_mask.any():
        # Masked places are replaced before the exponential, so that what stands there (even NaN) has no gradient.
        surrogate, clipped = clipped_surrogate(
            torch.where(text_mask, logp_text, 0.0),
            torch.where(text_mask, old_logp_text, 0.0),
            text_advantages[:, None],
            epsilon,
        )
        tokens = text_mask.sum(dim=1).clamp(min=1)  # (N,)
        objective = objective + ((surrogate * text_mask).sum(dim=1) / tokens).mean()
        metrics |= _ratio_metrics("text", logp_text, old_logp_text, clipped, text_mask)

    if pose_mask.any():
        logp_pose, old_logp_pose = logp_pose[pose_mask], old_logp_pose[pose_mask]  # (V,) or (V, J)
        advantages = pose_advantages[pose_mask]
        if logp_pose.ndim == 2:
            advantages = advantages[:, None]
        surrogate, clipped = clipped_surrogate(logp_pose, old_logp_pose, advantages, epsilon)
        objective = objective + surrogate.mean()
        metrics |= _ratio_metrics("pose", logp_pose, old_logp_pose, clipped, torch.ones_like(clipped))

    return objective, metrics


def _ratio_metrics(part: str, logp: Tensor, old_logp: Tensor, clipped: Tensor, mask: Tensor) -> dict[str, float]:
    ratio = torch.exp(logp.detach() - old_logp)[mask]
    return {
        f"{part}/clip_share": clipped[mask].double().mean().item(),
        f"{part}/ratio_mean": ratio.double().mean().item(),
    }


def token_kl(logp: Tensor, reference_logp: Tensor, mask: Tensor, old_logp: Tensor | None = None) -> Tensor:
    """Estimate of KL(pi || pi_ref) per token from samples of pi: ``exp(d) - d - 1``, ``d = ref - logp`` (>= 0).

    The low-variance unbiased estimator that GRPO uses (Schulman 2020, "k3"). Averaged like the objective's text part.

    Args:
        logp, reference_logp, mask: (N, T).
        old_logp: (N, T) when the tokens were sampled. Given, each term is weighed by its ratio, which makes the
            gradient that of the KL itself, also where the ratio is 1 (DeepSeek-V3.2); None leaves it out (GRPO).

    Returns:
        A scalar.
    """
    mask = mask.bool()
    difference = torch.where(mask, reference_logp - logp, 0.0)
    kl = torch.exp(difference) - difference - 1
    if old_logp is not None:
        kl = kl * torch.exp(torch.where(mask, logp - old_logp, 0.0))
    return ((kl * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()
