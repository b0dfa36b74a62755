"""Pose-RFT: language models that answer with words and a 3D human pose, trained by reward."""

from typing import TYPE_CHECKING, Any

from pose_rft.errors import UserError

if TYPE_CHECKING:
    from pose_rft.body.pose import Pose
    from pose_rft.policy import Answer, PosePolicy

__all__ = ["Answer", "Pose", "PosePolicy", "UserError"]


def __getattr__(name: str) -> Any:
    # Imported when first asked for, so that `pose-rft --help` does not wait for torch.
    if name == "Pose":
        from pose_rft.body.pose import Pose

        return Pose
    if name in ("Answer", "PosePolicy"):
        from pose_rft import policy

        return policy.PosePolicy if name == "PosePolicy" else policy.Answer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
