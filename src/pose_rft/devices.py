"""Which device a process of a run uses, and in which precision it computes."""

import os
from functools import cache
from pathlib import Path

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


def best_dtype(device: str | torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies matrices in it, else float32."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if kind == "cpu" and "bf16" in _cpu_flags():
        return torch.bfloat16
    return torch.float32


@cache
def _cpu_flags() -> str:
    try:
        return Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0]
    except OSError:
        return ""
