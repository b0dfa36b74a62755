"""HyGRPO and its fair controls: one start, the same prompts, equal time of training, several seeds; then the tables.

    python -m benchmarks.controls --start runs/default_text_more/policy --minutes 20

Every finished run leaves docs/results/controls/VARIANT-SEED.json, and the command goes on from what is there; a run
that was killed goes on from its checkpoint in runs/controls. --only ours 0 makes one run alone, --table prints the
tables of what is there. How to read them: docs/results/hygrpo.md.
"""

import argparse
import hashlib
import json
import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.command_line import add_recordings
from benchmarks.support.control_results import (
    CAPTIONS,
    DEV,
    TEST,
    difference_table,
    figures,
    of_variant,
    per_prompt,
    read_run,
    read_runs,
    run_file,
    table,
    write_run,
)
from benchmarks.support.control_variants import (
    HYGRPO,
    MATCHED,
    TRAINED,
    VARIANTS,
    StageConfig,
    run_config,
    settings_that_differ,
    updates_per_step,
)
from benchmarks.support.matched_temperature import matched_temperature
from benchmarks.support.training_time import StepTimer, computed_per_step, read_times, steps_within, total
from pose_rft.config import read_config
from pose_rft.devices import pick_device
from pose_rft.errors import UserError
from pose_rft.evaluation.benchmarks import JUDGE, evaluate_samples, load_benchmark
from pose_rft.policy import PosePolicy
from pose_rft.policy.checkpoint import find_checkpoint
from pose_rft.policy.selection import CANDIDATES
from pose_rft.retrieval.model import RetrievalModel
from pose_rft.runs.rft import POSE_PHASE, RftConfig, run_rft
from pose_rft.runs.run import has_begun, read_history
from pose_rft.runs.sft import run_sft
from pose_rft.storage import atomic_file, ensure_directory, read_json

CONFIG = Path("configs/controls_rft.yaml")
PROBED_PROMPTS, PROBED_STEPS, PROBED_SECONDS = 128, 6, 30.0  # of the run that says how long a step takes
NUM_SAMPLES, NUM_CAPTIONS = 4, 128
UNTRAINED: dict[str, Any] = {
    "minutes": 0, "steps": 0, "seconds": 0.0, "wall_seconds": 0.0, "clip": {}, "settings": {},
}  # fmt: skip
AGAIN = "delete its folder to begin that run again"
PHASES = ("", POSE_PHASE, "head")  # folders of checkpoints


