"""Renders a second on one core, by size, and what the time goes into; prints a table and, with --json FILE, writes it.

python -m benchmarks.renders [--images N] [--poses "*_poses.npz"] [--json FILE]
"""

import argparse
import cProfile
import json
import pstats
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.command_line import recordings
from pose_rft.data.mocap.clips import read_mocap
from pose_rft.data.rendering.renders import render_people

PARTS = {
    "posed": "skinning",
    "rasterise": "z-buffer",
    "with_shadow": "shadow map",
    "draw_background": "background",
    "shade": "shading",
    "develop": "grain and tone",
    "processed": "blur, JPEG",
    "_truths": "what is true of it",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--poses", type=recordings, help="recorded poses; without them random ones are drawn")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    if chosen.poses:
        recorded = read_mocap(chosen.poses).pose
        poses = recorded[rng.integers(len(recorded), size=chosen.images)]
    else:
        poses = rng.normal(0, 0.3, (chosen.images, 22, 3)).astype(np.float32)
    render_people(poses[:20], seed=1)  # compiles, or reads what was compiled
    rates = {}
    for size in (128, 256, 384):
        start = time.process_time()
        render_people(poses, seed=0, size=size)
        rates[f"{size} px"] = round(chosen.images / (time.process_time() - start), 1)
        print(f"{size} x {size} pixels {rates[f'{size} px']:10.1f} images per CPU second")
    profile = cProfile.Profile(time.process_time)
    profile.runcall(render_people, poses, seed=0)
    entries = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    spent = {name: sum(e[3] for (_, _, n), e in entries.items() if n == name) for name in PARTS}
    for name, seconds in spent.items():
        print(f"{PARTS[name]:24s} {1000 * seconds / chosen.images:6.2f} ms an image of 256 pixels")
    if chosen.json:
        parts = {PARTS[name]: round(1000 * seconds / chosen.images, 3) for name, seconds in spent.items()}
        chosen.json.write_text(json.dumps({"images_per_second": rates, "ms": parts}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
