"""AMASS (Mahmood et al., ICCV 2019): a directory of recordings as SMPL-H or SMPL-X parameters.

Keys, units and frames, by two sources that read the files (naver/posescript, src/text2pose/utils.py; mkocabas/VIBE,
lib/data_utils/amass_utils.py): ``poses`` (N, 156) axis-angle in radians of SMPL-H's 52 joints, pelvis first, of which
0 to 21 are the body; ``mocap_framerate`` in frames a second; the world is z-up, as naver/posescript's normalisation
(the z angle is the heading) and the turn of -90 degrees about x in yfeng95/PoseGPT, utils/posescript_dataset.py, say.
SMPL-X files have ``poses`` (N, 165) and ``mocap_frame_rate`` (pixelite1201/BEDLAM, data_processing/df_full_body.py,
reads the 165 numbers in that order).
"""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from pose_rft.body.pose_files import FAMILY_JOINTS, Up, read_pose_file
from pose_rft.data.mocap.clips import MocapClips, concatenated
from pose_rft.data.readers.arrays import Shape, StoredArray, open_arrays
from pose_rft.data.readers.published import TEST, TRAIN, Z_UP, Needed, Reader, body_joints, described, opened
from pose_rft.data.rendering.camera import in_camera_frame
from pose_rft.data.splits import is_held_out
from pose_rft.errors import UserError

logger = logging.getLogger(__name__)

NOT_MOTION = (
    "shape.npz",
    "neutral_stagei.npz",
    "male_stagei.npz",
    "female_stagei.npz",
)  # body shapes beside the recordings
RATE = 10.0  # poses kept of each second, because neighbouring frames are nearly the same
POSES: list[Shape] = [("N", 3 * joints) for joints in FAMILY_JOINTS.values()]
# Folders of AMASS were renamed in 2020; what was made of it before has the old names (yfeng95/PoseGPT,
# utils/posescript_dataset.py, lists them).
RENAMED = {
    "BioMotionLab_NTroje": "BMLrub",
    "DFaust_67": "DFaust",
    "Eyes_Japan_Dataset": "EyesJapanDataset",
    "MPI_HDM05": "HDM05",
    "MPI_Limits": "PosePrior",
    "MPI_mosh": "MoSh",
    "SSM_synced": "SSM",
    "Transitions_mocap": "Transitions",
}


def read_amass(directory: str | Path, fps: float = RATE, up: Up | None = None) -> MocapClips:
    """Read all recordings under a directory.

    Args:
        directory: searched with its sub-directories for .npz files, ``poses`` (N, 156) or
            what else ``read_pose_file`` reads; hands, face and translation are left out.
        fps: poses kept of each second, because neighbouring frames are nearly the same.
        up: the axis that points up in the files; see ``read_pose_file``.

    Returns:
        Clips named by their path below the directory without ".npz"; they have no descriptions.

    Raises:
        UserError: no such directory, nothing in it, or a file that is unreadable or has the wrong shape.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(f"{directory}: no such directory; give the one that AMASS's .npz files were unpacked to")
    if not fps > 0:
        raise UserError(f"fps is {fps}; it must be positive")
    files = _recordings(directory)
    if not files:
        raise UserError(f"{directory}: holds no .npz recordings")
    clips, assumed = [], Counter[str]()
    for file in files:
        recording = read_pose_file(file, up)
        assumed.update(recording.assumed)
        step = 1.0 if recording.fps is None else max(1.0, recording.fps / fps)
        rows = np.arange(0, len(recording.pose), step).astype(int)
        name = file.relative_to(directory).with_suffix("").as_posix()
        clips.append(MocapClips(recording.pose[rows], np.full(len(rows), name), np.full(len(rows), "")))
    for what, count in assumed.items():
        logger.warning("%s: in %d of %d files %s", directory, count, len(files), what)
    return concatenated(clips)


def _recordings(directory: Path) -> list[Path]:
    return [file for file in sorted(directory.rglob("*.npz")) if file.name not in NOT_MOTION]


@lru_cache(maxsize=1024)
def stored_poses(path: Path) -> StoredArray:
    """The poses (N, 156) or (N, 165) of a file, z-up.

    Raises:
        UserError: it has none of that shape, or is no archive.
    """
    return open_arrays(path, {"poses": POSES})["poses"]


@dataclass(frozen=True)
class AmassFolder:
    """AMASS as somebody has unpacked it.

    Attributes:
        folder: with the folders of its data sets.
    """

    folder: Path

    def path(self, name: str) -> Path:
        """The file that a name such as ``BMLrub/rub001/0000_jump_poses.npz`` means, under its new name or its old.

        Raises:
            UserError: it is not there.
        """
        first, _, rest = name.partition("/")
        others = [new for old, new in RENAMED.items() if first == old] + [
            o for o, new in RENAMED.items() if first == new
        ]
        for each in (first, *others):
            path = self.folder / each / rest
            if path.is_file():
                return path
        raise UserError(f"pose: {self.folder / name}: no such file; unpack {first} of AMASS (SMPL+H G) there")

    def pose(self, name: str, frame: int) -> np.ndarray:
        """(22, 3) of a frame, z-up.

        Raises:
            UserError: no such file, a damaged one, or no such frame.
        """
        poses = stored_poses(self.path(name))
        if not 0 <= frame < len(poses):
            raise UserError(f"pose: {name} has {len(poses)} frames; there is no frame {frame}")
        return body_joints(poses[frame])


@dataclass(frozen=True)
class _Recording:
    """Frames of one file, thinned."""

    path: Path
    step: float
    splits: np.ndarray

    def record(self, row: int) -> Mapping[str, Any]:
        pose = body_joints(stored_poses(self.path)[int(row * self.step)])
        return described(in_camera_frame(Z_UP, pose), row)


def _recording(folder: Path, path: Path) -> _Recording:
    found = open_arrays(path, {"poses": POSES}, {"mocap_framerate": [()], "mocap_frame_rate": [()]})
    rates = [array.item() for name, array in found.items() if name != "poses"]
    step = max(1.0, rates[0] / RATE) if rates else 1.0
    rows = len(np.arange(0, len(found["poses"]), step))
    name = path.relative_to(folder).with_suffix("").as_posix()
    return _Recording(path, step, np.full(rows, TEST if is_held_out(name) else TRAIN, np.int8))


def _parts(folder: Path) -> list[_Recording]:
    return opened(_recordings(folder), partial(_recording, folder))


READER = Reader(
    title="AMASS (Mahmood et al., ICCV 2019)",
    home="https://amass.is.tue.mpg.de",
    licence="its own, for non-commercial research, after registration",
    gives="ten poses of each second, described by rule, with checks; one recording in four is test, by its name",
    holds=(Needed("**/*.npz", "recordings in SMPL+H G or SMPL-X G"),),
    parts=_parts,
)
