"""A policy over hybrid actions: a categorical distribution over actions, a mixture over the numbers of each."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.hybrid.environment import Environment

HIDDEN = 64
FIRST_STD, LEAST_STD = 0.6, 0.03  # of parameters, whose bounds are -1 and 1


def perceptron(inputs: int, outputs: int) -> nn.Sequential:
    """Two hidden layers; the last layer begins near zero, so that what it says first hardly depends on its input."""
    last = nn.Linear(HIDDEN, outputs)
    nn.init.orthogonal_(last.weight, gain=0.01)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), last)


@dataclass(frozen=True)
class HybridDistribution:
    """``pi(a, p | s) = pi_d(a | s) pi_c(p | s, a)`` at N states.

    Attributes:
        logp: (N, A) log-probabilities of the actions.
        log_weight: (N, A, C) of the components of each action's mixture.
        mean, std: (N, A, C, P) of the components.
        has: (A, P) float, 1 where an action has that number.
    """

    logp: Tensor
    log_weight: Tensor
    mean: Tensor
    std: Tensor
    has: Tensor

    def sample_actions(self, count: int, generator: torch.Generator) -> Tensor:
        """(N, count)"""
        return torch.multinomial(self.logp.exp(), count, replacement=True, generator=generator)

    def sample_parameters(self, actions: Tensor, generator: torch.Generator) -> Tensor:
        """(N, P) of actions (N,)."""
        rows = torch.arange(len(actions))
        weight = self.log_weight[rows, actions].exp()
        component = torch.multinomial(weight, 1, generator=generator)[:, 0]
        mean, std = self.mean[rows, actions, component], self.std[rows, actions, component]
        return mean + std * torch.randn(mean.shape, generator=generator)

    def logp_parameters(self, actions: Tensor, parameters: Tensor) -> Tensor:
        """(N,) log-likelihoods of the numbers (N, P) that actions (N,) have; 0 of an action that has none."""
        rows = torch.arange(len(actions))
        mean, std, has = self.mean[rows, actions], self.std[rows, actions], self.has[actions][:, None]
        white = (parameters[:, None] - mean) / std  # (N, C, P)
        density = (has * (-0.5 * white.square() - std.log() - 0.5 * math.log(2 * math.pi))).sum(dim=-1)
        return torch.logsumexp(self.log_weight[rows, actions] + density, dim=-1)

    def likeliest(self) -> tuple[Tensor, Tensor]:
        """(N,) the likeliest action, and (N, P) the mean of the heaviest component of its parameters."""
        rows, actions = torch.arange(len(self.logp)), self.logp.argmax(dim=-1)
        component = self.log_weight[rows, actions].argmax(dim=-1)
        return actions, self.mean[rows, actions, component]

    def entropy(self) -> Tensor:
        """(N,) of the actions, nats."""
        return -(self.logp.exp() * self.logp).sum(dim=-1)


class HybridPolicy(nn.Module):
    """A trunk and two heads.

    Args:
        components: C of each mixture; 1 is a Gaussian.
    """

    def __init__(self, environment: Environment, components: int) -> None:
        super().__init__()
        actions, numbers = environment.low.shape
        self.shape = (actions, components, numbers)
        self.register_buffer("has", torch.tensor(environment.has, dtype=torch.float32))
        outputs = actions * (1 + components * (1 + 2 * numbers))
        self.network = perceptron(environment.observed, outputs)
        # Components begin side by side, from one bound to the other.
        places = torch.linspace(-1, 1, 2 * components + 1)[1::2]
        self.register_buffer("places", places[:, None].expand(components, numbers).clone())

    def forward(self, observations: Tensor) -> HybridDistribution:
        """The distribution at observations (N, O)."""
        actions, components, numbers = self.shape
        sizes = [actions, actions * components, actions * components * numbers, actions * components * numbers]
        logits, weight, mean, spread = self.network(observations).split(sizes, dim=-1)
        std = LEAST_STD + FIRST_STD * spread.unflatten(-1, self.shape).clamp(-5, 2).exp()
        log_weight = weight.unflatten(-1, (actions, components)).log_softmax(dim=-1)
        place = mean.unflatten(-1, self.shape) + self.places
        return HybridDistribution(logits.log_softmax(dim=-1), log_weight, place, std, self.has)

    def at(self, environment: Environment, states: np.ndarray) -> HybridDistribution:
        """The distribution at states (N, S)."""
        return self(torch.as_tensor(environment.observe(states), dtype=torch.float32))

    @torch.no_grad()
    def likeliest(self, environment: Environment, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What it does in states (N, S) without drawing: actions (N,) and parameters (N, P)."""
        actions, parameters = self.at(environment, states).likeliest()
        return actions.numpy(), parameters.numpy()
