"""HyGRPO steps of a real backbone on prompts of a given length, timed: what the speed benchmarks share."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace
from typing import Any

PROMPTS, GROUP, NEW_TOKENS, RANK = 2, 8, 16, 8
WORDS = ("hand", "foot", "arm", "leg", "head", "knee", "back", "chest", "left", "right", "up", "down")


def prompt_texts(tokenizer: Any, count: int, length: int) -> list[str]:
    """Texts of exactly ``length`` tokens, different from each other."""
    texts = []
    for index in range(count):
        text = f"{index}"
        while len(tokenizer(text).input_ids) < length:
            text += " " + WORDS[(len(text) * (index + 3)) % len(WORDS)]
        texts.append(tokenizer.decode(tokenizer(text).input_ids[:length]))
    assert all(len(tokenizer(text).input_ids) == length for text in texts)
    return texts


def gemm_rate(tokens: int, width: int, inner: int, seconds: float = 1.0) -> float:
    """Floating point operations a second of a bfloat16 matrix product of the model's own shape."""
    import torch

    a, b = torch.randn(tokens, width, dtype=torch.bfloat16), torch.randn(inner, width, dtype=torch.bfloat16)
    for _ in range(5):
        torch.nn.functional.linear(a, b)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        torch.nn.functional.linear(a, b)
        count += 1
    return count * 2 * tokens * width * inner / (time.perf_counter() - start)


class StepClock:
    """Seconds of each training step of a Trainer, and of the rollout in it."""

    def __init__(self, trainer: Any, rollout: str) -> None:
        self.steps: list[float] = []
        self.rollouts: list[float] = []
        self._spent = 0.0
        collect, training_step = getattr(trainer, rollout), trainer.training_step

        def timed_collect(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = collect(*args, **kwargs)
            self._spent += time.perf_counter() - start
            return result

        def timed_step(*args: Any, **kwargs: Any) -> Any:
            self._spent, start = 0.0, time.perf_counter()
            result = training_step(*args, **kwargs)
            self.steps.append(time.perf_counter() - start)
            self.rollouts.append(self._spent)
            return result

        setattr(trainer, rollout, timed_collect)
        trainer.training_step = timed_step

    def readings(self) -> dict[str, float]:
        """Medians without the first step, and the process's peak memory."""
        return {
            "step": statistics.median(self.steps[1:]),
            "rollout": statistics.median(self.rollouts[1:]),
            "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }


def measure_hygrpo(
    length: int, steps: int, prompts: int = PROMPTS, answers: int = GROUP, poses: int = 0
) -> dict[str, float]:
    """Seconds per step and of its rollout, peak memory, operations of an update and the machine's rate for them.

    Args:
        length: tokens of a prompt.
        steps: measured, after one to warm up.
        prompts, answers, poses: B, G and K; with K = 0 the pose part of the objective is left out.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from pose_rft.hygrpo import HyGRPOConfig, HyGRPOTrainer
    from pose_rft.policy import LoraSettings, PolicyConfig, PosePolicy, Query

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ.get("WORLD_SIZE", 1))))
    policy = PosePolicy.create(PolicyConfig("smollm2-135m", lora=LoraSettings(rank=RANK, alpha=2 * RANK)))
    tokenizer = policy.backbone.tokenizer
    policy.backbone.prompt_ids = lambda text: tokenizer(text).input_ids  # type: ignore[method-assign]
    policy.backbone.end_tokens = ()  # every answer has all its tokens
    policy.freeze_reference()
    samples = [Query(text) for text in prompt_texts(tokenizer, prompts, length)]
    act = policy.act

    def act_with_pose(*args: Any, **kwargs: Any) -> Any:
        rollout = act(*args, **kwargs)
        if poses:  # an untrained policy never says <POSE>
            rollout.valid[:] = True
            for answer in (answer for group in rollout.answer_ids for answer in group):
                answer[-1] = policy.backbone.pose_token
        return rollout

    policy.act = act_with_pose  # type: ignore[method-assign]

    def grade(step: int, samples: Any, rollout: Any) -> Any:
        text = torch.tensor([[answer.count("e") for answer in group] for group in rollout.texts]).float()
        pose = -rollout.action.square().mean(dim=(3, 4)).float()
        yes = torch.ones_like
        return SimpleNamespace(
            text=text, pose=pose, text_graded=yes(text).bool(), pose_graded=yes(pose).bool(), metrics={}
        )

    config = HyGRPOConfig(
        steps=steps + 1, prompts_per_step=prompts, answers_per_prompt=answers, poses_per_answer=poses or 2,
        pose_coefficient=float(poses > 0), beta_pose=0.02 * (poses > 0), max_new_tokens=NEW_TOKENS,
        row_tokens=length + answers * NEW_TOKENS, save_steps=10**6,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as directory:
        trainer = HyGRPOTrainer(policy, config, samples, grade, directory)
        clock = StepClock(trainer, "collect")
        trainer.train()
        result = clock.readings()
        batch = trainer.collect(samples[trainer.args.process_index :: trainer.args.world_size])
        with FlopCounterMode(display=False) as counter:
            trainer.loss(policy, batch).backward()
    model = policy.backbone.model.config
    tokens = prompts * (length + answers * NEW_TOKENS)
    result["update_flops"] = float(counter.get_total_flops())
    result["gemm_rate"] = gemm_rate(tokens, model.hidden_size, model.intermediate_size)
    return result


def in_process(script: str, arguments: dict[str, Any], processes: int = 1) -> dict[str, float]:
    """Run ``script --one JSON`` as a process (or several, by torchrun) of its own and read the first line it prints."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *launcher, script, "--one", json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        sys.exit(f"{arguments} failed:\n{done.stderr[-2000:]}")
    return json.loads(lines[0].removeprefix("RESULT "))


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def markdown(header: list[str], lines: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *lines])
