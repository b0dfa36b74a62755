"""AIST++ (Li et al., ICCV 2021): dances, fitted to videos from nine sides.

Keys of a motion's pickle, by google/aistplusplus_api (aist_plusplus/loader.py, load_motion): ``smpl_poses`` (N, 24,
3) or (N, 72), axis-angle in radians of SMPL's 24 joints, pelvis first; ``smpl_scaling`` and ``smpl_trans`` are not
needed for a pose. Frames come at 60 a second (load_frames, fps=60). The world is y-up, as public code that turns
these motions into z-up worlds says ("Frame from SMPL (Y-up)"); the owners' own does not say it. ``ignore_list.txt``
names motions that are badly fitted, ``splits/crossmodal_{train,val,test}.txt`` the owners' splits, a name a line.

The files are pickles and are never opened here: a printed command makes an npz of each, with ``smpl_poses``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_rft.data.readers.amass import RATE
from pose_rft.data.readers.arrays import StoredArray, open_arrays
from pose_rft.data.readers.pairs import NO_SPLIT
from pose_rft.data.readers.published import DEV, TEST, TRAIN, Needed, Pickles, Reader, body_joints, described
from pose_rft.errors import UserError, reason_of

FPS = 60.0
SPLITS = {"train": TRAIN, "val": DEV, "test": TEST}
MOTIONS = Needed("motions/*.npz", "motions, converted")
PICKLES = Pickles(
    "motions/*.pkl",
    "import pickle, glob, numpy as n; [n.savez(f[:-3] + 'npz', smpl_poses=n.reshape(d['smpl_poses'], (-1, 72))) "
    "for f in glob.glob('{folder}/motions/*.pkl') for d in [pickle.load(open(f, 'rb'))]]",
)


@dataclass(frozen=True)
class _Dance:
    path: Path
    poses: StoredArray
    splits: np.ndarray

    def record(self, row: int) -> Mapping[str, Any]:
        return described(body_joints(self.poses[int(row * FPS / RATE)]), row)


def _names(path: Path) -> list[str]:
    """The lines of a list; none if it is not there."""
    try:
        return path.read_text(encoding="ascii").split() if path.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is no list of names ({reason_of(error)[:60]}); download it again") from error


def _parts(folder: Path) -> list[_Dance]:
    ignored = set(_names(folder / "ignore_list.txt"))
    split_of = {
        name: code for word, code in SPLITS.items() for name in _names(folder / "splits" / f"crossmodal_{word}.txt")
    }
    parts = []
    for path in MOTIONS.found(folder):
        if path.stem not in ignored:
            poses = open_arrays(path, {"smpl_poses": [("N", 72)]})["smpl_poses"]
            rows = len(np.arange(0, len(poses), FPS / RATE))
            parts.append(_Dance(path, poses, np.full(rows, split_of.get(path.stem, NO_SPLIT), np.int8)))
    return parts


READER = Reader(
    title="AIST++ (Li et al., ICCV 2021)",
    home="https://google.github.io/aistplusplus_dataset",
    licence="CC BY 4.0 for the annotations; the videos, which are not needed, have their own",
    gives="ten poses of each second, described by rule, with checks",
    holds=(
        MOTIONS,
        Needed("splits/crossmodal_*.txt", "the owners' splits", required=False),
        Needed("ignore_list.txt", "motions that are badly fitted", required=False),
    ),
    parts=_parts,
    pickles=PICKLES,
    unconfirmed=("that y points up is what others' code says, not the owners'",),
)
