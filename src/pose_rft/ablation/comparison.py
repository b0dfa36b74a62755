"""The runs of a study: trained for the same time, judged on the same prompts, each of which leaves one small JSON.

What is finished is not made again, and a run that was killed goes on from its checkpoint.
"""

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

from pose_rft.ablation.matched_temperature import matched_temperature
from pose_rft.ablation.results import CAPTIONS, DEV, TEST, figures, per_prompt, read_run, run_file, write_run
from pose_rft.ablation.shared_samples import Shared, SharedSamples
from pose_rft.ablation.study import StageConfig, Study, stage_config, updates_per_step
from pose_rft.ablation.training_time import StepTimer, computed_per_step, read_times, steps_within, total
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
from pose_rft.terminal import say

PROBED_SAMPLES, PROBED_STEPS, PROBED_SECONDS = 128, 6, 30.0  # of the run that says how long a step takes
NUM_SAMPLES, NUM_CAPTIONS = 4, 128
UNTRAINED: dict[str, Any] = {
    "minutes": 0, "steps": 0, "seconds": 0.0, "wall_seconds": 0.0, "clip": {}, "settings": {},
}  # fmt: skip
AGAIN = "delete its folder to begin that run again"
ITS_OWN = Shared()
PHASES = ("", POSE_PHASE, "head")  # folders of checkpoints


class Comparison:
    """The runs of one study.

    Args:
        study: what is compared.
        poses: recordings, of which those for training are what poses are compared with.
        out: folder of the runs.
        results: folder of the JSON of finished runs.
        limit: prompts of each part that is judged on; None takes all, and ``NUM_CAPTIONS`` captions.
    """

    def __init__(self, study: Study, poses: Path, out: Path, results: Path, limit: int | None = None) -> None:
        self.study, self.out, self.results = study, out, results
        self.start = digest_of_policy(study.start)
        self.device = pick_device(study.device)
        load = partial(load_benchmark, poses=poses)
        self.parts = {
            DEV: load("canonical", split="dev", limit=limit),
            TEST: load("canonical", split="test", limit=limit),
            CAPTIONS: load(CAPTIONS, limit=limit or NUM_CAPTIONS),
        }
        self.judge = RetrievalModel.load(JUDGE)
        self.shared = SharedSamples(out)

    def make(self, name: str, seed: int) -> None:
        """Make the run of a variant, unless it is there, and those that it needs.

        Raises:
            UserError: whatever its training raises.
        """
        if run_file(self.results, name, seed).exists():
            return
        variant = self.study.variants[name]
        for needed in (variant.after, variant.like):
            if needed is not None:
                self.make(needed, seed)
        say(f"{name}, seed {seed}")
        load, temperature, trained = self.study.start, 1.0, UNTRAINED
        if variant.after is not None:
            load = str(self.folder(variant.after, seed) / "policy")
        if variant.trained:
            trained = self.train(name, seed, load)
            load = str(self.folder(name, seed) / "policy")
        policy = PosePolicy.from_pretrained(load, self.device)
        if variant.like is not None:
            temperature = self.temperature_like(variant.like, seed, policy)
        run = {
            "variant": name,
            "seed": seed,
            "commit": commit(),
            "temperature": temperature,
            "start": self.start,
            **trained,
            "prompts": digest([sample.prompt for samples, _ in self.parts.values() for sample in samples]),
        }
        write_run(run | self.judged(policy, temperature, seed), self.results)

    def folder(self, name: str, seed: int) -> Path:
        return self.out / f"{name}-{seed}"

    def train(self, name: str, seed: int, start: str) -> dict[str, Any]:
        """Train a run, go on with it, or find it finished; what is to be said of its training."""
        folder = self.folder(name, seed)
        finished, times = folder / "trained.json", folder / "times.jsonl"
        if not finished.exists():
            plan = self.plan(name, seed, start, folder)
            config = stage_config(self.study, name, seed, plan["steps"], start, str(folder))
            begun = has_begun(folder, [folder / phase for phase in PHASES])
            shared = self.shared.of(config, from_start=start == self.study.start)
            run_stage(config, begun, StepTimer(times), shared)
            history = [entry for phase in PHASES for entry in read_history(folder / phase)]
            clip = {part: mean_of(history, f"{part}/clip_share") for part in ("text", "pose")}
            took, variant = total(read_times(times)), self.study.variants[name]
            trained = {
                **plan,
                "seconds": round(took.computed, 1),
                "wall_seconds": round(took.wall, 1),
                "clip": {part: share for part, share in clip.items() if share is not None},
                "settings": variant.sft if variant.rft is None else variant.rft,
            }
            with atomic_file(finished) as part:
                part.write_text(json.dumps(trained) + "\n")
        found: dict[str, Any] = read_json(finished, AGAIN)
        return found

    def plan(self, name: str, seed: int, start: str, folder: Path) -> dict[str, Any]:
        """The number of steps that fills the time, by a short run with few prompts; what was found once stays.

        Drawing samples and reading their hidden states is no training: it is not counted, and done once for all runs.
        """
        plan, probe, minutes = folder / "plan.json", folder / "probe", self.study.minutes
        if not plan.exists():
            shutil.rmtree(probe, ignore_errors=True)
            config = with_few_samples(stage_config(self.study, name, seed, 100_000, start, str(probe)))
            updates, seconds = updates_per_step(config), min(PROBED_SECONDS, 6 * minutes)
            ensure_directory(probe)
            run_stage(config, False, StepTimer(probe / "times.jsonl", (PROBED_STEPS * updates, seconds)))
            step = computed_per_step(read_times(probe / "times.jsonl"), updates)
            planned = {"minutes": minutes, "steps": steps_within(minutes, step), "seconds_per_step": step}
            with atomic_file(plan) as part:
                part.write_text(json.dumps(planned) + "\n")
            shutil.rmtree(probe)
        found: dict[str, Any] = read_json(plan, AGAIN)
        return found

    def temperature_like(self, variant: str, seed: int, policy: PosePolicy) -> float:
        """The temperature at which a policy's samples on the dev split spread like those of a finished run."""
        target = read_run(run_file(self.results, variant, seed))["figures"][DEV]["sampled"]["diversity_mm"]
        samples, _ = self.parts[DEV]

        def spread(temperature: float) -> float:
            result = evaluate_samples(samples, policy, num_samples=NUM_SAMPLES, temperature=temperature, seed=seed)
            found = result["sampled"].get("diversity_mm", {"mean": math.inf})["mean"]  # words that hot may hold no pose
            say(f"temperature {temperature:.3f}: samples spread by {found:.1f} mm, wanted {target:.1f}")
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


