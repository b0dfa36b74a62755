"""Find a pose for every prompt of a benchmark that was typed; writes the benchmark's file of ``TABLES``.

POSE_RFT_MOCAP=FOLDER python scripts/reach_prompts.py canonical [--only WORDS]     # half an hour of one core

A prompt is fair if some pose meets all of its checks. The nearest among recorded poses, poses of the concepts and what
is mixed of both are moved down the checks' margins until one meets them; of those that do, the one that moved least is
kept. Prompts without a pose are listed: their checks contradict each other or the body.
"""

import argparse
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, mirror_pose
from pose_rft.data.canonical import POSES, canonical_prompts
from pose_rft.data.concepts.pools import concept_pools
from pose_rft.data.everyday import Split, everyday_prompts
from pose_rft.data.mocap.clips import facing_forward, read_mocap
from pose_rft.data.sample import Sample
from pose_rft.data.speculative import POSES as SPECULATIVE_POSES
from pose_rft.data.speculative import speculative_prompts
from pose_rft.posescript.checks import compile_check, satisfied, tabulated
from pose_rft.posescript.measurements import Measurements

# Of each benchmark its prompts, and the file of poses below the repository's root.
TABLES: dict[str, tuple[Callable[[Split], list[Sample]], str]] = {
    "canonical": (canonical_prompts, f"src/pose_rft/data/{POSES}"),
    "everyday-prompts": (everyday_prompts, "tests/evaluation/everyday_poses.npz"),
    "speculative-poses": (speculative_prompts, f"src/pose_rft/data/{SPECULATIVE_POSES}"),
}
CONCEPT_POSES = 16  # of each concept
STARTS = 8  # for each prompt
STEPS, STEPS_AFTER_THE_FIRST = 300, 5  # until a pose meets the checks, and from there on
STEP_SIZE = 0.02  # radians
SLACK = 0.1  # margin to spare, 2 degrees or 1 cm: poses are stored as float16
STAY = 0.3  # weight of the squared distance from the start, radians
POSSIBLE = 30.0  # weight of the squared distance from what joints do in recordings, radians
LOWER_BODY = [JOINT_INDEX["pelvis"]] + [
    index for index, name in enumerate(JOINT_NAMES) if name.endswith(("hip", "knee", "ankle", "foot"))
]


def known_poses(folder: Path) -> Tensor:
    """All recorded poses with their mirror images, then those of the concepts, (N, 22, 3)."""
    recorded = [torch.from_numpy(read_mocap(path).pose).float() for path in sorted(folder.glob("*_poses.npz"))]
    recorded += [mirror_pose(poses) for poses in recorded]
    pools = concept_pools(CONCEPT_POSES, 0, (), "all")
    made = [torch.from_numpy(pools.poses(concept)) for concept in pools.concepts]
    return torch.cat(recorded + made)


@torch.no_grad()
def shortfall(poses: Tensor, checks: list[str], stated: Tensor, chunk: int = 1000) -> Tensor:
    """By how much poses (N, 22, 3) fail the checks of T texts together, (N, T); `stated` (T, C) is of ``tabulated``."""
    found = []
    for part in poses.split(chunk):
        measured = Measurements(load_body().points(part))
        missing = torch.stack([(-compile_check(check).margin(measured)).clamp_min(0) for check in checks], dim=1)
        found.append(missing.clamp_max(5) @ stated.T)
    return torch.cat(found)


def mixed(poses: Tensor) -> Tensor:
    """The poses (K, 22, 3), then the lower body of each with the rest of each other."""
    legs, rest = (index.flatten() for index in torch.meshgrid(*2 * [torch.arange(len(poses))], indexing="ij"))
    crossed = poses[rest].clone()
    crossed[:, LOWER_BODY] = poses[legs][:, LOWER_BODY]
    return torch.cat([poses, crossed[legs != rest]])


