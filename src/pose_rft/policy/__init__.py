"""What acts: a language model, a pose head, and the policy they make."""

from pose_rft.data.sample import POSE_TOKEN
from pose_rft.policy.config import LoraSettings, PolicyConfig
from pose_rft.policy.outputs import Answer, Rollout, Scores
from pose_rft.policy.policy import PosePolicy
from pose_rft.policy.pose_branch import PoseBranchConfig
from pose_rft.policy.pose_head import HeadConfig, PoseHead
from pose_rft.policy.prompt_encoder import PromptInput

__all__ = [
    "POSE_TOKEN", "Answer", "HeadConfig", "LoraSettings", "PolicyConfig", "PoseBranchConfig", "PoseHead", "PosePolicy",
    "PromptInput", "Rollout", "Scores",
]  # fmt: skip
