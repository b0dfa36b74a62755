"""Pose from pictures beside the encoder's own landmarks: the same crops, the same twelve joints.

    python benchmarks/image_to_pose.py --checkpoint runs/seeing_poses/policy --poses cmu_poses.npz

Renders of recordings kept out of training, cut out around the person. Prints, with 95 % intervals over pictures, MPJPE
and PA-MPJPE of the policy's mean pose on all 22 joints, PA-MPJPE of both on the twelve joints that BlazePose has too,
and how far sampled poses spread along the picture's axes and along depth, where a picture says least.
"""

import argparse
import json
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.distances import mpjpe, pa_mpjpe
from pose_rft.devices import pick_device
from pose_rft.evaluation.grading import answered_poses
from pose_rft.evaluation.metrics import bootstrap_interval
from pose_rft.evaluation.protocols import load_benchmark
from pose_rft.policy import PosePolicy
from pose_rft.policy.eyes import COMMON
from pose_rft.vision.blazepose import COMMON_JOINTS, BlazePose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="default", help="a policy that sees")
    parser.add_argument("--poses", type=Path, help="recorded poses with `sequence`; procedural ones without")
    parser.add_argument("--limit", type=int, default=500, help="pictures")
    parser.add_argument("--num-samples", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/image_to_pose.json"))
    arguments = parser.parse_args()
    console, body = Console(), load_body()
    samples, _ = load_benchmark("renders", poses=arguments.poses, limit=arguments.limit)
    policy = PosePolicy.from_pretrained(arguments.checkpoint, pick_device("auto"))
    target = body.joints(torch.stack([torch.from_numpy(sample.pose) for sample in samples]))  # (N, 22, 3)
    mean, drawn = [], []
    for start in track(range(0, len(samples), 32), description="Asking the policy", console=Console(stderr=True)):
        batch = samples[start : start + 32]
        prompts, images = [sample.prompt for sample in batch], [sample.image for sample in batch]
        mean.append(answered_poses(policy.generate(prompts, images, temperature=0.0)))
        drawn.append(answered_poses(policy.generate(prompts, images, arguments.num_samples)))
    reached, spread = body.joints(torch.cat(mean)[:, 0]), body.joints(torch.cat(drawn))  # (N, 22, 3), (N, K, 22, 3)
    encoder = BlazePose()
    pixels = torch.stack([torch.from_numpy(sample.image.pixels.copy()) for sample in samples])
    twelve = list(COMMON_JOINTS.values())
    marks = torch.cat([encoder.encode(part).world[:, twelve] for part in pixels.split(32)])  # (N, 12, 3)
    spread = (spread - spread[:, :, :1]).std(dim=1).mean(dim=1)  # (N, 3), of joints relative to the pelvis
    rows = {
        "policy, MPJPE": mpjpe(reached, target),
        "policy, PA-MPJPE": pa_mpjpe(reached, target),
        "policy, PA-MPJPE, 12 joints": pa_mpjpe(reached[:, COMMON], target[:, COMMON]),
        "BlazePose's landmarks, PA-MPJPE, 12 joints": pa_mpjpe(marks, target[:, COMMON]),
        "spread of sampled poses to the right": spread[:, 0],
        "spread of sampled poses up": spread[:, 1],
        "spread of sampled poses in depth": spread[:, 2],
    }
    table, result = Table("measure", "mm"), {}
    for name, values in rows.items():
        result[name] = _interval(values)
        table.add_row(name, "{mean:.1f} ({low:.1f}-{high:.1f})".format(**result[name]))
    console.print(table)
    valid = float(torch.cat(mean).isfinite().flatten(1).all(dim=1).float().mean())
    console.print(f"{len(samples)} pictures, valid answers {valid:.1%}", highlight=False)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def _interval(metres: Tensor) -> dict[str, float]:
    interval = bootstrap_interval((1000 * metres).double().numpy())
    return {"mean": interval.mean, "low": interval.low, "high": interval.high, "n": interval.n}


if __name__ == "__main__":
    main()
