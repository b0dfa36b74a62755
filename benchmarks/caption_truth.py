"""Are captions true, different, and understood? Prints a table and, with --json FILE, writes it.

python -m benchmarks.caption_truth [--count 2000] [--captions 3] [--style any] [--json FILE]

Poses are those of the file's recordings that training never sees (`pose_rft.data.splits`), chosen at random; where
they are too few, fresh procedural poses fill up. Whether a statement is true is decided by a geometry that is written a
second time (`pose_rft.evaluation.figure`).
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from benchmarks.command_line import add_recordings
from pose_rft.body import load_body
from pose_rft.evaluation.caption_benchmark import procedural_poses, recorded_poses
from pose_rft.evaluation.figure import Figure
from pose_rft.posescript.captions import Caption, caption
from pose_rft.posescript.parsing import parse


def held_out_poses(path: Path, count: int, seed: int) -> tuple[torch.Tensor, int]:
    """``count`` poses (count, 22, 3) axis-angle that no training saw, and how many of them are recorded."""
    generator = torch.Generator().manual_seed(seed)
    recorded, made = (
        poses[torch.randperm(len(poses), generator=generator)]
        for poses in (torch.from_numpy(recorded_poses(path)[0].pose), procedural_poses())
    )
    poses = torch.cat([recorded, made])[:count]
    return poses, min(len(recorded), count)


def table(joints: torch.Tensor, rounds: list[list[Caption]]) -> dict[str, float]:
    """What is measured of several captions of each pose.

    Args:
        joints: (N, 22, 3) metres.
        rounds: one list of N captions for each seed.
    """
    made = [(row, one) for captions in rounds for row, one in enumerate(captions)]
    figures = [Figure(pose) for pose in joints.numpy()]
    false = sum(not figures[row].fulfils(check) for row, one in made for check in one.checks)
    start = time.process_time()
    parsed = [parse(one.text) for _, one in made]
    seconds = time.process_time() - start
    exact = [set(back.posecodes) == set(one.posecodes) for back, (_, one) in zip(parsed, made, strict=True)]
    complete = [same and not back.unknown for same, back in zip(exact, parsed, strict=True)]
    read_false = sum(
        not figures[row].fulfils(check) for back, (row, _) in zip(parsed, made, strict=True) for check in back.checks
    )
    owners = Counter(text for captions in zip(*rounds, strict=True) for text in {one.text for one in captions})
    return {
        "captions": len(made),
        "statements": sum(len(one.checks) for _, one in made),
        "statements that are false": false,
        "captions parsed back completely, %": 100 * float(np.mean(complete)),
        "statements parsed back that are false": read_false,
        "poses whose captions all differ, %": 100
        * float(
            np.mean([len({one.text for one in captions}) == len(rounds) for captions in zip(*rounds, strict=True)])
        ),
        "captions that another pose has too, %": 100 * float(np.mean([owners[one.text] > 1 for _, one in made])),
        "texts parsed per CPU second": round(len(made) / seconds),
    }


def report(figures: dict[str, float], file: Path | None) -> None:
    """Print figures a line each, counts without decimals; write them to a JSON file if there is one."""
    width = max(map(len, figures)) + 1
    for name, value in figures.items():
        print(f"{name:{width}s} {value:10,.2f}" if isinstance(value, float) else f"{name:{width}s} {value:7,d}")
    if file:
        file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_recordings(parser)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--captions", type=int, default=3)
    parser.add_argument("--style", default="any")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    poses, recorded = held_out_poses(chosen.poses, chosen.count, seed=0)
    joints = load_body().joints(poses)
    rounds = [caption(joints, seed=turn, style=chosen.style) for turn in range(chosen.captions)]
    figures = {"recorded poses": recorded, "procedural poses": len(poses) - recorded} | table(joints, rounds)
    report(figures, chosen.json)


if __name__ == "__main__":
    main()
