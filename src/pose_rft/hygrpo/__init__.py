"""HyGRPO: group-relative policy optimisation of a policy that acts with words and a pose."""

from pose_rft.hygrpo.advantages import group_advantages, per_reward_advantages
from pose_rft.hygrpo.config import HyGRPOConfig
from pose_rft.hygrpo.objective import hybrid_objective, text_log_ratio, token_kl
from pose_rft.hygrpo.trainer import HyGRPOTrainer

__all__ = [
    "HyGRPOConfig", "HyGRPOTrainer", "group_advantages", "hybrid_objective", "per_reward_advantages", "text_log_ratio",
    "token_kl",
]  # fmt: skip