class Comparison:
    """The runs of one comparison.

    Args:
        common: the config that variants override; its policy is the start.
        poses: recordings, of which those for training are what poses are compared with.
        minutes: of training.
        out: folder of the runs.
        results: folder of the JSON of finished runs.
        limit: prompts of each part that is judged on.
    """

    def __init__(
        self, common: RftConfig, poses: Path, minutes: float, out: Path, results: Path, limit: int | None = None
    ) -> None:
        self.common, self.minutes, self.out, self.results = common, minutes, out, results
        self.device, self.console = pick_device(common.device), Console()
        load = partial(load_benchmark, poses=poses)
        self.parts = {
            DEV: load("canonical", split="dev", limit=limit),
            TEST: load("canonical", split="test", limit=limit),
            CAPTIONS: load(CAPTIONS, limit=limit or NUM_CAPTIONS),
        }
        self.judge = RetrievalModel.load(JUDGE)

    def make(self, variant: str, seed: int) -> None:
        """Make a run, unless it is there.

        Raises:
            UserError: a run that it is sampled to spread like is not there, or whatever its training raises.
        """
        if run_file(self.results, variant, seed).exists():
            return
        self.console.rule(f"{variant}, seed {seed}")
        load, temperature, trained = self.common.policy, 1.0, UNTRAINED
        if variant in TRAINED:
            folder = self.out / f"{variant}-{seed}"
            trained = self.train(variant, seed, folder)
            load = str(folder / "policy")
        policy = PosePolicy.from_pretrained(load, self.device)
        if variant in MATCHED:
            temperature = self.temperature_like(MATCHED[variant], seed, policy)
        run = {
            "variant": variant,
            "seed": seed,
            "commit": commit(),
            "temperature": temperature,
            "start": digest_of_policy(self.common.policy),
            **trained,
            "prompts": digest([sample.prompt for samples, _ in self.parts.values() for sample in samples]),
        }
        write_run(run | self.judged(policy, temperature, seed), self.results)

    def train(self, variant: str, seed: int, folder: Path) -> dict[str, Any]:
        """Train a run, go on with it, or find it finished; what is to be said of its training."""
        finished, times = folder / "trained.json", folder / "times.jsonl"
        if not finished.exists():
            plan = self.plan(variant, seed, folder)
            config = run_config(variant, self.common, seed, plan["steps"], str(folder))
            run_stage(config, has_begun(folder, [folder / phase for phase in PHASES]), StepTimer(times))
            history = [entry for phase in PHASES for entry in read_history(folder / phase)]
            clip = {part: mean_of(history, f"{part}/clip_share") for part in ("text", "pose")}
            took = total(read_times(times))
            trained = {
                **plan,
                "seconds": round(took.computed, 1),
                "wall_seconds": round(took.wall, 1),
                "clip": {part: share for part, share in clip.items() if share is not None},
                "settings": settings_that_differ(config, self.common),
                "start": digest_of_policy(self.common.policy),
            }
            with atomic_file(finished) as part:
                part.write_text(json.dumps(trained) + "\n")
        found: dict[str, Any] = read_json(finished, AGAIN)
        return found

    def plan(self, variant: str, seed: int, folder: Path) -> dict[str, Any]:
        """The number of steps that fills the time, by a short run with few prompts; what was found once stays.

        Drawing samples and reading their hidden states is no training: it is not counted.
        """
        plan, probe = folder / "plan.json", folder / "probe"
        if not plan.exists():
            shutil.rmtree(probe, ignore_errors=True)
            few = replace(self.common, prompts=min(PROBED_PROMPTS, self.common.prompts))
            config = run_config(variant, few, seed, 100_000, str(probe))
            updates, seconds = updates_per_step(config), min(PROBED_SECONDS, 6 * self.minutes)
            ensure_directory(probe)
            run_stage(config, False, StepTimer(probe / "times.jsonl", (PROBED_STEPS * updates, seconds)))
            step = computed_per_step(read_times(probe / "times.jsonl"), updates)
            planned = {"minutes": self.minutes, "steps": steps_within(self.minutes, step), "seconds_per_step": step}
            with atomic_file(plan) as part:
                part.write_text(json.dumps(planned) + "\n")
            shutil.rmtree(probe)
        found: dict[str, Any] = read_json(plan, AGAIN)
        return found

    def temperature_like(self, variant: str, seed: int, policy: PosePolicy) -> float:
        """The temperature at which a policy's samples on the dev split spread like those of a finished run."""
        path = run_file(self.results, variant, seed)
        if not path.exists():
            raise UserError(f"{path}: is not there yet; make it first: --only {variant} {seed}")
        target = read_run(path)["figures"][DEV]["sampled"]["diversity_mm"]
        samples, _ = self.parts[DEV]

        def spread(temperature: float) -> float:
            result = evaluate_samples(samples, policy, num_samples=NUM_SAMPLES, temperature=temperature, seed=seed)
            found = result["sampled"].get("diversity_mm", {"mean": math.inf})["mean"]  # words that hot may hold no pose
            self.console.print(f"temperature {temperature:.3f}: samples spread by {found:.1f} mm, wanted {target:.1f}")
            return float(found)

        return matched_temperature(spread, target)

    def judged(self, policy: PosePolicy, temperature: float, seed: int) -> dict[str, Any]:
        """Figures of all parts, and what is kept of each prompt."""
        results = {}
        for part, (samples, reference) in self.parts.items():
            results[part] = evaluate_samples(
                samples,
                policy,
                reference=reference,
                num_samples=NUM_SAMPLES,
                temperature=temperature,
                seed=seed,
                best_of=CANDIDATES if part == TEST else 1,
                show_progress=True,
                retrieval=self.judge if part == CAPTIONS else None,
            )
        return {
            "figures": {part: figures(result) for part, result in results.items()},
            "per_prompt": {part: per_prompt(result, part) for part, result in results.items()},
        }


