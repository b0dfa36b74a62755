"""3DPW (von Marcard et al., ECCV 2018): people in the wild, from cameras that move.

Keys of a sequence's pickle, by nkolot/SPIN (datasets/preprocess/pw3d.py) and mkocabas/VIBE
(lib/data_utils/threedpw_utils.py), both of which read the same: of P people in N frames

- ``poses``: P arrays (N, 72), axis-angle in radians of SMPL's 24 joints, pelvis first, in a world;
- ``cam_poses`` (N, 4, 4): from that world to the camera, whose axes are OpenCV's; the root in the camera's frame is
  ``cam_poses[:, :3, :3]`` times the root;
- ``campose_valid``: P arrays (N,), not 0 where the camera is known;
- ``betas``: P arrays (10,) or longer, of which the first ten are SMPL's shape; ``genders``: P times "m" or "f";
- ``poses2d``: P arrays (N, 3, 18), x, y in pixels and certainty of COCO's joints;
- the picture of frame i is ``imageFiles/SEQUENCE/image_{i:05d}.jpg``; the folders train, validation and test of
  ``sequenceFiles`` are the splits.

The files are pickles and are never opened here: a printed command makes an npz of each, with the arrays above as
(P, N, ...), ``betas`` as (P, 10). Kept are frames in which the camera is known and more than ``SEEN`` joints are
(VIBE's rule).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_rft.body.model import NUM_BETAS
from pose_rft.data.readers.arrays import StoredArray, open_arrays, text_of
from pose_rft.data.readers.published import (
    DEV,
    TEST,
    TRAIN,
    Needed,
    Pickles,
    Reader,
    body_joints,
    pictured,
    recorded_body,
    seen_pose,
)

SEEN = 6
CERTAIN = 0.3
SPLITS = {"train": TRAIN, "validation": DEV, "test": TEST}
SEQUENCES = Needed("sequenceFiles/*/*.npz", "sequences, converted")
PICKLES = Pickles(
    "sequenceFiles/*/*.pkl",
    "import pickle, glob, numpy as n; "
    "[n.savez(f[:-3] + 'npz', betas=[n.ravel(b)[:10] for b in d['betas']], "
    "**{k: n.array(d[k]) for k in ('poses', 'cam_poses', 'campose_valid', 'poses2d', 'genders')}) "
    "for f in glob.glob('{folder}/sequenceFiles/*/*.pkl') for d in [pickle.load(open(f, 'rb'), encoding='latin1')]]",
)


@dataclass(frozen=True)
class _Person:
    """One person of a sequence."""

    folder: Path
    path: Path
    arrays: Mapping[str, StoredArray]
    person: int
    frames: np.ndarray
    splits: np.ndarray

    def record(self, row: int) -> Mapping[str, Any]:
        frame = int(self.frames[row])
        world = body_joints(self.arrays["poses"][self.person, frame])
        pose = seen_pose(world, self.arrays["cam_poses"][frame][:3, :3])
        x, y, certain = self.arrays["poses2d"][self.person, frame]
        x, y = x[certain > CERTAIN], y[certain > CERTAIN]
        name = f"imageFiles/{self.path.stem}/image_{frame:05d}.jpg"
        body = recorded_body(self.arrays["betas"][self.person], text_of(self.arrays["genders"][self.person]))
        return pictured(self.folder, [name], (x.min(), y.min(), x.max(), y.max()), pose, frame) | body


def _parts(folder: Path) -> list[_Person]:
    parts = []
    for path in SEQUENCES.found(folder):
        arrays = open_arrays(
            path,
            {
                "poses": [("P", "N", 72)],
                "campose_valid": [("P", "N")],
                "poses2d": [("P", "N", 3, 18)],
                "cam_poses": [("N", 4, 4)],
                "betas": [("P", NUM_BETAS)],
                "genders": [("P",)],
            },
        )
        split = SPLITS.get(path.parent.name, TRAIN)
        for person in range(len(arrays["poses"])):
            seen = (arrays["poses2d"][person][:, 2] > CERTAIN).sum(axis=1) > SEEN
            frames = np.flatnonzero(seen & (arrays["campose_valid"][person] != 0))
            parts.append(_Person(folder, path, arrays, person, frames, np.full(len(frames), split, np.int8)))
    return parts


READER = Reader(
    title="3DPW (von Marcard et al., ECCV 2018)",
    home="https://virtualhumans.mpi-inf.mpg.de/3DPW",
    licence="its own, for non-commercial research",
    gives="a photograph, a box around one person, and their pose in the photograph's frame",
    holds=(SEQUENCES, Needed("imageFiles/*", "frames of a sequence", required=False)),
    parts=_parts,
    pickles=PICKLES,
    unconfirmed=("whether img_frame_ids is ever other than 0, 1, 2 ...; SPIN and VIBE number the pictures so",),
)
