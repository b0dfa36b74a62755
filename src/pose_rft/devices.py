"""Which device a run uses."""

import torch

from pose_rft.errors import UserError


def pick_device(name: str) -> str:
    """ "auto" is CUDA where there is one, else the CPU; anything else must exist.

    Raises:
        UserError: a device that this machine does not have.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name!r}: not available here; use auto or cpu") from error
    return name