def run_stage(config: StageConfig, resume: bool, timer: StepTimer) -> None:
    if isinstance(config, RftConfig):
        run_rft(config, resume, callbacks=[timer])
    else:
        run_sft(config, resume, callbacks=[timer])


def mean_of(history: Sequence[dict[str, float]], metric: str) -> float | None:
    """Over the log of a run; None where it is not logged."""
    found = [entry[metric] for entry in history if metric in entry]
    return round(sum(found) / len(found), 4) if found else None


def digest(values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:12]


def digest_of_policy(policy: str) -> str:
    """Of the weights of a checkpoint, so that runs of another start are not mistaken for these.

    Raises:
        UserError: there is no such checkpoint.
    """
    folder = find_checkpoint(policy)
    if folder is None:
        raise UserError(f"--start {policy}: is no checkpoint of a trained policy; give the folder that a run wrote")
    files = sorted(folder.glob("*.safetensors"))
    return digest([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])


def commit() -> str:
    """The commit of this checkout; empty where there is none."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", help="the policy that all runs start from (default: that of the config)")
    add_recordings(parser)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument(
        "--minutes", type=float, default=20, help="of computing that each run trains (default: %(default)s)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--only", nargs=2, action="append", metavar=("VARIANT", "SEED"), help=f"this run alone: {', '.join(VARIANTS)}"
    )
    parser.add_argument("--table", action="store_true", help="print the tables of the runs that are there, make none")
    parser.add_argument("--out", type=Path, default=Path("runs/controls"), help="of checkpoints and policies")
    parser.add_argument("--results", type=Path, default=Path("docs/results/controls"), help="of the small JSON files")
    parser.add_argument("--limit", type=int, help=f"prompts of each benchmark (default: all, {NUM_CAPTIONS} captions)")
    parser.add_argument("overrides", nargs=argparse.REMAINDER, help="-- --prompts 100: fields of the config")
    arguments = parser.parse_args()
    try:
        if not arguments.table:
            make_runs(arguments)
        runs = read_runs(arguments.results)
    except UserError as error:
        parser.exit(2, f"error: {error}\n")
    print(table(runs))
    for name in HYGRPO:
        if of_variant(runs, name):
            print(difference_table(runs, name))


def make_runs(arguments: argparse.Namespace) -> None:
    """Make what the command line asks for and is not there yet."""
    for name, seed in arguments.only or []:
        if name not in VARIANTS or not seed.isdecimal():
            raise UserError(f"--only {name} {seed}: give a variant ({', '.join(VARIANTS)}) and the number of a seed")
    wanted = [(name, int(seed)) for name, seed in arguments.only or []]
    wanted = wanted or [(name, seed) for seed in arguments.seeds for name in VARIANTS]
    common = read_config(RftConfig, arguments.config, [item for item in arguments.overrides if item != "--"])
    if arguments.start is not None:
        common = replace(common, policy=arguments.start)
    if common.data.mocap is not None:
        common = replace(common, data=replace(common.data, mocap=str(arguments.poses)))
    ensure_directory(arguments.results)
    comparison = Comparison(
        common, arguments.poses, arguments.minutes, arguments.out, arguments.results, arguments.limit
    )
    for name, seed in wanted:
        comparison.make(name, seed)


if __name__ == "__main__":
    main()
