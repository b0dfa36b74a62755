"""How well and how fast people are seen: BlazePose's own world landmarks on renders of recorded poses, one core.

python -m benchmarks.vision [--count 60] [--json FILE]

Each pose is drawn once, 384 pixels square, from one of three sides; the person is found, cropped and encoded as in a
photograph. The error is PA-MPJPE on the twelve joints that both skeletons have, so it holds for any camera. The drawn
figures are clay: photographs are kinder to the detector, and crueller by their depth.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.command_line import add_recordings
from pose_rft.body import load_body
from pose_rft.body.distances import pa_mpjpe
from pose_rft.body.render import VIEWS, render
from pose_rft.data.mocap.clips import read_mocap
from pose_rft.errors import UserError
from pose_rft.vision import detect_person, load_encoder
from pose_rft.vision.blazepose import COMMON_JOINTS
from pose_rft.vision.image_encoder import COMMON


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_recordings(parser)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    poses = torch.as_tensor(read_mocap(chosen.poses).pose).float()
    poses = poses[np.random.default_rng(0).choice(len(poses), chosen.count, replace=False)]
    joints = load_body().joints(poses)[:, COMMON]
    encoder = load_encoder()
    detect_person(Image.fromarray(render(poses[:1], 384)[0]), encoder)  # reads the networks
    errors, seconds = [], []
    for index, (pose, truth) in enumerate(zip(poses, joints, strict=True)):
        picture = Image.fromarray(render(pose[None], 384, view=list(VIEWS)[index % len(VIEWS)])[0])
        start = time.process_time()
        try:
            features = detect_person(picture, encoder).features
        except UserError:  # nobody found
            continue
        seconds.append(time.process_time() - start)
        assert features.world is not None
        errors.append(1000 * pa_mpjpe(features.world[0, list(COMMON_JOINTS.values())], truth).item())
    result = {
        "pictures": len(poses),
        "found": len(errors),
        "pa_mpjpe_mm_median": round(float(np.median(errors)), 1),
        "pa_mpjpe_mm_mean": round(float(np.mean(errors)), 1),
        "cpu_ms_per_picture_median": round(1000 * float(np.median(seconds))),
    }
    for name, value in result.items():
        print(f"{name:26s} {value}")
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
