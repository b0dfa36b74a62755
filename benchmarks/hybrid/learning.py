"""What the three learners share: one step of an optimiser."""

import torch
from torch import Tensor

LARGEST_GRADIENT = 1.0
LEAST_RATE = 0.05  # what is left of a learning rate at the end


def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step along the gradient of a loss with respect to what the optimiser trains, and nothing else."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    loss.backward(inputs=parameters)
    torch.nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
    optimizer.step()


def schedule(optimizer: torch.optim.Optimizer, rate: float, share: float) -> None:
    """Let a learning rate fall in a line with the ``share`` of the training that is over."""
    for group in optimizer.param_groups:
        group["lr"] = rate * max(1 - share, LEAST_RATE)