def named_run(study: Study, name: str) -> tuple[str, int]:
    """The variant and the seed of a run's name, such as ``ours-0``.

    Raises:
        UserError: it is none.
    """
    variant, _, seed = name.rpartition("-")
    if variant not in study.variants or not seed.isdecimal():
        raise UserError(f"--only {name}: give VARIANT-SEED, of the variants {', '.join(study.variants)}")
    return variant, int(seed)


def with_few_samples(config: StageConfig) -> StageConfig:
    """The same run on samples that are soon drawn and read."""
    if isinstance(config, RftConfig):
        return replace(config, prompts=min(PROBED_SAMPLES, config.prompts))
    phase = config.head if config.head.steps else config.joint
    few = replace(phase, samples=min(PROBED_SAMPLES, phase.samples))
    return replace(config, head=few) if phase is config.head else replace(config, joint=few)


def run_stage(config: StageConfig, resume: bool, timer: StepTimer, shared: Shared = ITS_OWN) -> None:
    if isinstance(config, RftConfig):
        run_rft(config, resume, shared.samples, [timer], shared.states)
    else:
        run_sft(config, resume, shared.samples, [timer], shared.states)


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
        raise UserError(f"start {policy}: is no checkpoint of a trained policy; give the folder that a run wrote")
    files = sorted(folder.glob("*.safetensors"))
    return digest([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])


def commit() -> str:
    """The commit of this checkout; empty where there is none."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
