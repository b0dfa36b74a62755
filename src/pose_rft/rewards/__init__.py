"""What is good: rewards, how they are called and how they are combined."""

from pose_rft.rewards.batch import PoseBatch
from pose_rft.rewards.contract import RewardError
from pose_rft.rewards.grades import Grades
from pose_rft.rewards.rollout import Graded, OnError, RolloutRewarder, grade
from pose_rft.rewards.spec import BUILT_IN, RewardSpec, resolve, reward_specs

__all__ = [
    "BUILT_IN", "Graded", "Grades", "OnError", "PoseBatch", "RewardError", "RewardSpec", "RolloutRewarder", "grade",
    "resolve", "reward_specs",
]  # fmt: skip
