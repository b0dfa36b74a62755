"""Which device a process of a run uses."""

import os

import torch

from pose_rft.errors import UserError


def pick_device(name: str) -> str:
    """ "auto" is CUDA where there is one, else the CPU; anything else must exist.

    Under torchrun and accelerate launch, "auto" and "cuda" are the process's own CUDA device.

    Raises:
        UserError: a device that this machine does not have.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name!r}: not available here; use auto or cpu") from error
    return name
