"""Products of few rows with a wide matrix: slice by slice beside torch's own, float32 on a CPU.

    python -m benchmarks.sliced_linear

The matrices are those of SmolLM2-135M (width 576) and SmolLM2-1.7B (2048), many copies of each, so that they come from
memory as they do in sampling. Both in one process, alternating; medians of GFLOP/s.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch.nn.functional import linear

from benchmarks.steps import cores
from pose_rft.policy.kernels.sliced_linear import plain_products_are_slow, sliced_product

SHAPES = [(576, 576), (576, 1536), (1536, 576), (576, 49153), (2048, 2048), (2048, 8192), (8192, 2048)]
FLOATS = 30e6  # in the copies of one matrix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4, 16, 64, 128])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(cores())
    title = f"GFLOP/s, plain and sliced; torch {torch.__version__}"
    table = Table("matrix", *(f"{rows} rows" for rows in arguments.rows), title=title)
    ratios = []
    for inner, outer in SHAPES:
        matrices = [torch.randn(outer, inner) for _ in range(max(1, int(FLOATS / (inner * outer))))]
        cells = []
        for rows in arguments.rows:
            x = torch.randn(rows, inner)
            plain, sliced = alternating((linear, sliced_product), x, matrices, arguments.rounds)
            operations = 2 * rows * inner * outer * len(matrices) / 1e9
            ratios.append(plain / sliced)
            cells.append(f"{operations / plain:.0f}, {operations / sliced:.0f} ({plain / sliced:.1f}x)")
        table.add_row(f"{inner} x {outer}", *cells)
    Console().print(table)
    print(f"in the median {statistics.median(ratios):.2f}x; used on this machine: {plain_products_are_slow()}")


def alternating(
    ways: tuple[Callable[..., torch.Tensor], ...], x: torch.Tensor, matrices: list[torch.Tensor], rounds: int
) -> list[float]:
    """Median seconds that each way takes for the products with all matrices."""
    seconds: list[list[float]] = [[] for _ in ways]
    for number in range(rounds + 2):
        for way, taken in zip(ways, seconds, strict=True):
            began = time.perf_counter()
            for matrix in matrices:
                way(x, matrix)
            if number >= 2:
                taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in seconds]


if __name__ == "__main__":
    main()
