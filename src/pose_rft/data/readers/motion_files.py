"""What readers of motion in text files have in common: frames, thinned, described by rule or kept as clips."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pose_rft.body.retargeting import Motion, body_poses
from pose_rft.data.mocap.clips import MocapClips, concatenated
from pose_rft.data.readers.amass import RATE
from pose_rft.data.readers.published import TEST, TRAIN, Reader, described, opened
from pose_rft.data.splits import is_held_out
from pose_rft.errors import UserError
from pose_rft.storage import atomic_file

KEPT = 4  # files whose poses stay in memory
CMU_CLIP = re.compile(r"(\d{1,3})_(\d+)")


@dataclass(frozen=True)
class MotionFile:
    """Rows of one file: about ten poses of each second.

    Attributes:
        path: the file.
        first: frame of the first row.
        step: frames from one row to the next.
        splits: (N,) as for ``Part``.
        read: reads a file; a function of a module.
    """

    path: Path
    first: int
    step: float
    splits: np.ndarray
    read: Callable[[Path], Motion]

    @staticmethod
    def open(path: Path, frames: int, fps: float, read: Callable[[Path], Motion], first: int = 0) -> "MotionFile":
        """Of a file with so many frames at so many a second."""
        step = max(1.0, fps / RATE)
        split = TEST if is_held_out(clip_name(path)) else TRAIN
        return MotionFile(path, first, step, np.full(len(np.arange(first, frames, step)), split, np.int8), read)

    def record(self, row: int) -> Mapping[str, Any]:
        return described(_poses(self.path, self.read)[self.first + int(row * self.step)], row)

    def clip(self) -> MocapClips:
        """All rows as a clip for the built-in mixture, without words; y-up."""
        rows = self.first + (np.arange(len(self.splits)) * self.step).astype(int)
        poses = _poses(self.path, self.read)[rows]
        return MocapClips(poses, np.full(len(rows), clip_name(self.path)), np.full(len(rows), ""))


@lru_cache(maxsize=KEPT)
def _poses(path: Path, read: Callable[[Path], Motion]) -> np.ndarray:
    try:
        return body_poses(read(path))
    except UserError as error:
        raise UserError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from error


def clip_name(path: Path) -> str:
    """What a recording is called, for the split: CMU's ``7_01`` and ``07_01`` are ``007_01``, as in ``splits.py``."""
    found = CMU_CLIP.fullmatch(path.stem)
    return f"{int(found[1]):03d}_{found[2]}" if found else path.stem


def write_clips(reader: Reader, folder: Path, out: Path) -> MocapClips:
    """Make a file of recordings for ``data.mocap`` of a folder with a reader's motion.

    Returns:
        What was written.

    Raises:
        UserError: the reader's are no text files of motion, one is damaged, or the place cannot be written to.
    """
    parts = reader.open(folder).parts
    if not all(isinstance(part, MotionFile) for part in parts):
        raise UserError(f"{reader.title}: is no motion in text files, as cmu and bvh are; name it in data.sources")
    clips = concatenated(opened(parts, lambda part: part.clip()))
    with atomic_file(out) as part, part.open("wb") as file:
        np.savez(file, pose=clips.pose, sequence=clips.sequence, description=clips.description)
    return clips
