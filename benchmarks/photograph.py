"""Seconds from a photograph to its pose, with the policy loaded: all of it, and its parts.

    python -m benchmarks.photograph --checkpoint default

The photograph is the bundled one, and nothing is remembered from run to run. Prints medians.
"""

import argparse
import statistics
import time
from collections import defaultdict

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from pose_rft import PosePolicy
from pose_rft.data.photographs import TWO_PEOPLE
from pose_rft.devices import pick_device

PROMPT = "What is the pose of the person on the right?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="default", help="a policy that sees")
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    console = Console()
    policy = PosePolicy.from_pretrained(arguments.checkpoint, pick_device("auto"))
    photograph = Image.open(TWO_PEOPLE).convert("RGB")
    seconds: dict[str, list[float]] = defaultdict(list)
    for run in range(arguments.runs + 1):
        began = time.perf_counter()
        look = policy.image_branch.encoder.encode_person(photograph, PROMPT, policy.config.flip_augmentation)
        seen = time.perf_counter()
        policy.generate([PROMPT], [photograph], temperature=0.0)  # which sees it again
        ended = time.perf_counter()
        if run:  # the first also loads and warms up
            seconds["find and crop the person, encode"].append(seen - began)
            seconds["words and pose"].append(ended - seen - (seen - began))
            seconds["all"].append(ended - seen)
    table = Table("part", "median, s", "slowest, s")
    for part, values in seconds.items():
        table.add_row(part, f"{statistics.median(values):.3f}", f"{max(values):.3f}")
    console.print(table)
    width, height = photograph.size
    console.print(
        f"{width} x {height} pixels, {arguments.runs} runs, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}; sure of the landmarks {float(look.sure.mean()):.2f}",
        highlight=False,
    )


if __name__ == "__main__":
    main()
