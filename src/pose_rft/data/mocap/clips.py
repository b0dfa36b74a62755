"""Motion capture: clips of real poses from .npz files, their split into training and test, everyday words for them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import roma
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.pose_files import Up, read_poses
from pose_rft.data.mocap.recordings import find_recordings
from pose_rft.data.splits import is_held_out, subject_of
from pose_rft.errors import UserError
from pose_rft.posescript.checks import measure
from pose_rft.storage import package_table

EXERCISE = re.compile(r"^uiprmd_s\d\d_(?P<exercise>m\d\d)_.*")  # UI-PRMD: ten exercises, ten subjects, many times each


@dataclass(frozen=True)
class MocapClips:
    """Poses of many clips.

    Attributes:
        pose: (N, 22, 3) float32 axis-angle, radians, y-up.
        sequence: (N,) name of the clip that each pose is from.
        description: (N,) what the recording's makers say happens in that clip; "" where they say nothing.
    """

    pose: np.ndarray
    sequence: np.ndarray
    description: np.ndarray

    def __len__(self) -> int:
        return len(self.pose)

    @property
    def names(self) -> list[str]:
        """The clips, in the order of the file."""
        return list(dict.fromkeys(self.sequence.tolist()))

    def where(self, mask: np.ndarray) -> "MocapClips":
        """The poses for which `mask` (N,) is true."""
        return MocapClips(self.pose[mask], self.sequence[mask], self.description[mask])


def read_mocap(path: str | Path, up: Up | None = None) -> MocapClips:
    """Read pose files with ``sequence`` (N,), the clip of each pose, and, if there is one, ``description`` (N,).

    Args:
        path: a file, a folder or a pattern, see ``find_recordings``.
        up: the axis that points up in the files; see ``read_poses``.

    Raises:
        UserError: no such file, unreadable poses, or no ``sequence``.
    """
    return concatenated([_read_file(file, up) for file in find_recordings(path)])


def _read_file(path: Path, up: Up | None) -> MocapClips:
    found = read_poses(path, up)
    if found.sequence is None:
        raise UserError(f"{path}: no readable 'sequence' (N,), the name of one recording for each pose; add it")
    description = np.full(len(found.pose), "") if found.description is None else found.description
    return MocapClips(found.pose, found.sequence, description)


def train_test_split(clips: MocapClips) -> tuple[MocapClips, MocapClips]:
    """Split by whole clips, since neighbouring frames are near-duplicates; the rule depends on names alone.

    Returns:
        training clips, held-out clips; either may be empty.
    """
    test = np.isin(clips.sequence, [name for name in clips.names if is_held_out(name)])
    return clips.where(~test), clips.where(test)


def drawing_weights(clips: MocapClips) -> np.ndarray:
    """How often each pose is to be drawn, (N,) summing to 1: a clip counts by the square root of its length.

    So neither long clips nor the many short ones decide alone. An exercise that many subjects repeat (``EXERCISE``)
    counts as one clip of the length that a subject's repetitions have on average.
    """
    motions = [EXERCISE.sub(r"\g<exercise>", name) for name in clips.names]
    subjects = Counter(motion for motion, _ in {(m, subject_of(n)) for m, n in zip(motions, clips.names, strict=True)})
    motion_of = dict(zip(clips.names, motions, strict=True))
    motion = [motion_of[name] for name in clips.sequence.tolist()]
    frames = Counter(motion)
    weights = np.array([1 / np.sqrt(frames[name] * subjects[name]) for name in motion])
    return weights / weights.sum()


def facing_forward(poses: Tensor) -> Tensor:
    """Poses (N, 22, 3) axis-angle, turned around the vertical until the hips face +z; the turn is ``turn()``'s.

    A text rarely says where a body faces, and a recording's direction is an accident of the studio.
    """
    back = torch.deg2rad(-measure("turn()", load_body().joints(poses)))
    upright = torch.stack([0 * back, back, 0 * back], dim=-1)
    turned = poses.clone()
    turned[:, 0] = roma.rotvec_composition([upright, poses[:, 0]])
    return turned


@cache
def _everyday_words() -> list[tuple[re.Pattern[str], tuple[str, ...]]]:
    table = package_table(__package__, "everyday_words.yaml")
    return [(re.compile(entry["pattern"]), tuple(entry["phrases"])) for entry in table]


def everyday_phrases(description: str) -> tuple[str, ...]:
    """What people would type for a clip; empty where everyday_words.yaml has nothing for its description."""
    return next((phrases for pattern, phrases in _everyday_words() if pattern.search(description)), ())


def concatenated(parts: Sequence[MocapClips]) -> MocapClips:
    """All poses of several readers."""
    return MocapClips(
        np.concatenate([part.pose for part in parts]),
        np.concatenate([part.sequence for part in parts]),
        np.concatenate([part.description for part in parts]),
    )
