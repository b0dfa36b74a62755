"""The benchmark foreign-captions: recorded poses described by hand, in wordings that no rule of this project makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from pose_rft.body.pose_files import Up
from pose_rft.data.everyday import SPLITS, Split
from pose_rft.data.mocap.clips import MocapClips, facing_forward, read_mocap
from pose_rft.data.mocap.recordings import FOLDER, find_recordings
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.storage import package_table

RECORDINGS = "*_poses.npz"  # the files that the described poses are in, here or in the folder of recordings


@dataclass(frozen=True, slots=True)
class Description:
    """What somebody wrote who saw pictures of a pose.

    Attributes:
        text: true of the pose, and rarely complete.
        frame_of: whose left and right it means: the body's, or those of a viewer whom the body faces.
        length: a phrase or two, or several sentences.
    """

    text: str
    frame_of: Literal["body", "viewer"]
    length: Literal["short", "long"]


@dataclass(frozen=True, slots=True)
class DescribedPose:
    """A pose of a recording that training never sees, named and not stored.

    Attributes:
        file: the name of the file of recordings.
        sequence: the recording.
        frame: which of that recording's poses in the file, counted from 0.
        split: "dev" or "test"; all poses of a recording are in one.
        captions: at least two.
    """

    file: str
    sequence: str
    frame: int
    split: Literal["dev", "test"]
    captions: tuple[Description, ...]


@cache
def described_poses() -> tuple[DescribedPose, ...]:
    """All entries of ``foreign_captions.yaml``, in its order."""
    return tuple(
        DescribedPose(**{**entry, "captions": tuple(Description(**caption) for caption in entry["captions"])})
        for entry in package_table(__package__, "foreign_captions.yaml")
    )


def foreign_captions(poses: str | Path = RECORDINGS, split: Split = "test", up: Up | None = None) -> list[Sample]:
    """The descriptions with the poses that they describe, read from the recordings' files and turned to face +z.

    Args:
        poses: the recordings: a folder or a pattern, see ``find_recordings``.
        split: "dev" (a third, for choosing settings), "test" (two thirds, what is reported) or "all".
        up: the axis that points up in the files; see ``read_poses``.

    Returns:
        Samples with ``prompt``, ``pose`` and ``category`` ("body, short"); there are no checks.

    Raises:
        UserError: an unknown split, recordings that are missing or cannot be read, or that lack a described pose.
    """
    if split not in SPLITS:
        raise UserError(f"no split is called {split!r}; there are: {', '.join(SPLITS)}")
    asked = [entry for entry in described_poses() if split in ("all", entry.split)]
    clips = _read(poses, asked, up)
    found = facing_forward(torch.from_numpy(np.stack([_pose(clips[entry.file], entry) for entry in asked])))
    return [
        Sample(
            prompt=caption.text,
            answer="",
            pose=pose.numpy(),
            source=f"{entry.file}: {entry.sequence}",
            category=f"{caption.frame_of}, {caption.length}",
        )
        for entry, pose in zip(asked, found, strict=True)
        for caption in entry.captions
    ]


def _read(poses: str | Path, asked: Sequence[DescribedPose], up: Up | None) -> dict[str, MocapClips]:
    """The recordings of each file that holds a described pose."""
    files = {path.name: path for path in find_recordings(poses)}
    needed = sorted({entry.file for entry in asked})
    missing = [name for name in needed if name not in files]
    if missing:
        raise UserError(
            f"{poses}: foreign-captions describes poses of {', '.join(missing)}, which are not there; "
            f"give the folder with all recordings, or set {FOLDER} to it"
        )
    return {name: read_mocap(files[name], up) for name in needed}


def _pose(clips: MocapClips, entry: DescribedPose) -> np.ndarray:
    """(22, 3) axis-angle."""
    rows = np.flatnonzero(clips.sequence == entry.sequence)
    if entry.frame >= len(rows):
        raise UserError(
            f"{entry.file}: has {len(rows)} poses of {entry.sequence}, and foreign-captions describes the one of "
            f"number {entry.frame}, counted from 0; give that file whole"
        )
    pose: np.ndarray = clips.pose[rows[entry.frame]]
    return pose
