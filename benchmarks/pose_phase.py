"""Try settings of HyGRPO's opening phase: minutes each, judged on held-out captions while it trains.

    python -m benchmarks.pose_phase '{"poses_per_answer": 32}' '{"poses_per_answer": 256, "learning_rate": 1e-4}'

Every argument is one run: fields of HyGRPOConfig that differ from the config's. All start from the same policy and see
the same prompts, whose hidden states are computed once and kept in the output directory. Every 25 steps the head
answers 200 captions of procedural poses that no training sees; prints the share of the checks that its mean pose and
its samples meet, their MPJPE, the mean log standard deviation, and what the trainer logs. No policy is saved.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers import TrainerCallback

from pose_rft.body import load_body
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.config import read_config
from pose_rft.data.mixtures.text_to_pose import text_to_pose_mixture
from pose_rft.data.sample import SHORT_ANSWER, Sample
from pose_rft.devices import pick_device
from pose_rft.evaluation.benchmarks import load_benchmark
from pose_rft.hygrpo import HyGRPOTrainer
from pose_rft.policy import PosePolicy
from pose_rft.policy.hidden_state_cache import HiddenStateCache, cache_hidden_states
from pose_rft.policy.mixture import PoseMixture
from pose_rft.policy.pose_only import PoseOnlyPolicy
from pose_rft.posescript.checks import satisfaction
from pose_rft.rewards import RolloutRewarder, resolve, reward_specs
from pose_rft.runs.rft import RftConfig, pose_phase_config

SHOWN = ("pose/kl", "rewards/posecodes/mean", "grad_norm")


@torch.no_grad()
def judge_head(
    policy: PosePolicy, samples: Sequence[Sample], cache: HiddenStateCache, poses: int = 8
) -> dict[str, float]:
    """Shares of checks met, MPJPE in millimetres and spread of the head's answers to cached prompts."""
    body, generator = load_body(), torch.Generator().manual_seed(0)
    predicted = policy.predict(*cache.batch(torch.arange(len(samples))))
    recorded = torch.stack([body.joints(torch.from_numpy(sample.pose)) for sample in samples])
    result = {}
    for name, action in (
        ("mean", predicted.sample(1, temperature=0.0)),
        ("sampled", predicted.sample(poses, generator=generator)),
    ):
        points = body.points_from_rotations(policy.head.to_rotations(action)).cpu()  # (N, K, 32, 3)
        met = [satisfaction(sample.checks, points[row]).mean() for row, sample in enumerate(samples)]
        result[name] = torch.stack(met).mean().item()
        result[f"{name} mpjpe"] = (points[:, :, :NUM_JOINTS] - recorded[:, None]).norm(dim=-1).mean().item() * 1000
    mixture = isinstance(predicted, PoseMixture)
    std = predicted.std if mixture else predicted.scale_tril.diagonal(dim1=-2, dim2=-1)
    result["log std"] = std.log().mean().item()
    return result


class Watch(TrainerCallback):
    """Prints a judgement and the trainer's log every ``every`` steps."""

    def __init__(self, judge: Any, every: int, console: Console) -> None:
        self.judge, self.every, self.console = judge, every, console

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if state.global_step % self.every == 0 and "loss" in (logs or {}):
            values = self.judge() | {name: logs[name] for name in SHOWN if name in logs}
            self.console.print(f"  {state.global_step:4d}  " + line(values), highlight=False)


def line(values: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3g}" for name, value in values.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=json.loads, help="JSON of HyGRPOConfig fields, one run each")
    parser.add_argument("--config", type=Path, default=Path("configs/default_rft.yaml"))
    parser.add_argument("--every", type=int, default=25, help="steps between judgements")
    parser.add_argument("--out", type=Path, default=Path("runs/pose_phase"))
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("FIELD", "VALUE"), help="of the config")
    arguments = parser.parse_args()
    console = Console(soft_wrap=True)
    overrides = [item for field, value in arguments.set for item in (f"--{field}", value)]
    config = read_config(RftConfig, arguments.config, overrides)
    device = pick_device(config.device)
    drawn = text_to_pose_mixture(config.prompts, config.hygrpo.seed, config.data)
    samples = [sample for sample in drawn if sample.pose is not None and sample.checks]
    captions, _ = load_benchmark("captions", limit=200)
    held_out = [replace(sample, answer=SHORT_ANSWER) for sample in captions]
    start = PosePolicy.from_pretrained(config.policy, device)
    arguments.out.mkdir(parents=True, exist_ok=True)
    cache = cache_hidden_states(start, samples, config.hygrpo.row_tokens, file=arguments.out / "states.safetensors")
    judged = cache_hidden_states(start, held_out, config.hygrpo.row_tokens)
    console.print("start   " + line(judge_head(start, held_out, judged)), highlight=False)
    for changes in arguments.runs:
        console.print(f"[bold]{json.dumps(changes)}[/]")
        policy, began = PosePolicy.from_pretrained(config.policy, device), time.monotonic()
        settings = replace(pose_phase_config(config), save_steps=10**6, **changes)
        rewarder = RolloutRewarder(policy, [resolve(spec) for spec in reward_specs(config.rewards)])
        watch = Watch(lambda policy=policy: judge_head(policy, held_out, judged), arguments.every, console)
        with tempfile.TemporaryDirectory() as folder:
            HyGRPOTrainer(PoseOnlyPolicy(policy, samples, cache), settings, samples, rewarder, folder, [watch]).train()
        console.print(f"  {time.monotonic() - began:.0f} s", highlight=False)


if __name__ == "__main__":
    main()
