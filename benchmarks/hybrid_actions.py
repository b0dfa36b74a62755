"""HyGRPO on hybrid actions beyond poses, beside H-PPO and P-DQN: the same steps of the environment, several seeds.

    python -m benchmarks.hybrid_actions
    python -m benchmarks.hybrid_actions --environments platform --learners hygrpo --seeds 0
    python -m benchmarks.hybrid_actions --table

Every finished run leaves docs/results/hybrid/ENVIRONMENT-LEARNER-SEED.json, and the command goes on from what is there.
A run takes from seconds (goal) to some minutes (moving) of one core. How to read them: docs/results/hybrid_actions.md.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.hybrid import hppo, hygrpo, pdqn
from benchmarks.hybrid.environment import Environment
from benchmarks.hybrid.goal import Goal, PublishedGoal
from benchmarks.hybrid.moving import Moving, Sliding
from benchmarks.hybrid.platform import Platform
from benchmarks.hybrid.results import difference_table, judged, read_runs, run_file, table, write_run
from pose_rft.errors import UserError
from pose_rft.storage import ensure_directory

ENVIRONMENTS: dict[str, Environment] = {
    "platform": Platform(), "goal": Goal(), "goal-published": PublishedGoal(), "moving": Moving(), "sliding": Sliding(),
}  # fmt: skip
STEPS = {"platform": 200_000, "goal": 50_000, "goal-published": 50_000, "moving": 5_000_000, "sliding": 5_000_000}
LEARNERS = {"hygrpo": hygrpo.train, "h-ppo": hppo.train, "p-dqn": pdqn.train}
DRIVING: dict[str, Any] = {
    "hygrpo": hygrpo.HyGRPOSettings(states=16, updates=16, horizon=60, discount=0.95, std_floor=0.03, fresh=0.25),
    "h-ppo": hppo.HPPOSettings(copies=256, updates=12, discount=0.97),
    "p-dqn": pdqn.PDQNSettings(copies=128, steps_per_update=256),
}
SHORT: dict[str, Any] = {
    "hygrpo": hygrpo.HyGRPOSettings(),
    "h-ppo": hppo.HPPOSettings(),
    "p-dqn": pdqn.PDQNSettings(),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "platform": SHORT,
    "goal": SHORT,
    "goal-published": SHORT,
    "moving": DRIVING,
    "sliding": DRIVING,
}
TOLD_SECONDS = 10.0


class Told:
    """Says how a training goes, every ten seconds, and keeps its curve.

    Attributes:
        curve: steps gone and mean return of the episodes that trained, about thirty points.
    """

    def __init__(self, console: Console, steps: int) -> None:
        self.console, self.steps, self.last = console, steps, time.monotonic()
        self.curve: list[tuple[int, float]] = []

    def __call__(self, gone: int, mean_return: float) -> None:
        if gone >= len(self.curve) * self.steps / 30:
            self.curve.append((gone, round(mean_return, 3)))
        if time.monotonic() - self.last > TOLD_SECONDS:
            self.last = time.monotonic()
            self.console.print(f"{gone / self.steps:.0%} of the steps, mean return {mean_return:.2f}")


def make(environment: str, learner: str, seed: int, steps: int, results: Path, console: Console) -> None:
    """Make a run, unless it is there."""
    if run_file(results, environment, learner, seed).exists():
        return
    console.rule(f"{environment}, {learner}, seed {seed}")
    settings = SETTINGS[environment][learner]
    begun, told = time.process_time(), Told(console, steps)
    policy = LEARNERS[learner](ENVIRONMENTS[environment], settings, seed, steps, told)
    seconds = round(time.process_time() - begun, 1)
    found = judged(ENVIRONMENTS[environment], policy)
    about = {"environment": environment, "learner": learner, "seed": seed, "steps": steps, "seconds": seconds}
    write_run({**about, "settings": asdict(settings), "curve": told.curve, **found}, results)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--environments", nargs="+", choices=list(ENVIRONMENTS), default=list(ENVIRONMENTS))
    parser.add_argument("--learners", nargs="+", choices=list(LEARNERS), default=list(LEARNERS))
    parser.add_argument("--table", action="store_true", help="print the tables of the runs that are there, make none")
    parser.add_argument("--results", type=Path, default=Path("docs/results/hybrid"), help="of the small JSON files")
    arguments = parser.parse_args(argv)
    try:
        if not arguments.table:
            make_runs(arguments)
        runs = read_runs(arguments.results)
    except UserError as error:
        parser.exit(2, f"error: {error}\n")
    ours, *others = LEARNERS
    print(table(runs, list(ENVIRONMENTS), list(LEARNERS)), end="\n\n")
    print(difference_table(runs, list(ENVIRONMENTS), ours, others))


def make_runs(arguments: argparse.Namespace) -> None:
    """Make what the command line asks for and is not there yet."""
    torch.set_num_threads(1)  # the networks are small
    ensure_directory(arguments.results)
    console = Console()
    for seed in arguments.seeds:
        for environment in arguments.environments:
            for learner in arguments.learners:
                make(environment, learner, seed, STEPS[environment], arguments.results, console)


if __name__ == "__main__":
    main()
