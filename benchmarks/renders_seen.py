"""Does a network that learned from photographs see what the renders show? BlazePose on renders of held-out recordings.

python -m benchmarks.renders_seen [--images N]

Prints, for clear pictures and for all kinds, how often it sees a person, how far its 2D landmarks lie from the twelve
joints that both skeletons have (as a share of the person's box), and PA-MPJPE of its world landmarks on them.
"""

import argparse

import numpy as np
import torch

from benchmarks.command_line import add_recordings
from pose_rft.body.distances import pa_mpjpe
from pose_rft.data.mocap.clips import drawing_weights, read_mocap, train_test_split
from pose_rft.data.rendering.renders import render_people
from pose_rft.vision import load_encoder
from pose_rft.vision.blazepose import COMMON_JOINTS
from pose_rft.vision.image_encoder import COMMON

LANDMARKS = list(COMMON_JOINTS.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_recordings(parser)
    parser.add_argument("--images", type=int, default=200)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    held_out = train_test_split(read_mocap(chosen.poses))[1]
    rows = np.random.default_rng(0).choice(len(held_out), size=chosen.images, p=drawing_weights(held_out))
    poses = held_out.pose[rows]
    encoder = load_encoder("blazepose")
    for clear in (True, False):
        renders = render_people(poses, seed=0, clear=clear)
        seen = encoder.encode(torch.from_numpy(renders.pixels))
        assert seen.landmarks is not None
        assert seen.world is not None
        assert seen.presence is not None
        box = np.maximum(renders.box[:, 2] - renders.box[:, 0], renders.box[:, 3] - renders.box[:, 1])
        away = np.linalg.norm(seen.landmarks[:, LANDMARKS, :2].numpy() - renders.joints_2d[:, COMMON], axis=-1)
        share = (away / box[:, None])[renders.visible[:, COMMON]]
        error = 1000 * pa_mpjpe(seen.world[:, LANDMARKS], torch.from_numpy(renders.joints[:, COMMON])).numpy()
        print(
            f"{'clear' if clear else 'all kinds':10s} person seen {(seen.presence > 0.5).float().mean():.1%}, visible "
            f"joints {np.median(share):.1%} of the box away (median), PA-MPJPE {np.median(error):.0f} mm median, "
            f"{error.mean():.0f} mm mean"
        )


if __name__ == "__main__":
    main()
