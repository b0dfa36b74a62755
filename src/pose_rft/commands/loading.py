"""The policy that a command acts with."""

from typing import TYPE_CHECKING

from pose_rft.terminal import status

if TYPE_CHECKING:
    from pose_rft.policy import PosePolicy


def load_policy(checkpoint: str, device: str) -> "PosePolicy":
    """The policy of ``--checkpoint`` on the device of ``--device``."""
    with status("Loading the policy ..."):
        from pose_rft.devices import pick_device  # the libraries take as long as the weights
        from pose_rft.policy import PosePolicy

        return PosePolicy.from_pretrained(checkpoint, pick_device(device))
