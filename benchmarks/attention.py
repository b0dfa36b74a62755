"""Attention in chunks beside torch's fused kernel, on a CPU: the heads of SmolLM2-135M, 8 answers of 16 tokens each.

    python -m benchmarks.attention

Both in one process, alternating; medians of seconds forwards, and forwards and backwards, of two packed groups in a
policy's precision on this machine, and the root mean square distance of the results to the fused kernel's in float32.
Then a pass that samples one token of each answer, without a gradient: transformers' way of asking for the fused kernel,
chunks, and ours, which asks for it without a copy of the keys for every query head.
"""

import argparse
import statistics
import time

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from benchmarks.steps import cores
from pose_rft.devices import best_dtype
from pose_rft.generation.packing import additive_mask, pack_groups
from pose_rft.policy.kernels import chunked_attention as chunked
from pose_rft.policy.kernels.chunked_attention import chunked_attention

HEADS, GROUPS, SIZE = 9, 3, 64
WAYS = {"fused": sdpa_attention_forward, "chunked": chunked_attention}


class Layer(nn.Module):
    is_causal = True
    num_key_value_groups = HEADS // GROUPS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 320, 640, 1280])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(cores())
    dtype = best_dtype("cpu")
    table = Table(
        "prompt", "kernel", "forwards, ms", "and backwards, ms", "ratio", "error", title=f"{dtype}, {torch.__version__}"
    )
    for length in arguments.lengths:
        packed = pack_groups([[1] * length] * 2, [[[2] * 16] * 8] * 2, 9, length + 128)
        assert packed.attention is not None
        exact = inputs(length, torch.float32)
        truth, _ = sdpa_attention_forward(Layer(), *exact, additive_mask(packed.attention, torch.float32))
        given, mask = inputs(length, dtype), additive_mask(packed.attention, dtype)
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
        for _ in range(arguments.rounds + 1):
            for name in WAYS:
                seconds[name].append(timed(name, given, mask))
        medians = {
            name: [statistics.median(column) for column in zip(*rows[1:], strict=True)]
            for name, rows in seconds.items()
        }
        for name, attend in WAYS.items():
            forwards, both = medians[name]
            error = (attend(Layer(), *given, mask)[0] - truth).square().mean().sqrt().item()
            ratio = f"{medians['fused'][0] / forwards:.1f}x, {medians['fused'][1] / both:.1f}x"
            table.add_row(str(length), name, f"{1e3 * forwards:.1f}", f"{1e3 * both:.1f}", ratio, f"{error:.1e}")
    Console().print(table)
    Console().print(sampling(arguments.lengths, 50 * arguments.rounds, dtype))


def sampling(lengths: list[int], rounds: int, dtype: torch.dtype) -> Table:
    """Microseconds of attention in a pass that samples, for two prompts of each length with 8 answers half written."""
    table = Table("prompt", "fused, us", "chunked, us", "ours, us", title="one token of each answer")
    few = chunked.FEW
    ways = (("fused", sdpa_attention_forward, few), ("chunked", chunked_attention, 0), ("ours", chunked_attention, few))
    for length in lengths:
        generator = torch.Generator().manual_seed(0)
        shapes = [(2, HEADS, 8, SIZE), *[(2, GROUPS, length + 64, SIZE)] * 2]
        given = [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]
        own = torch.arange(length + 64)[None, :] % 8 == torch.arange(8)[:, None]
        mask = additive_mask((own | (torch.arange(length + 64) < length)).expand(2, 1, -1, -1), dtype)
        seconds: dict[str, list[float]] = {name: [] for name, _, _ in ways}
        for _ in range(rounds):
            for name, attend, chunked.FEW in ways:
                began = time.perf_counter()
                with torch.no_grad():
                    attend(Layer(), *given, mask)
                seconds[name].append(time.perf_counter() - began)
        table.add_row(str(length), *(f"{1e6 * statistics.median(times[5:]):.0f}" for times in seconds.values()))
    chunked.FEW = few
    return table


def inputs(length: int, dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, heads, length + 128, SIZE) for heads in (HEADS, GROUPS, GROUPS)]
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


def timed(name: str, given: list[Tensor], mask: Tensor) -> tuple[float, float]:
    """Seconds forwards without a gradient, and forwards and backwards with one."""
    began = time.perf_counter()
    with torch.no_grad():
        WAYS[name](Layer(), *given, mask)
    between = time.perf_counter()
    WAYS[name](Layer(), *given, mask)[0].sum().backward()
    return between - began, time.perf_counter() - between


if __name__ == "__main__":
    main()
