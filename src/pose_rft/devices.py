"""Which device a process of a run uses, and in which precision it computes."""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

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
    if kind == "cpu" and "bf16" in cpu_info().partition("flags")[2].partition("\n")[0]:
        return torch.bfloat16
    return torch.float32


def kept_at(tensors: Sequence[Tensor], device: torch.device) -> torch.device:
    """Where to keep tensors that every step takes some rows of: on the CUDA device itself, if half of it stays free."""
    if device.type != "cuda":
        return torch.device("cpu")
    free, total = torch.cuda.mem_get_info(device)
    return device if free - sum(each.nbytes for each in tensors) > total / 2 else torch.device("cpu")


@cache
def cpu_info() -> str:
    """What Linux says of the first core: maker, model, and what it can do; nothing elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return ""
