"""H-PPO: a discrete and a continuous actor on one trunk, a critic, and two clipped objectives.

Fan, Su, Zhang and Yu, "Hybrid Actor-Critic Reinforcement Learning in Parameterized Action Space", IJCAI 2019. Written
for comparison: the actors are HyGRPO's network with one Gaussian, the clipped objective is the package's. Each actor
has its own ratio; both are weighed by one advantage, that of the critic (GAE, Schulman et al. 2016).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.hybrid.environment import Environment
from benchmarks.hybrid.learning import schedule, update
from benchmarks.hybrid.policy import HybridPolicy, perceptron
from pose_rft.hygrpo.objective import clipped_surrogate


@dataclass(frozen=True)
class HPPOSettings:
    """What may differ from environment to environment."""

    copies: int = 64  # of the environment
    length: int = 32  # steps of each copy in a rollout
    updates: int = 6  # of a rollout
    batch: int = 1024
    learning_rate: float = 3e-3
    epsilon: float = 0.2
    entropy: float = 0.003
    discount: float = 0.99
    trace: float = 0.95  # lambda of GAE
    components: int = 1


@dataclass(frozen=True)
class Steps:
    """N = T E steps of E copies."""

    observations: Tensor  # (N, O)
    actions: Tensor  # (N,)
    parameters: Tensor  # (N, P)
    has_parameters: Tensor  # (N,) bool
    advantages: Tensor  # (N,)
    targets: Tensor  # (N,) of the critic
    old_logp_actions: Tensor  # (N,)
    old_logp_parameters: Tensor  # (N,)


class Copies:
    """Copies of an environment that begin anew when an episode ends."""

    def __init__(self, environment: Environment, count: int, generator: np.random.Generator) -> None:
        self.environment, self.generator = environment, generator
        self.states = environment.start(count, generator)
        self.returns = np.zeros(count)  # of the episodes that are under way
        self.finished: list[float] = []  # returns of those that have ended

    @property
    def observations(self) -> Tensor:
        return torch.as_tensor(self.environment.observe(self.states), dtype=torch.float32)

    def step(self, actions: Tensor, parameters: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rewards (E,), where episodes ended (E,), and the states (E, S) that the steps led to."""
        step = self.environment.step(self.states, actions.numpy(), parameters.numpy(), self.generator)
        self.returns += step.rewards
        self.finished += self.returns[step.ended].tolist()
        self.returns[step.ended] = 0
        self.states = step.states.copy()
        self.states[step.ended] = self.environment.start(int(step.ended.sum()), self.generator)
        return step.rewards, step.ended, step.states


def generalised_advantages(
    rewards: np.ndarray, values: np.ndarray, ended: np.ndarray, discount: float, trace: float
) -> np.ndarray:
    """(T, E) GAE of rewards and ends (T, E); values are (T + 1, E), the last of where the rollout stops."""
    advantages = np.zeros_like(rewards)
    behind = np.zeros(rewards.shape[1])
    for time in range(len(rewards) - 1, -1, -1):
        going = ~ended[time]
        surprise = rewards[time] + discount * values[time + 1] * going - values[time]
        behind = advantages[time] = surprise + discount * trace * going * behind
    return advantages


@torch.no_grad()
def collect(
    copies: Copies, policy: HybridPolicy, critic: nn.Module, settings: HPPOSettings, generator: torch.Generator
) -> Steps:
    """Play T steps in each copy."""
    columns: list[list[Tensor]] = [[] for _ in range(5)]
    values, rewards, ended = [], [], []
    for _ in range(settings.length):
        observations = copies.observations
        distribution = policy(observations)
        actions = distribution.sample_actions(1, generator)[:, 0]
        parameters = distribution.sample_parameters(actions, generator)
        logp = distribution.logp.gather(1, actions[:, None])[:, 0]
        parts = (observations, actions, parameters, logp, distribution.logp_parameters(actions, parameters))
        for column, part in zip(columns, parts, strict=True):
            column.append(part)
        values.append(critic(observations)[:, 0].numpy())
        reward, over, _ = copies.step(actions, parameters)
        rewards.append(reward / copies.environment.scale)
        ended.append(over)
    values.append(critic(copies.observations)[:, 0].numpy())
    found = np.stack(values)
    advantages = generalised_advantages(np.stack(rewards), found, np.stack(ended), settings.discount, settings.trace)
    targets = torch.as_tensor(advantages + found[:-1], dtype=torch.float32).flatten()
    advantage = torch.as_tensor(advantages, dtype=torch.float32).flatten()
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-4)
    observations, actions, parameters, logp, logp_parameters = (torch.cat(column) for column in columns)
    has = torch.as_tensor(copies.environment.has.any(axis=1))[actions]
    return Steps(observations, actions, parameters, has, advantage, targets, logp, logp_parameters)


def loss_of(policy: HybridPolicy, critic: nn.Module, settings: HPPOSettings, steps: Steps, chosen: Tensor) -> Tensor:
    """Minus both clipped objectives, and the critic's square error, on the ``chosen`` (n,) steps."""
    observations, actions = steps.observations[chosen], steps.actions[chosen]
    advantages, has = steps.advantages[chosen], steps.has_parameters[chosen]
    distribution = policy(observations)
    log_ratio = distribution.logp.gather(1, actions[:, None])[:, 0] - steps.old_logp_actions[chosen]
    discrete, _ = clipped_surrogate(log_ratio, advantages, settings.epsilon)
    logp_parameters = distribution.logp_parameters(actions, steps.parameters[chosen])
    log_ratio = torch.where(has, logp_parameters - steps.old_logp_parameters[chosen], 0.0)
    continuous, _ = clipped_surrogate(log_ratio, advantages, settings.epsilon)
    objective = discrete.mean() + (continuous * has).sum() / has.sum().clamp(min=1)
    error = (critic(observations)[:, 0] - steps.targets[chosen]).square().mean()
    return -objective - settings.entropy * distribution.entropy().mean() + 0.5 * error


def train(
    environment: Environment, settings: HPPOSettings, seed: int, steps: int, told: Callable[[int, float], None]
) -> HybridPolicy:
    """Train a policy for a number of steps of the environment; ``told`` is as for HyGRPO."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    copies = Copies(environment, settings.copies, np.random.default_rng(seed))
    policy, critic = HybridPolicy(environment, settings.components), perceptron(environment.observed, 1)
    optimizer = torch.optim.Adam([*policy.parameters(), *critic.parameters()], settings.learning_rate)
    per_rollout = settings.copies * settings.length
    for gone in range(per_rollout, steps + per_rollout, per_rollout):
        taken = collect(copies, policy, critic, settings, generator)
        schedule(optimizer, settings.learning_rate, gone / steps)
        for _ in range(settings.updates):
            chosen = torch.randint(per_rollout, (settings.batch,), generator=generator)
            update(optimizer, loss_of(policy, critic, settings, taken, chosen))
        told(gone, float(np.mean(copies.finished[-100:])) if copies.finished else 0.0)
    return policy
