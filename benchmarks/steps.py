"""HyGRPO steps of a real backbone on prompts of a given length, timed: what the speed benchmarks share."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

PROMPTS, GROUP, NEW_TOKENS, RANK = 2, 8, 16, 8
WORDS = ("hand", "foot", "arm", "leg", "head", "knee", "back", "chest", "left", "right", "up", "down")


def cores() -> int:
    """How many CPU cores this process may use: taskset and containers leave it fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def rate(work: Callable[[], Any], seconds: float = 1.0) -> float:
    """How often a second something is done; a GPU gets ten at a time."""
    import torch

    at_once = 10 if torch.cuda.is_initialized() else 1
    for _ in range(5):
        work()
    finish()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(at_once):
            work()
        finish()
        count += at_once
    return count / (time.perf_counter() - start)


def finish() -> None:
    """Wait until a GPU, where one is in use, has done what it was given."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def gemm_rate(tokens: int, width: int, inner: int, device: str = "cpu") -> float:
    """Floating point operations a second of a matrix product (tokens, width) x (width, inner) in a policy's precision.

    That is bfloat16, but float32 on a CPU that does not multiply in it.
    """
    import torch

    from pose_rft.devices import best_dtype

    a = torch.randn(tokens, width, dtype=best_dtype(device), device=device)
    b = torch.randn(inner, width, dtype=best_dtype(device), device=device)
    return rate(lambda: torch.nn.functional.linear(a, b)) * 2 * tokens * width * inner


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
            finish()
            self._spent += time.perf_counter() - start
            return result

        def timed_step(*args: Any, **kwargs: Any) -> Any:
            self._spent, start = 0.0, time.perf_counter()
            result = training_step(*args, **kwargs)
            finish()
            self.steps.append(time.perf_counter() - start)
            self.rollouts.append(self._spent)
            return result

        setattr(trainer, rollout, timed_collect)
        trainer.training_step = timed_step

    def readings(self) -> dict[str, float]:
        """Medians without the first step, and the peak memory of the GPU where one is in use, else of the process."""
        import torch

        of_process, of_gpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, 0
        if torch.cuda.is_initialized():
            of_gpu = torch.cuda.max_memory_allocated()
        return {
            "step": statistics.median(self.steps[1:]),
            "rollout": statistics.median(self.rollouts[1:]),
            "peak_gb": (of_gpu or of_process) / 2**30,
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

    from pose_rft.policy import LoraSettings, PolicyConfig, PosePolicy

    torch.set_num_threads(max(1, cores() // int(os.environ.get("WORLD_SIZE", 1))))
    policy = PosePolicy.create(PolicyConfig("smollm2-135m", lora=LoraSettings(rank=RANK, alpha=2 * RANK)))
    result = measure_steps(policy, length, steps, prompts, answers, poses)
    model = policy.backbone.model.config
    tokens = prompts * (length + answers * NEW_TOKENS)
    return result | {"gemm_rate": gemm_rate(tokens, model.hidden_size, model.intermediate_size)}


def measure_steps(policy: Any, length: int, steps: int, prompts: int, answers: int, poses: int) -> dict[str, float]:
    """Seconds per step of a fresh policy and of its rollout, peak memory, and operations of an update."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from pose_rft.hygrpo import HyGRPOConfig, HyGRPOTrainer
    from pose_rft.policy import PromptInput
    from pose_rft.policy.backbone import PromptTokens
    from pose_rft.rewards import Grades

    tokenizer = policy.backbone.tokenizer
    policy.backbone.encode_prompt = lambda text, *_: PromptTokens(tokenizer(text).input_ids)  # without a chat template
    policy.backbone.end_tokens = ()  # every answer has all its tokens
    policy.freeze_reference()
    samples = [PromptInput(text) for text in prompt_texts(tokenizer, prompts, length)]
    sample = type(policy).rollout.__get__(policy)

    def rollout_with_pose(*args: Any, **kwargs: Any) -> Any:
        rollout = sample(*args, **kwargs)
        if poses:  # an untrained policy never says <POSE>
            rollout.valid[:] = True
            for answer in (answer for group in rollout.answer_ids for answer in group):
                answer[-1] = policy.backbone.pose_token
        return rollout

    policy.rollout = rollout_with_pose

    def grade(step: int, samples: Any, rollout: Any) -> Any:
        text = torch.tensor([[answer.count("e") for answer in group] for group in rollout.texts]).float()
        pose = -rollout.action.square().mean(dim=(3, 4)).float()
        return SimpleNamespace(text=Grades.of_one(text), pose=Grades.of_one(pose), metrics={})

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
        rollout = trainer.collect(samples[trainer.args.process_index :: trainer.args.world_size])
        with FlopCounterMode(display=False) as counter:
            loss, _ = trainer.loss(policy, rollout, None)
            loss.backward()
    return result | {"update_flops": float(counter.get_total_flops())}


def in_process(module: str, arguments: dict[str, Any], processes: int = 1) -> dict[str, float]:
    """Run ``-m module --one JSON`` in a process of its own (or several, by torchrun) and read the first RESULT."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *launcher, "-m", module, "--one", json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        sys.exit(f"{arguments} failed:\n{done.stderr[-2000:]}")
    return json.loads(lines[0].removeprefix("RESULT "))


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def markdown(header: list[str], lines: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *lines])
