"""Pose from pictures: policies beside each other and beside the encoder's own landmarks, on the same crops.

    python -m benchmarks.image_to_pose --poses "*_poses.npz" --checkpoints runs/default_images/policy default

Renders of recordings kept out of training, cut out around the person. Prints means with 95 % intervals over pictures:
MPJPE, PA-MPJPE and PVE of the mean pose, the first two of sampled poses and of the best of them, PA-MPJPE on the twelve
joints that BlazePose has too, beside BlazePose's own, and how far sampled poses spread along the picture's axes and
along depth, where a picture says least. With two policies or more also the change from the first to the last, picture
by picture; and the last one's errors joint by joint.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from benchmarks.command_line import recordings
from pose_rft.body import load_body
from pose_rft.body.distances import mpjpe, pa_mpjpe, pve, root_aligned
from pose_rft.body.skeleton import JOINT_NAMES
from pose_rft.data.sample import Sample
from pose_rft.devices import pick_device
from pose_rft.evaluation.benchmarks import load_benchmark
from pose_rft.evaluation.grading import answered_poses
from pose_rft.evaluation.metrics import Interval, bootstrap_interval, paired_difference
from pose_rft.policy import PosePolicy
from pose_rft.vision.blazepose import COMMON_JOINTS, BlazePose
from pose_rft.vision.image_encoder import COMMON

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", nargs="+", default=["default"], help="policies that see")
    parser.add_argument("--poses", type=recordings, help="recorded poses with `sequence`; procedural ones without")
    parser.add_argument("--limit", type=int, default=500, help="pictures")
    parser.add_argument("--num-samples", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/image_to_pose.json"))
    arguments = parser.parse_args()
    console = Console()
    samples, _ = load_benchmark("renders", poses=arguments.poses, limit=arguments.limit)
    target = torch.stack([torch.from_numpy(sample.pose) for sample in samples])  # (N, 22, 3)
    columns = {"BlazePose's landmarks": {"PA-MPJPE, 12 joints": _landmark_error(samples, target)}}
    joints = torch.zeros(0)
    for name in arguments.checkpoints:
        policy = PosePolicy.from_pretrained(name, pick_device("auto"))
        mean, drawn = _answers(policy, samples, arguments.num_samples)
        columns[name], joints = _errors(mean, drawn, target)
    table = Table("mm", *columns)
    for measure in columns[arguments.checkpoints[0]]:
        table.add_row(
            measure,
            *(_cell(bootstrap_interval(values[measure])) if measure in values else "-" for values in columns.values()),
        )
    console.print(table)
    first, last = columns[arguments.checkpoints[0]], columns[arguments.checkpoints[-1]]
    if len(arguments.checkpoints) > 1:
        change = Table("change from the first to the last", "mm", "of the first's")
        for measure, values in first.items():
            difference = paired_difference(values, last[measure])
            change.add_row(measure, _cell(difference), f"{difference.mean / values.nanmean().item():+.1%}")
        console.print(change)
    each = Table("joint", "MPJPE of the last one's mean pose, mm")
    for joint, error in zip(JOINT_NAMES, joints.tolist(), strict=True):
        each.add_row(joint, f"{error:.1f}")
    console.print(each)
    result = {
        name: {measure: asdict(bootstrap_interval(numbers)) for measure, numbers in values.items()}
        for name, values in columns.items()
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def _answers(policy: PosePolicy, samples: list[Sample], count: int) -> tuple[Tensor, Tensor]:
    """Mean poses (N, 22, 3) and ``count`` sampled ones (N, K, 22, 3); NaN where an answer holds no pose."""
    mean, drawn = [], []
    for start in track(range(0, len(samples), BATCH), description="Asking the policy", console=Console(stderr=True)):
        batch = samples[start : start + BATCH]
        prompts, images = [sample.prompt for sample in batch], [sample.image for sample in batch]
        mean.append(answered_poses(policy.generate(prompts, images, temperature=0.0))[:, 0])
        drawn.append(answered_poses(policy.generate(prompts, images, count)))
    return torch.cat(mean), torch.cat(drawn)


def _errors(mean: Tensor, drawn: Tensor, target: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Errors of each picture (N,) by measure, and of each joint (22,), all in millimetres."""
    body = load_body()
    recorded, reached, sampled = body.joints(target), body.joints(mean), body.joints(drawn)
    several = recorded[:, None].expand_as(sampled)
    aligned = _of_valid(pa_mpjpe, sampled, several)  # (N, K)
    spread = (sampled - sampled[:, :, :1]).std(dim=1).mean(dim=1)  # (N, 3), of joints relative to the pelvis
    metres = {
        "valid answers, of 1000": mean.isfinite().flatten(1).all(dim=1).float(),
        "MPJPE": mpjpe(reached, recorded),
        "PA-MPJPE": _of_valid(pa_mpjpe, reached, recorded),
        "PVE": pve(body.vertices(mean), body.vertices(target), reached[:, 0], recorded[:, 0]),
        "MPJPE, sampled": mpjpe(sampled, several).nanmean(dim=1),
        "PA-MPJPE, sampled": aligned.nanmean(dim=1),
        "PA-MPJPE, best sample": aligned.nan_to_num(torch.inf).amin(dim=1),
        "PA-MPJPE, 12 joints": _of_valid(pa_mpjpe, reached[:, COMMON], recorded[:, COMMON]),
        "spread of samples to the right": spread[:, 0],
        "spread of samples upwards": spread[:, 1],
        "spread of samples in depth": spread[:, 2],
    }
    joints = (root_aligned(reached) - root_aligned(recorded)).norm(dim=-1).nanmean(dim=0)
    return {name: 1000 * values.double() for name, values in metres.items()}, 1000 * joints


def _of_valid(distance: Callable[[Tensor, Tensor], Tensor], joints: Tensor, recorded: Tensor) -> Tensor:
    """Distances (...) of joints (..., J, 3); NaN where there are none."""
    valid = joints.isfinite().flatten(-2).all(dim=-1)
    distances = joints.new_full(valid.shape, torch.nan)
    distances[valid] = distance(joints[valid], recorded[valid])
    return distances


def _landmark_error(samples: list[Sample], target: Tensor) -> Tensor:
    """(N,) PA-MPJPE in millimetres of what the encoder itself says of the joints that it has."""
    encoder = BlazePose()
    pixels = torch.stack([torch.from_numpy(sample.image.pixels.copy()) for sample in samples])
    twelve = list(COMMON_JOINTS.values())
    with torch.no_grad():
        marks = torch.cat([encoder.encode(part).world[:, twelve] for part in pixels.split(BATCH)])  # (N, 12, 3)
    return 1000 * pa_mpjpe(marks, load_body().joints(target)[:, COMMON]).double()


def _cell(interval: Interval) -> str:
    return f"{interval.mean:.1f} ({interval.low:.1f} to {interval.high:.1f})"


if __name__ == "__main__":
    main()
