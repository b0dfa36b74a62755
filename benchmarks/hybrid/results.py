"""What finished runs on hybrid actions leave, one small JSON each, and the tables that are made of these alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.hybrid.environment import Environment
from pose_rft.errors import UserError
from pose_rft.evaluation.metrics import Interval, bootstrap_interval, paired_difference_over_seeds
from pose_rft.storage import atomic_file, read_json

EPISODES, EPISODES_SEED = 256, 20_260  # that all policies are judged on
MEASURES = ("return", "success")


class Deterministic(Protocol):
    """What a learner returns."""

    def likeliest(self, environment: Environment, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


def judged(environment: Environment, policy: Deterministic) -> dict[str, list[float]]:
    """Return and success of each of the same 256 episodes, without exploring."""
    generator = np.random.default_rng(EPISODES_SEED)
    states, rows = environment.start(EPISODES, generator), np.arange(EPISODES)
    returns, success = np.zeros(EPISODES), np.zeros(EPISODES)
    while len(rows):
        step = environment.step(states, *policy.likeliest(environment, states), generator)
        returns[rows] += step.rewards
        success[rows] = step.success
        rows, states = rows[~step.ended], step.states[~step.ended]
    return {"return": returns.round(4).tolist(), "success": success.astype(int).tolist()}


def run_file(folder: Path, environment: str, learner: str, seed: int) -> Path:
    return folder / f"{environment}-{learner}-{seed}.json"


def write_run(run: Mapping[str, Any], folder: Path) -> None:
    """Write the JSON of a finished run."""
    with atomic_file(run_file(folder, run["environment"], run["learner"], run["seed"])) as part:
        part.write_text(json.dumps(run, allow_nan=False) + "\n", encoding="utf-8")


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """All finished runs.

    Raises:
        UserError: there is none, or one is damaged.
    """
    paths = sorted(folder.glob("*-[0-9]*.json"))
    if not paths:
        raise UserError(f"{folder}: holds no finished run; leave out --table to make them")
    return [read_json(path, "delete it to make that run again") for path in paths]


def of(runs: Sequence[Mapping[str, Any]], environment: str, learner: str) -> dict[int, Mapping[str, Any]]:
    """The runs of a learner on an environment, by seed."""
    return {run["seed"]: run for run in runs if (run["environment"], run["learner"]) == (environment, learner)}


def table(runs: Sequence[Mapping[str, Any]], environments: Sequence[str], learners: Sequence[str]) -> str:
    """A line for each environment and learner, with 95 % intervals of the mean over seeds; Markdown."""
    lines = [("environment", "learner", "seeds", *MEASURES, "steps", "CPU seconds")]
    for environment in environments:
        for learner in learners:
            own = list(of(runs, environment, learner).values())
            if own:
                cells = [_text(bootstrap_interval([np.mean(run[name]) for run in own]), "") for name in MEASURES]
                seconds = f"{np.mean([run['seconds'] for run in own]):.0f}"
                lines.append((environment, learner, str(len(own)), *cells, f"{own[0]['steps']:,}", seconds))
    return _markdown(lines)


def difference_table(
    runs: Sequence[Mapping[str, Any]], environments: Sequence[str], ours: str, others: Sequence[str]
) -> str:
    """What a learner has more than others, with 95 % intervals over seeds and episodes; Markdown."""
    lines = [("environment", f"{ours} less", "seeds", *MEASURES)]
    for environment in environments:
        for other in others:
            these, those = of(runs, environment, ours), of(runs, environment, other)
            seeds = sorted(these.keys() & those.keys())
            if seeds:
                cells = [_difference(seeds, these, those, name) for name in MEASURES]
                lines.append((environment, other, str(len(seeds)), *cells))
    return _markdown(lines)


def _difference(
    seeds: Sequence[int], these: Mapping[int, Mapping[str, Any]], those: Mapping[int, Mapping[str, Any]], name: str
) -> str:
    before, after = ([some[seed][name] for seed in seeds] for some in (those, these))
    interval = paired_difference_over_seeds(before, after)
    text = _text(interval, "+")
    return text if interval.low <= 0 <= interval.high else f"**{text}**"


def _text(interval: Interval, sign: str) -> str:
    return f"{interval.mean:{sign}.2f} ({interval.low:{sign}.2f} to {interval.high:{sign}.2f})"


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    head, *rest = lines
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rest))
