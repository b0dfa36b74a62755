"""The supervised stage: imitation, before reward."""

from pose_rft.runs.sft import SftConfig, run_sft

__all__ = ["SftConfig", "run_sft"]
