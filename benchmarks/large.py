"""HyGRPO steps of a language model of 7 billion weights on one GPU, without a download.

    python -m benchmarks.large --device cuda
    python -m benchmarks.large --shape tiny --device cpu        # seconds, to see that it runs

The model has the shape of Qwen2.5-7B (or of a smaller one, ``--shape``) and random weights, made on the device in
bfloat16; LoRA of rank 16 on all linear layers, 8 answers of 16 tokens to a prompt, 16 poses to an answer, as many
prompts in a step as fit ``--tokens``. All else is what training uses. Prints, for each prompt length, seconds of
rollout and update, tokens a second, peak memory and the update's share of the rate of a bfloat16 matrix product
measured in the same run; and, for sampling, how long one token of all answers takes beside reading the weights once.
Writes runs/benchmarks/large.json.
"""

import argparse
import gc
import importlib.metadata
import json
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

from benchmarks.steps import GROUP, NEW_TOKENS, finish, gemm_rate, markdown, measure_steps, prompt_texts, rate
from pose_rft.data.sample import POSE_TOKEN
from pose_rft.devices import best_dtype
from pose_rft.policy import LoraSettings, PolicyConfig, PosePolicy, PromptInput
from pose_rft.policy.backbone import Backbone

RANK, POSES = 16, 16
# Layers, hidden size, heads, heads of keys and values, intermediate size, vocabulary, one table for both embeddings:
# Qwen2.5-7B and -1.5B, SmolLM2-135M, and next to nothing.
SHAPES = {
    "7b": (28, 3584, 28, 4, 18944, 152064, False),
    "1.5b": (28, 1536, 12, 2, 8960, 151936, True),
    "135m": (30, 576, 9, 3, 1536, 49152, True),
    "tiny": (2, 64, 4, 2, 128, 512, True),
}


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Single bytes and ``<POSE>``, made in place."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({"<|end|>": 0} | {byte: index + 1 for index, byte in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")
    fast.add_tokens([POSE_TOKEN], special_tokens=True)
    return fast


