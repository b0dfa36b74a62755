"""The learners of hybrid actions: their parts against hand-worked numbers, and all three on one small game."""

import json

import numpy as np
import pytest
import torch
from rich.console import Console
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from benchmarks.hybrid import hppo, hygrpo, pdqn
from benchmarks.hybrid.environment import Environment, Step
from benchmarks.hybrid.hppo import generalised_advantages
from benchmarks.hybrid.pdqn import Memory
from benchmarks.hybrid.policy import HybridPolicy
from benchmarks.hybrid.results import judged, run_file, table, write_run
from benchmarks.hybrid_actions import main, make


class Darts(Environment):
    """Two throws, each of two numbers at a target that the state names, or of none for half a point."""

    low = np.array([[-1.0, -1.0], [np.nan, np.nan]])
    high = np.array([[1.0, 1.0], [np.nan, np.nan]])
    observed, limit, scale = 2, 2, 1.0

    def start(self, count: int, generator: np.random.Generator) -> np.ndarray:
        return np.column_stack([generator.uniform(-0.8, 0.8, (count, 1)), np.zeros((count, 1))])

    def observe(self, states: np.ndarray) -> np.ndarray:
        return states

    def act(self, states: np.ndarray, actions: np.ndarray, numbers: np.ndarray, generator: np.random.Generator) -> Step:
        off = np.abs(numbers - states[:, :1] * np.array([1, -1])).max(axis=1)
        after = states + np.array([0, 1])
        rewards = np.where(actions == 0, 1 - off, 0.5)
        return Step(after, rewards, after[:, 1] >= 2, off < 0.2)


