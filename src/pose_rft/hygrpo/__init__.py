"""HyGRPO: group-relative policy optimisation of a policy that acts with words and a pose."""

from pose_rft.hygrpo.advantages import group_advantages
from pose_rft.hygrpo.config import HyGRPOConfig
from pose_rft.hygrpo.objective import hybrid_objective, token_kl
from pose_rft.hygrpo.trainer import HyGRPOTrainer

__all__ = ["HyGRPOConfig", "HyGRPOTrainer", "group_advantages", "hybrid_objective", "token_kl"]
