"""HyGRPO where actions follow one another, with the package's own functions.

**A group** is what is tried from one state: G actions, and K parameters to each. So a state is a prompt, an action an
answer of one word, parameters a pose. Each of the G K tries is played to the end of its episode, and its grade is its
return. Actions are compared by the mean of their K returns, parameters within their action. Half of the states are
those in which episodes begin; the others are drawn from all that the last rollout came through.

**The steps that follow** learn, too, and do not share the advantage of the try: a step is graded by the return from it
on, and compared with those of the group's other tries that are still going after as many steps. There is no critic.
Where episodes are long, tries are cut off after a number of steps, the ``horizon``, and the first half of it learns.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.hybrid.environment import Environment
from benchmarks.hybrid.learning import schedule, update
from benchmarks.hybrid.policy import HybridPolicy
from pose_rft.hygrpo import group_advantages, hybrid_objective


@dataclass(frozen=True)
class HyGRPOSettings:
    """What may differ from environment to environment."""

    states: int = 32  # B of a rollout
    actions: int = 4  # G
    parameters: int = 4  # K
    updates: int = 6  # of a rollout
    batch: int = 1024  # steps of an update, drawn from those of the rollout
    learning_rate: float = 3e-3
    epsilon: float = 0.2
    components: int = 2
    std_floor: float = 0.3  # of advantages, in units of the environment's scale
    entropy: float = 0.003  # weight of a bonus for undecided actions
    discount: float = 1.0
    fresh: float = 0.5  # share of states in which episodes begin
    horizon: int = 1000  # steps that a try is played on, where the episode does not end before


@dataclass(frozen=True)
class Steps:
    """N steps that were taken, of one rollout."""

    states: np.ndarray  # (N, S)
    observations: Tensor  # (N, O)
    actions: Tensor  # (N,)
    parameters: Tensor  # (N, P)
    has_parameters: Tensor  # (N,) bool
    action_advantages: Tensor  # (N,)
    parameter_advantages: Tensor  # (N,)
    old_logp_actions: Tensor  # (N,) of the policy that sampled
    old_logp_parameters: Tensor  # (N,)
    learned: int  # how many of them are learned from, the first

    def __len__(self) -> int:
        return len(self.actions)


@torch.no_grad()
def collect(
    environment: Environment,
    policy: HybridPolicy,
    settings: HyGRPOSettings,
    states: np.ndarray,
    generator: np.random.Generator,
    torch_generator: torch.Generator,
) -> tuple[Steps, np.ndarray]:
    """Try G actions and K parameters to each from every one of ``states`` (B, S), and play on to the ends.

    Returns:
        The steps, and the returns (B G K,) of the tries.
    """
    tries = settings.actions * settings.parameters
    first = policy.at(environment, states).sample_actions(settings.actions, torch_generator)  # (B, G)
    actions = first.flatten().repeat_interleave(settings.parameters)
    states = np.repeat(states, tries, axis=0)
    rows, total = np.arange(len(states)), len(states)
    taken: list[tuple[np.ndarray, np.ndarray, Tensor, Tensor, Tensor, Tensor, Tensor]] = []
    rewards: list[np.ndarray] = []
    while len(rows) and len(taken) < settings.horizon:
        observations = torch.as_tensor(environment.observe(states), dtype=torch.float32)
        distribution = policy(observations)
        if taken:
            actions = distribution.sample_actions(1, torch_generator)[:, 0]
        parameters = distribution.sample_parameters(actions, torch_generator)
        logp = distribution.logp.gather(1, actions[:, None])[:, 0]
        logp_parameters = distribution.logp_parameters(actions, parameters)
        taken.append((rows, states, observations, actions, parameters, logp, logp_parameters))
        step = environment.step(states, actions.numpy(), parameters.numpy(), generator)
        rewards.append(np.zeros(total))
        rewards[-1][rows] = step.rewards
        rows, states = rows[~step.ended], step.states[~step.ended]

    returns = np.stack(rewards)  # (T, B G K)
    for time in range(len(returns) - 2, -1, -1):
        returns[time] += settings.discount * returns[time + 1]
    action_advantages, parameter_advantages = advantages(environment, settings, returns, taken)
    columns = [torch.cat([each[column] for each in taken]) for column in range(2, 7)]
    has = torch.as_tensor(environment.has.any(axis=1))[columns[1]]
    visited = np.concatenate([each[1] for each in taken])
    learned = sum(len(each[0]) for each in taken[: max(1, settings.horizon // 2)])
    steps = Steps(visited, *columns[:3], has, action_advantages, parameter_advantages, *columns[3:], learned)
    return steps, returns[0]


def advantages(
    environment: Environment, settings: HyGRPOSettings, returns: np.ndarray, taken: list
) -> tuple[Tensor, Tensor]:
    """Those of the actions and of the parameters, (N,) each, of all steps in the order in which they were taken."""
    grades = torch.as_tensor(returns / environment.scale, dtype=torch.float32)  # (T, M)
    floor, groups = settings.std_floor, (-1, settings.actions * settings.parameters)
    going = torch.zeros(grades.shape, dtype=torch.bool)
    for time, (rows, *_) in enumerate(taken):
        going[time, rows] = True
    later = group_advantages(grades.reshape(groups), going.reshape(groups), std_floor=floor).reshape(grades.shape)
    tried = grades[0].reshape(-1, settings.actions, settings.parameters)  # (B, G, K)
    of_action = group_advantages(tried.mean(dim=2), std_floor=floor)[:, :, None].expand_as(tried)
    of_parameters = group_advantages(tried.flatten(0, 1), std_floor=floor)
    return (
        torch.cat([of_action.flatten(), later[1:][going[1:]]]),
        torch.cat([of_parameters.flatten(), later[1:][going[1:]]]),
    )


def loss_of(policy: HybridPolicy, settings: HyGRPOSettings, steps: Steps, chosen: Tensor) -> Tensor:
    """Minus HyGRPO's objective on the ``chosen`` (n,) steps.

    There is no policy to stay near, so no KL; a small bonus keeps actions undecided.
    """
    distribution = policy(steps.observations[chosen])
    actions = steps.actions[chosen]
    objective, _ = hybrid_objective(
        distribution.logp.gather(1, actions[:, None]),
        steps.old_logp_actions[chosen, None],
        torch.ones(len(chosen), 1, dtype=torch.bool),
        steps.action_advantages[chosen],
        distribution.logp_parameters(actions, steps.parameters[chosen]),
        steps.old_logp_parameters[chosen],
        steps.has_parameters[chosen],
        steps.parameter_advantages[chosen],
        settings.epsilon,
    )
    return -objective - settings.entropy * distribution.entropy().mean()


def train(
    environment: Environment, settings: HyGRPOSettings, seed: int, steps: int, told: Callable[[int, float], None]
) -> HybridPolicy:
    """Train a policy for a number of steps of the environment.

    Args:
        told: called after every rollout with the steps gone and the mean return of its tries.
    """
    torch.manual_seed(seed)
    generator, torch_generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    policy = HybridPolicy(environment, settings.components)
    optimizer = torch.optim.Adam(policy.parameters(), settings.learning_rate)
    visited, gone = environment.start(settings.states, generator), 0
    fresh = round(settings.fresh * settings.states)
    while gone < steps:
        again = visited[generator.integers(len(visited), size=settings.states - fresh)]
        states = np.concatenate([environment.start(fresh, generator), again])
        taken, returns = collect(environment, policy, settings, states, generator, torch_generator)
        visited, gone = taken.states, gone + len(taken)
        schedule(optimizer, settings.learning_rate, gone / steps)
        for _ in range(settings.updates):
            chosen = torch.randint(taken.learned, (settings.batch,), generator=torch_generator)
            update(optimizer, loss_of(policy, settings, taken, chosen))
        told(gone, float(returns[: fresh * settings.actions * settings.parameters].mean()))
    return policy