LEARNERS = {
    "hygrpo": (hygrpo.train, hygrpo.HyGRPOSettings(batch=256)),
    "h-ppo": (hppo.train, hppo.HPPOSettings(batch=256, length=8)),
    "p-dqn": (pdqn.train, pdqn.PDQNSettings(steps_per_update=32, actor_learning_rate=1e-3)),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_learns_to_throw_where_the_state_says(name):
    train, settings = LEARNERS[name]
    told = []
    policy = train(Darts(), settings, 0, 40_000, lambda gone, mean: told.append(gone))
    assert told[-1] >= 40_000 - 2048
    assert np.mean(judged(Darts(), policy)["return"]) > 1.7


def test_training_repeats_with_a_seed():
    train, settings = LEARNERS["hygrpo"]
    one, other = (train(Darts(), settings, 3, 4000, lambda *_: None).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def distribution():
    torch.manual_seed(0)
    policy = HybridPolicy(Darts(), components=3)
    for parameter in policy.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return policy(torch.randn(5, 2))


def test_the_likelihood_of_parameters_is_that_of_a_mixture_and_of_none_is_one(distribution):
    parameters = torch.randn(5, 2)
    mixture = MixtureSameFamily(
        Categorical(logits=distribution.log_weight[:, 0]),
        Independent(Normal(distribution.mean[:, 0], distribution.std[:, 0]), 1),
    )
    throw, none = torch.zeros(5, dtype=torch.long), torch.ones(5, dtype=torch.long)
    torch.testing.assert_close(distribution.logp_parameters(throw, parameters), mixture.log_prob(parameters))
    torch.testing.assert_close(distribution.logp_parameters(none, parameters), torch.zeros(5))
    torch.testing.assert_close(distribution.entropy(), Categorical(probs=distribution.logp.exp()).entropy())


def test_samples_of_parameters_have_the_mean_of_the_mixture(distribution):
    throws = torch.zeros(5, dtype=torch.long)
    generator = torch.Generator().manual_seed(0)
    sampled = torch.stack([distribution.sample_parameters(throws, generator) for _ in range(4000)])
    expected = (distribution.log_weight[:, 0].exp()[..., None] * distribution.mean[:, 0]).sum(dim=1)
    torch.testing.assert_close(sampled.mean(dim=0), expected, atol=0.08, rtol=0)


def test_advantages_compare_tries_first_and_then_what_is_still_going():
    settings = hygrpo.HyGRPOSettings(actions=2, parameters=2, std_floor=0.0)
    # One state, four tries: actions 0, 0, 1, 1. Returns from the first step and from the second; the last has ended.
    returns = np.array([[1.0, 3.0, 5.0, 7.0], [2.0, 4.0, 6.0, 0.0]])
    taken = [(np.arange(4),), (np.arange(3),)]
    of_action, of_parameters = hygrpo.advantages(Darts(), settings, returns, taken)
    # Means 2 and 6 of the actions, parameters 1 from the mean of their action: +-1 over deviations of sqrt(2).
    half = 0.5**0.5
    assert of_action.tolist() == pytest.approx([-half, -half, half, half, -1, 0, 1], abs=1e-3)
    assert of_parameters.tolist() == pytest.approx([-half, half, -half, half, -1, 0, 1], abs=1e-3)


def test_a_rollout_holds_every_step_and_learns_from_the_first_half_of_the_horizon():
    generator, torch_generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    settings = hygrpo.HyGRPOSettings(horizon=2)
    states = Darts().start(3, generator)
    policy = HybridPolicy(Darts(), 1)
    steps, returns = hygrpo.collect(Darts(), policy, settings, states, generator, torch_generator)
    assert (len(steps), steps.learned, len(returns)) == (3 * 16 * 2, 3 * 16, 48)
    assert torch.equal(steps.has_parameters, steps.actions == 0)
    # K parameters to each of G actions: the actions of a try come in fours.
    assert (steps.actions[:48].reshape(-1, 4) == steps.actions[:48].reshape(-1, 4)[:, :1]).all()


def test_generalised_advantages_are_those_worked_out_by_hand():
    rewards, values = np.array([[1.0], [2.0]]), np.array([[0.5], [1.0], [4.0]])
    going = generalised_advantages(rewards, values, np.array([[False], [False]]), discount=0.5, trace=0.5)
    # The last: 2 + 0.5 * 4 - 1 = 3. The first: 1 + 0.5 * 1 - 0.5 + 0.25 * 3 = 1.75.
    assert going[:, 0].tolist() == [1.75, 3.0]
    ended = generalised_advantages(rewards, values, np.array([[True], [False]]), discount=0.5, trace=0.5)
    assert ended[:, 0].tolist() == [0.5, 3.0]


def test_memory_forgets_the_oldest():
    memory = Memory(4, {"number": 1})
    for first in (0, 3):
        memory.add(number=torch.arange(first, first + 3)[:, None].float())
    drawn = memory.draw(200, torch.Generator().manual_seed(0))["number"]
    assert sorted(set(drawn.flatten().tolist())) == [2, 3, 4, 5]


def fake_run(learner: str, seed: int, gained: float) -> dict:
    return {
        "environment": "goal", "learner": learner, "seed": seed, "steps": 1000, "seconds": 2.0, "settings": {},
        "curve": [], "return": [gained, gained], "success": [0, 1],
    }  # fmt: skip


def test_the_table_has_means_over_seeds_and_the_command_prints_it(tmp_path, capsys):
    runs = [fake_run("hygrpo", seed, gained) for seed, gained in ((0, 1.0), (1, 3.0))]
    runs += [fake_run("h-ppo", seed, 0.5) for seed in (0, 1)]
    assert "| goal | hygrpo | 2 | 2.00 (1.00 to 3.00) | 0.50 (0.50 to 0.50) | 1,000 | 2 |" in table(
        runs, ["platform", "goal"], ["hygrpo", "h-ppo"]
    )
    for run in runs:
        write_run(run, tmp_path)
    main(["--table", "--results", str(tmp_path)])
    assert "| goal | h-ppo | 2 | **+1.50 (+0.50 to +2.50)** |" in capsys.readouterr().out


def test_a_folder_without_runs_is_said_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["--table", "--results", str(tmp_path)])
    assert leaving.value.code == 2
    assert capsys.readouterr().err == f"error: {tmp_path}: holds no finished run; leave out --table to make them\n"


def test_a_run_is_made_once(tmp_path):
    path, console = run_file(tmp_path, "goal", "hygrpo", 0), Console(quiet=True)
    make("goal", "hygrpo", 0, 3000, tmp_path, console)
    made = json.loads(path.read_text())
    assert made["steps"] == 3000
    assert len(made["return"]) == len(made["success"]) == 256
    path.write_text(json.dumps(made | {"seconds": -1}))
    make("goal", "hygrpo", 0, 3000, tmp_path, console)
    assert json.loads(path.read_text())["seconds"] == -1
