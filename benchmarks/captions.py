"""Captions, edit instructions and posecodes a second on one core, for random poses.

Prints a table and, with --json FILE, writes it.

python -m benchmarks.captions [--poses N] [--json FILE]
"""

import argparse
import json
import time
from pathlib import Path

import torch

from pose_rft.body import load_body
from pose_rft.posescript.captions import caption
from pose_rft.posescript.edits.instructions import edit_instructions
from pose_rft.posescript.posecodes import classify, load_posecodes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--poses", type=int, default=5000)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    pose = 0.4 * torch.randn(chosen.poses, 22, 3, generator=generator)
    points = load_body().points(pose)
    caption(points[:10], seed=0)  # reads the tables
    edit_instructions(points[:10], points[:10], seed=0)
    rates = {}
    for name, work in {
        "short captions": lambda: caption(points, seed=1, style="short"),
        "medium captions": lambda: caption(points, seed=1, style="medium"),
        "full captions": lambda: caption(points, seed=1, style="full"),
        "edit instructions": lambda: edit_instructions(points, points.roll(1, 0), seed=1),
        f"poses, {len(load_posecodes())} posecodes": lambda: classify(points),
    }.items():
        start = time.process_time()
        work()
        rates[name] = round(chosen.poses / (time.process_time() - start))
        print(f"{name:28s} {rates[name]:9,d} per CPU second")
    if chosen.json:
        chosen.json.write_text(json.dumps(rates, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
