"""Step time and memory of HyGRPO beside TRL's GRPOTrainer doing the same work: words only, one adapter, one backbone.

    pip install trl==1.16.0
    python -m benchmarks.hygrpo_vs_trl

Both train the same LoRA adapters of SmolLM2-135M on the same prompts, in bfloat16, or in float32 where the CPU does not
multiply in that: 2 prompts a step, 8 answers to each, 16 new tokens to an answer, KL to the starting policy. Every
measurement is a process of its own, so that peak memory is that of one system alone; systems and prompt lengths
alternate, and the rounds are repeated. Prints medians (rich and
Markdown) and writes runs/benchmarks/hygrpo_vs_trl.json.
"""

import argparse
import importlib.metadata
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.steps import (
    GROUP,
    NEW_TOKENS,
    PROMPTS,
    RANK,
    StepClock,
    cores,
    in_process,
    markdown,
    measure_hygrpo,
    medians,
    prompt_texts,
)
from pose_rft.devices import best_dtype

OURS, THEIRS = "pose-rft", "trl"


def measure_trl(length: int, steps: int, prompts: int) -> dict[str, float]:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import GRPOConfig, GRPOTrainer

    from pose_rft.policy.backbone import load_backbone

    torch.set_num_threads(cores())
    dtype = best_dtype("cpu")
    backbone = load_backbone("smollm2-135m", dtype)
    texts = prompt_texts(backbone.tokenizer, prompts, length)
    with tempfile.TemporaryDirectory() as directory:
        arguments = GRPOConfig(
            output_dir=directory, max_steps=steps + 1, per_device_train_batch_size=prompts * GROUP,
            num_generations=GROUP, max_completion_length=NEW_TOKENS, beta=0.04, loss_type="grpo", learning_rate=1e-4,
            generation_kwargs={"min_new_tokens": NEW_TOKENS}, bf16=dtype == torch.bfloat16,
            gradient_checkpointing=False, use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True,
            logging_steps=10**6, warmup_steps=5,
        )  # fmt: skip
        trainer = GRPOTrainer(
            model=backbone.model,
            reward_funcs=lambda completions, **_: [float(text.count("e")) for text in completions],
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": texts * 8}),
            processing_class=backbone.tokenizer,
            peft_config=LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"),
        )
        clock = StepClock(trainer, "_generate_and_score_completions")
        trainer.train()
        return clock.readings()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 320, 640], help="tokens of a prompt")
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="prompts a step; one where two do not fit")
    parser.add_argument("--steps", type=int, default=3, help="measured steps of a process, after one to warm up")
    parser.add_argument("--rounds", type=int, default=2, help="processes per system and length")
    parser.add_argument("--systems", nargs="+", default=[OURS, THEIRS], choices=[OURS, THEIRS])
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/hygrpo_vs_trl.json"))
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure = {OURS: measure_hygrpo, THEIRS: measure_trl}[arguments.one.pop("system")]
        print("RESULT", json.dumps(measure(**arguments.one)))
        return

    console = Console()
    readings: dict[tuple[str, int], list[dict[str, float]]] = defaultdict(list)
    for number in range(arguments.rounds):
        for length in arguments.lengths:
            for system in arguments.systems:
                console.print(f"round {number + 1}/{arguments.rounds}: {system}, prompts of {length} tokens", end=" ")
                setting = {"length": length, "steps": arguments.steps, "prompts": arguments.prompts}
                one = in_process("benchmarks.hygrpo_vs_trl", {"system": system, **setting})
                readings[system, length].append(one)
                console.print(f"{one['step']:.2f} s a step, {one['peak_gb']:.1f} GB")

    header = ["prompt", "system", "step s", "rollout s", "update s", "new tokens/s", "peak GB", "of GEMM rate", "ratio"]
    rows: list[dict[str, Any]] = []
    lines: list[list[str]] = []
    for length in arguments.lengths:
        row: dict[str, Any] = {"prompt_tokens": length}
        for system in arguments.systems:
            one = row[system] = medians(readings[system, length])
            one["update"] = one["step"] - one["rollout"]
            one["tokens_per_second"] = arguments.prompts * GROUP * NEW_TOKENS / one["step"]
            if system == OURS:
                one["gemm_share"] = one["update_flops"] / one["update"] / one["gemm_rate"]
            lines.append(
                [
                    str(length), system, f"{one['step']:.2f}", f"{one['rollout']:.2f}", f"{one['update']:.2f}",
                    f"{one['tokens_per_second']:.0f}", f"{one['peak_gb']:.1f}",
                    f"{one['gemm_share']:.0%}" if "gemm_share" in one else "", "",
                ]
            )  # fmt: skip
        if len(arguments.systems) == 2:
            row["ratio"] = row[THEIRS]["step"] / row[OURS]["step"]
            row["memory_ratio"] = row[THEIRS]["peak_gb"] / row[OURS]["peak_gb"]
            lines[-2][-1] = f"{row['ratio']:.1f}x, memory {row['memory_ratio']:.1f}x"
        rows.append(row)

    table = Table(*header)
    for line in lines:
        table.add_row(*line)
    console.print(table)
    console.print(markdown(header, lines), highlight=False, soft_wrap=True)
    names = ["torch", "transformers", "peft", "accelerate", *(["trl"] if THEIRS in arguments.systems else [])]
    versions = {name: importlib.metadata.version(name) for name in names}
    precision = str(best_dtype("cpu")).removeprefix("torch.")
    console.print(precision, versions)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "precision": precision,
        "versions": versions,
        "cores": cores(),
        "prompts": arguments.prompts,
        "rows": rows,
    }
    arguments.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
