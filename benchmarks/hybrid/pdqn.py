"""P-DQN: an actor that gives every action its parameters, and a Q-network that chooses among the actions.

Xiong et al., "Parametrized Deep Q-Networks Learning", 2018 (arXiv 1810.06394). Written for comparison: one process,
one-step targets, target networks that follow softly (as in DDPG), exploration by random actions and noise.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.hybrid.environment import Environment
from benchmarks.hybrid.hppo import Copies
from benchmarks.hybrid.learning import update
from benchmarks.hybrid.policy import perceptron


@dataclass(frozen=True)
class PDQNSettings:
    """What may differ from environment to environment."""

    copies: int = 32  # of the environment
    memory: int = 100_000  # steps that are remembered
    batch: int = 256
    steps_per_update: int = 64
    learning_rate: float = 1e-3
    actor_learning_rate: float = 3e-4
    discount: float = 0.99
    follow: float = 0.01  # of the target networks at an update
    random: float = 0.2  # share of the training over which random actions become rare
    least_random: float = 0.05
    noise: float = 0.1  # standard deviation, of parameters between -1 and 1


class ParametrisedQ(nn.Module):
    """The parameters ``x(s)`` of all actions, and the values ``Q(s, a, x)``."""

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self.shape = environment.low.shape
        actions, numbers = self.shape
        self.actor = nn.Sequential(perceptron(environment.observed, actions * numbers), nn.Tanh())
        self.critic = perceptron(environment.observed + actions * numbers, actions)

    def values(self, observations: Tensor, parameters: Tensor) -> Tensor:
        """(N, A), of the parameters (N, A P) of all actions."""
        return self.critic(torch.cat([observations, parameters], dim=1))

    def act(self, observations: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """(N,) the actions of the highest value, and (N, P) their parameters."""
        actions = self.values(observations, parameters).argmax(dim=1)
        return actions, parameters.unflatten(1, self.shape)[torch.arange(len(actions)), actions]

    @torch.no_grad()
    def likeliest(self, environment: Environment, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What it does in states (N, S) without exploring."""
        observations = torch.as_tensor(environment.observe(states), dtype=torch.float32)
        actions, parameters = self.act(observations, self.actor(observations))
        return actions.numpy(), parameters.numpy()


class Memory:
    """The last steps, as columns of numbers."""

    def __init__(self, size: int, columns: dict[str, int]) -> None:
        self.columns = {name: torch.zeros(size, width) for name, width in columns.items()}
        self.size, self.seen = size, 0

    def add(self, **values: Tensor) -> None:
        """Values of N steps, (N, width) each."""
        count = len(next(iter(values.values())))
        places = torch.arange(self.seen, self.seen + count) % self.size
        for name, value in values.items():
            self.columns[name][places] = value
        self.seen += count

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        chosen = torch.randint(min(self.seen, self.size), (count,), generator=generator)
        return {name: column[chosen] for name, column in self.columns.items()}


def explored(
    network: ParametrisedQ, observations: Tensor, random: float, noise: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Actions (N,) and the parameters (N, A P) of all actions, some at random and all with noise."""
    parameters = network.actor(observations)
    parameters = (parameters + noise * torch.randn(parameters.shape, generator=generator)).clamp(-1, 1)
    actions, _ = network.act(observations, parameters)
    blind = torch.rand(len(actions), generator=generator) < random
    anything = 2 * torch.rand(parameters.shape, generator=generator) - 1
    any_action = torch.randint(network.shape[0], actions.shape, generator=generator)
    return torch.where(blind, any_action, actions), torch.where(blind[:, None], anything, parameters)


def square_error(network: ParametrisedQ, target: ParametrisedQ, batch: dict[str, Tensor], discount: float) -> Tensor:
    """Of the Q-network, against what the target networks say of the state that followed."""
    with torch.no_grad():
        following = batch["following"]
        best = target.values(following, target.actor(following)).amax(dim=1, keepdim=True)
        goal = batch["rewards"] + discount * (1 - batch["ended"]) * best
    value = network.values(batch["observations"], batch["parameters"]).gather(1, batch["actions"].long())
    return (value - goal).square().mean()


def minus_values(network: ParametrisedQ, batch: dict[str, Tensor]) -> Tensor:
    """What the actor makes small: minus the sum of the values of all actions with its parameters."""
    observations = batch["observations"]
    return -network.values(observations, network.actor(observations)).sum(dim=1).mean()


def train(
    environment: Environment, settings: PDQNSettings, seed: int, steps: int, told: Callable[[int, float], None]
) -> ParametrisedQ:
    """Train a network for a number of steps of the environment; ``told`` is as for HyGRPO."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    copies = Copies(environment, settings.copies, np.random.default_rng(seed))
    network = ParametrisedQ(environment)
    target = copy.deepcopy(network).requires_grad_(False)
    critic_optimizer = torch.optim.Adam(network.critic.parameters(), settings.learning_rate)
    actor_optimizer = torch.optim.Adam(network.actor.parameters(), settings.actor_learning_rate)
    widths = {"actions": 1, "parameters": int(np.prod(network.shape)), "rewards": 1, "ended": 1}
    widths |= dict.fromkeys(("observations", "following"), environment.observed)
    memory = Memory(settings.memory, widths)
    due = 0.0
    for gone in range(settings.copies, steps + settings.copies, settings.copies):
        observations = copies.observations
        random = max(1 - gone / (settings.random * steps), settings.least_random)
        with torch.no_grad():
            actions, parameters = explored(network, observations, random, settings.noise, generator)
        chosen = parameters.unflatten(1, network.shape)[torch.arange(len(actions)), actions]
        rewards, ended, led_to = copies.step(actions, chosen)
        memory.add(
            observations=observations,
            actions=actions[:, None].float(),
            parameters=parameters,
            rewards=torch.as_tensor(rewards / environment.scale, dtype=torch.float32)[:, None],
            ended=torch.as_tensor(ended, dtype=torch.float32)[:, None],
            following=torch.as_tensor(environment.observe(led_to), dtype=torch.float32),
        )
        due += settings.copies / settings.steps_per_update
        while due >= 1:
            due -= 1
            batch = memory.draw(settings.batch, generator)
            update(critic_optimizer, square_error(network, target, batch, settings.discount))
            update(actor_optimizer, minus_values(network, batch))
            for slow, fast in zip(target.parameters(), network.parameters(), strict=True):
                slow.lerp_(fast.detach(), settings.follow)
        if gone % 2048 < settings.copies:
            told(gone, float(np.mean(copies.finished[-100:])) if copies.finished else 0.0)
    return network
