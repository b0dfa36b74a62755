"""AMASS (Mahmood et al., ICCV 2019): a directory of recordings as SMPL-H or SMPL-X parameters."""

import logging
from collections import Counter
from pathlib import Path

import numpy as np

from pose_rft.body.pose_files import Up, read_pose_file
from pose_rft.data.mocap.clips import MocapClips, concatenated
from pose_rft.errors import UserError

logger = logging.getLogger(__name__)

NOT_MOTION = (
    "shape.npz",
    "neutral_stagei.npz",
    "male_stagei.npz",
    "female_stagei.npz",
)  # body shapes beside the recordings


def read_amass(directory: str | Path, fps: float = 10.0, up: Up | None = None) -> MocapClips:
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
    files = [file for file in sorted(directory.rglob("*.npz")) if file.name not in NOT_MOTION]
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