def possible_range(poses: Tensor) -> tuple[Tensor, Tensor]:
    """Between what rotations each joint stays in all but 1 % of poses, (22, 3) twice; the pelvis may turn freely."""
    sampled = poses[:: max(1, len(poses) // 20_000)]
    low, high = sampled.quantile(0.005, dim=0), sampled.quantile(0.995, dim=0)
    low[0], high[0] = -10, 10
    return low, high


def descended(starts: Tensor, checks: list[str], limits: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Poses moved until they meet all checks.

    Args:
        starts: (K, 22, 3).
        checks: all of which have to hold.
        limits: of ``possible_range``.

    Returns:
        poses (K, 22, 3), and (K,) how far they went from their start and from what is possible; infinite for a pose
        that never met the checks.
    """
    pose = starts.clone().requires_grad_()
    optimiser = torch.optim.Adam([pose], lr=STEP_SIZE)
    kept, price = starts.clone(), torch.full((len(starts),), torch.inf)
    left = STEPS
    while left > 0:
        beyond = (limits[0] - pose).clamp_min(0) + (pose - limits[1]).clamp_min(0)
        cost = STAY * (pose - starts).square().sum((1, 2)) + POSSIBLE * beyond.square().sum((1, 2))
        measured = Measurements(load_body().points(pose))
        margins = torch.stack([compile_check(check).margin(measured) for check in checks])
        better = (margins > 0).all(dim=0) & (cost < price)
        kept[better], price[better] = pose.detach()[better], cost.detach()[better]
        left = min(left, STEPS_AFTER_THE_FIRST) - 1 if price.isfinite().any() else left - 1
        optimiser.zero_grad()
        (10 * (SLACK - margins).clamp(0, 3).sum(0) + cost).nan_to_num().sum().backward()
        pose.grad = pose.grad.nan_to_num() if pose.grad is not None else None
        optimiser.step()
    return kept, price


def reached(sample: Sample, candidates: Tensor, limits: tuple[Tensor, Tensor]) -> np.ndarray | None:
    """A pose (22, 3) float16 that meets all checks of a prompt, or None; candidates (K, 22, 3)."""
    checks = list(sample.checks)
    options = mixed(candidates)
    order = shortfall(options, checks, torch.ones(1, len(checks)))[:, 0].argsort()
    poses, price = descended(options[order[:STARTS]], checks, limits)
    for index in price.argsort():
        stored = facing_forward(poses[index : index + 1]).half()
        if satisfied(checks, load_body().points(stored.float())).all():
            return stored[0].numpy()
    return None


def search(samples: Iterable[Sample], known: Tensor) -> dict[str, np.ndarray]:
    """Prompt -> pose, of those prompts that have one."""
    samples = list(samples)
    checks, stated = tabulated([sample.checks for sample in samples])
    missing = shortfall(known, checks, stated)
    limits = possible_range(known)
    found = {}
    for number, sample in enumerate(samples):
        pose = reached(sample, known[missing[:, number].topk(STARTS, largest=False).indices], limits)
        at_once = int((missing[:, number] == 0).sum())
        print(f"{at_once:6d} known  {'      ' if pose is not None else 'NONE  '}{sample.prompt}", flush=True)
        if pose is not None:
            found[sample.prompt] = pose
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=TABLES)
    parser.add_argument("--only", help="search again only for prompts with these words; keep what is stored of others")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    prompts_of, name = TABLES[arguments.benchmark]
    out = Path(__file__).parents[1] / name
    every = prompts_of("all")
    chosen = [sample for sample in every if arguments.only is None or arguments.only in sample.prompt]
    stored: dict[str, np.ndarray] = {}
    if arguments.only is not None:
        with np.load(out, allow_pickle=False) as file:
            stored = dict(zip(file["prompt"].tolist(), file["pose"], strict=True))
    stored |= search(chosen, known_poses(Path(os.environ["POSE_RFT_MOCAP"])))
    prompts = [sample.prompt for sample in every if sample.prompt in stored]
    np.savez_compressed(out, prompt=np.array(prompts), pose=np.stack([stored[prompt] for prompt in prompts]))
    print(f"{len(prompts)} of {len(every)} prompts have a pose")


if __name__ == "__main__":
    main()
