"""Reading: of how many prompts something is read, and how much of it is true of poses that do what the prompt asks.

    python -m benchmarks.reading [--split dev] [--samples 32] [--checkpoint default]

Prompts are those of canonical, wordings and everyday-prompts. A pose does what a prompt asks if it passes the prompt's
checks; such poses are canonical's stored ones and samples of a policy. A statement counts by the share of those poses
of which it holds, and not at all where no pose passes. Prompts are read as requests. Last, how many prompts that want
words are read as a pose.
"""

import argparse
from collections import defaultdict

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from benchmarks.plain_talk import WANT_WORDS
from pose_rft.body import load_body
from pose_rft.body.landmarks import NUM_POINTS
from pose_rft.data.canonical import canonical_poses, canonical_prompts
from pose_rft.data.everyday import SPLITS, everyday_prompts
from pose_rft.data.sample import Sample
from pose_rft.data.wordings import wording_prompts
from pose_rft.policy import PosePolicy
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.parsing import parse

TEMPERATURES = (0.7, 1.0)  # of the samples, half of them each
BATCH = 8  # prompts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=SPLITS, default="dev")
    parser.add_argument("--samples", type=int, default=32, help="poses of each prompt (default: %(default)s)")
    parser.add_argument("--checkpoint", default="default")
    arguments = parser.parse_args()
    groups: dict[str, list[Sample]] = defaultdict(list)
    for source, prompts in (("canonical", canonical_prompts), ("wordings", wording_prompts)):
        for sample in prompts(arguments.split):
            groups[f"{source}, {sample.category}"].append(sample)
    groups["everyday-prompts"] = everyday_prompts(arguments.split)
    policy = PosePolicy.from_pretrained(arguments.checkpoint)
    poses = passing_poses(policy, [sample for group in groups.values() for sample in group], arguments.samples)
    table = Table("prompts", "number", "something read", "statements", "true of poses that pass")
    for name, group in groups.items():
        table.add_row(name, str(len(group)), *figures(group, poses))
    wordings = [sample for name, group in groups.items() if name.startswith("wordings") for sample in group]
    table.add_row("wordings, all", str(len(wordings)), *figures(wordings, poses))
    console = Console(soft_wrap=True)
    console.print(table)
    read = [prompt for prompt in WANT_WORDS if parse(prompt, request=True).statements]
    console.print(f"Read as a pose of {len(WANT_WORDS)} prompts that want words: {len(read)} {read or ''}")


def passing_poses(policy: PosePolicy, samples: list[Sample], count: int) -> dict[str, Tensor]:
    """For every prompt the points (N, 32, 3) of poses that pass its checks."""
    body, stored = load_body(), canonical_poses()
    found: dict[str, list[Tensor]] = defaultdict(list)
    for start in track(range(0, len(samples), BATCH), "Sampling poses"):
        part = samples[start : start + BATCH]
        for sample in part:
            if sample.prompt in stored:
                found[sample.prompt].append(body.points(torch.from_numpy(stored[sample.prompt])[None]))
        for temperature in TEMPERATURES:
            answers = policy.generate(
                [sample.prompt for sample in part],
                num_samples=max(1, count // len(TEMPERATURES)),
                temperature=temperature,
                best_of=1,
                words=False,
            )
            for sample, group in zip(part, answers, strict=True):
                drawn = [answer.pose for answer in group if answer.pose]
                if not drawn:
                    continue
                rotations = np.stack([np.vstack([pose.global_orient[None], pose.body_pose]) for pose in drawn])
                points = body.points(torch.from_numpy(rotations))
                found[sample.prompt].append(points[satisfied(sample.checks, points).all(dim=1)])
    return {sample.prompt: torch.cat(found[sample.prompt] or [torch.empty(0, NUM_POINTS, 3)]) for sample in samples}


def figures(samples: list[Sample], poses: dict[str, Tensor]) -> tuple[str, str, str]:
    """Share of the prompts of which something is read, statements read where poses pass, and the share that holds."""
    read, shares = 0, []
    for sample in samples:
        checks = parse(sample.prompt, request=True).checks
        read += bool(checks)
        if checks and len(poses[sample.prompt]):
            shares += satisfied(checks, poses[sample.prompt]).double().mean(dim=0).tolist()
    true = f"{np.mean(shares):.1%}" if shares else "-"
    return f"{read / len(samples):.0%}", str(len(shares)), true


if __name__ == "__main__":
    main()
