"""How it learns: group-relative policy optimisation of a hybrid (text and pose) policy."""

from pose_rft.hygrpo.advantages import group_advantages
from pose_rft.hygrpo.objective import hybrid_objective, token_kl
from pose_rft.hygrpo.trainer import HyGRPOConfig, HyGRPOTrainer

__all__ = ["HyGRPOConfig", "HyGRPOTrainer", "group_advantages", "hybrid_objective", "token_kl"]