def random_policy(shape: str, device: str) -> PosePolicy:
    """A policy on a language model of that shape."""
    layers, hidden, heads, kv_heads, intermediate, vocabulary, tied = SHAPES[shape]
    config = Qwen2Config(
        num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=heads, num_key_value_heads=kv_heads,
        intermediate_size=intermediate, vocab_size=vocabulary, tie_word_embeddings=tied, max_position_embeddings=4096,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device(device):  # never in float32, and never on the CPU for a GPU
        model = AutoModelForCausalLM.from_config(config, dtype=best_dtype(device))
    tokenizer = byte_tokenizer()
    pose_token = tokenizer.convert_tokens_to_ids(POSE_TOKEN)
    backbone = Backbone(shape, model.requires_grad_(False).eval(), tokenizer, pose_token, (0,))
    return PosePolicy(PolicyConfig(shape, lora=LoraSettings(rank=RANK, alpha=2 * RANK)), backbone).to(device).eval()


def measure(policy: PosePolicy, length: int, tokens: int, steps: int) -> dict[str, float]:
    """Readings of steps with as many prompts as have ``tokens`` with their answers; half of them if memory is short."""
    prompts = max(2, tokens // (length + GROUP * NEW_TOKENS))
    while True:
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            readings = measure_steps(policy, length, steps, prompts, GROUP, POSES)
        except torch.cuda.OutOfMemoryError:
            if prompts == 1:
                raise
            policy.zero_grad(set_to_none=True)
            prompts //= 2
            continue
        return readings | {"prompts": prompts} | decoding(policy, length, prompts)


def decoding(policy: PosePolicy, length: int, prompts: int) -> dict[str, float]:
    """Seconds to read one more token of every answer, adapters merged, and the bytes of the weights that it reads."""
    queries = [PromptInput(text) for text in prompt_texts(policy.backbone.tokenizer, prompts, length)]
    spent = {}
    with policy.merged_adapters():
        for new in (NEW_TOKENS, 1, NEW_TOKENS, 1):  # the first two warm up
            start = time.perf_counter()
            policy.rollout(queries, GROUP, 1, max_new_tokens=new)
            finish()
            spent[new] = time.perf_counter() - start
    modules = policy.backbone.model.named_modules()
    read = sum(m.weight.nbytes for name, m in modules if isinstance(m, nn.Linear) and "lora_" not in name)
    return {"decode": (spent[NEW_TOKENS] - spent[1]) / (NEW_TOKENS - 1), "weight_bytes": float(read)}


def copy_bandwidth(device: str) -> float:
    """Bytes a second that a copy reads and writes."""
    source = torch.zeros(2**30 if device != "cpu" else 2**26, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes * rate(lambda: target.copy_(source))


def profile(policy: PosePolicy, length: int, prompts: int, console: Console) -> None:
    """Print which kernels sampling spends a GPU's time on."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    queries = [PromptInput(text) for text in prompt_texts(policy.backbone.tokenizer, prompts, length)]
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_initialized() else [])]
    with policy.merged_adapters(), profiler(activities=kinds) as seen:
        policy.rollout(queries, GROUP, 1, max_new_tokens=NEW_TOKENS)
        finish()
    order = "self_device_time_total" if torch.cuda.is_initialized() else "self_cpu_time_total"
    console.print(seen.key_averages().table(sort_by=order, row_limit=12), highlight=False, soft_wrap=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 320, 640], help="tokens of a prompt")
    parser.add_argument("--tokens", type=int, default=3072, help="of prompts and answers in a step, about")
    parser.add_argument("--steps", type=int, default=5, help="measured steps, after one to warm up")
    parser.add_argument("--profile", action="store_true", help="also print the kernels that sampling runs")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/large.json"))
    arguments = parser.parse_args()
    console = Console()
    if arguments.device == "cpu":
        torch.set_num_threads(1)
    start = time.perf_counter()
    policy = random_policy(arguments.shape, arguments.device)
    weights = sum(parameter.numel() for parameter in policy.backbone.model.parameters())
    finish()
    console.print(f"{weights / 1e9:.2f} billion weights made in {time.perf_counter() - start:.0f} s")
    fresh = {name: weight.detach().clone() for name, weight in policy.trainable().items()}
    side = 8192 if arguments.device != "cpu" else 512
    gemm, bandwidth = gemm_rate(side, side, side, arguments.device), copy_bandwidth(arguments.device)
    console.print(f"matrix products {gemm / 1e12:.3g} TFLOP/s, copies {bandwidth / 1e9:.0f} GB/s")

    header = [
        "prompt", "prompts", "step s", "rollout s", "update s", "new tokens/s", "tokens/s of update", "peak GB",
        "of GEMM rate", "ms a token", "ms to read weights",
    ]  # fmt: skip
    rows: list[dict[str, Any]] = []
    lines: list[list[str]] = []
    for length in arguments.lengths:
        for name, weight in policy.trainable().items():
            weight.data.copy_(fresh[name])
        one = measure(policy, length, arguments.tokens, arguments.steps)
        one["update"] = one["step"] - one["rollout"]
        answered = one["prompts"] * GROUP * NEW_TOKENS
        one["new_tokens_per_second"] = answered / one["step"]
        one["update_tokens_per_second"] = (one["prompts"] * length + answered) / one["update"]
        one["gemm_share"] = one["update_flops"] / one["update"] / gemm
        one["weights_read"] = one["weight_bytes"] / bandwidth  # of which half are reads in a copy
        rows.append({"prompt_tokens": length} | one)
        lines.append(
            [
                f"{length}", f"{one['prompts']}", f"{one['step']:.3f}", f"{one['rollout']:.3f}", f"{one['update']:.3f}",
                f"{one['new_tokens_per_second']:.0f}", f"{one['update_tokens_per_second']:.0f}",
                f"{one['peak_gb']:.1f}", f"{one['gemm_share']:.0%}", f"{1000 * one['decode']:.2f}",
                f"{1000 * one['weights_read']:.2f}",
            ]
        )  # fmt: skip
        console.print(" | ".join(lines[-1]), highlight=False)
    if arguments.profile:
        profile(policy, arguments.lengths[0], int(rows[0]["prompts"]), console)

    table = Table(*header)
    for line in lines:
        table.add_row(*line)
    console.print(table)
    console.print(markdown(header, lines), highlight=False, soft_wrap=True)
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft", "accelerate")}
    machine = torch.cuda.get_device_name() if arguments.device != "cpu" else "cpu"
    console.print(machine, versions)
    document = {
        "machine": machine, "versions": versions, "shape": arguments.shape, "weights": weights, "gemm_rate": gemm,
        "copy_bandwidth": bandwidth, "rows": rows,
    }  # fmt: skip
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
