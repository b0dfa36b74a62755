"""EMDB (Kaufmann et al., ICCV 2023): people outdoors, measured with sensors on the body.

Keys of a sequence's pickle, by eth-ait/emdb (dataset.md lists them with their shapes, evaluation_loaders.py and
visualize.py read them): ``smpl`` with ``poses_root`` (N, 3) and ``poses_body`` (N, 69), axis-angle in radians, in a
world, and ``betas`` (10,); ``gender``, "female", "male" or "neutral"; ``emdb1``, whether the sequence is of EMDB 1, on
which the paper measures poses; ``camera`` with ``extrinsics`` (N, 4, 4), from that world to the camera, whose axes are
OpenCV's (visualize.py makes an OpenCVCamera of them); ``bboxes`` with ``bboxes`` (N, 4), left, top, right, bottom in
pixels; ``good_frames_mask`` (N,), whether somebody is seen. Evaluations multiply the root by
``extrinsics[:, :3, :3]`` to have it in the camera's frame, as a second source does that public code for TRAM's
evaluation on EMDB follows. The pictures are ``P0/SEQUENCE/images/00000.jpg``, numbered from 0.

The files are pickles and are never opened here: a printed command makes an npz of each, with these arrays.
Sequences of EMDB 1 are test, all others dev, as nothing of EMDB is meant for training.
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
    Needed,
    Pickles,
    Reader,
    body_joints,
    pictured,
    recorded_body,
    seen_pose,
)

SEQUENCES = Needed("P*/*/*_data.npz", "sequences, converted")
PICKLES = Pickles(
    "P*/*/*_data.pkl",
    "import pickle, glob, numpy as n; "
    "[n.savez(f[:-3] + 'npz', poses_root=d['smpl']['poses_root'], poses_body=d['smpl']['poses_body'], "
    "extrinsics=d['camera']['extrinsics'], bboxes=d['bboxes']['bboxes'], good_frames_mask=d['good_frames_mask'], "
    "betas=d['smpl']['betas'], gender=[d['gender']], emdb1=[d['emdb1']]) "
    "for f in glob.glob('{folder}/P*/*/*_data.pkl') for d in [pickle.load(open(f, 'rb'))]]",
)


@dataclass(frozen=True)
class _Sequence:
    folder: Path
    path: Path
    arrays: Mapping[str, StoredArray]
    frames: np.ndarray
    splits: np.ndarray

    def record(self, row: int) -> Mapping[str, Any]:
        frame = int(self.frames[row])
        world = body_joints(np.concatenate([self.arrays["poses_root"][frame], self.arrays["poses_body"][frame]]))
        pose = seen_pose(world, self.arrays["extrinsics"][frame][:3, :3])
        name = (self.path.parent / "images" / f"{frame:05d}.jpg").relative_to(self.folder).as_posix()
        body = recorded_body(self.arrays["betas"][:], text_of(self.arrays["gender"][0]))
        return pictured(self.folder, [name], tuple(self.arrays["bboxes"][frame].tolist()), pose, frame) | body


def _parts(folder: Path) -> list[_Sequence]:
    parts = []
    for path in SEQUENCES.found(folder):
        arrays = open_arrays(
            path,
            {
                "poses_root": [("N", 3)],
                "poses_body": [("N", 69)],
                "extrinsics": [("N", 4, 4)],
                "bboxes": [("N", 4)],
                "good_frames_mask": [("N",)],
                "betas": [(NUM_BETAS,)],
                "gender": [(1,)],
                "emdb1": [(1,)],
            },
        )
        left, top, right, bottom = arrays["bboxes"][:].T
        frames = np.flatnonzero((arrays["good_frames_mask"][:] != 0) & (right > left) & (bottom > top))
        split = TEST if arrays["emdb1"].item() else DEV
        parts.append(_Sequence(folder, path, arrays, frames, np.full(len(frames), split, np.int8)))
    return parts


READER = Reader(
    title="EMDB (Kaufmann et al., ICCV 2023)",
    home="https://eth-ait.github.io/emdb",
    licence="its own, for non-commercial research, after registration",
    gives="a photograph, a box around the person, and their pose in the photograph's frame; EMDB 1 is test, "
    "the rest dev",
    holds=(SEQUENCES, Needed("P*/*/images", "frames of a sequence", required=False)),
    parts=_parts,
    pickles=PICKLES,
)
