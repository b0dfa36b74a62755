"""Motion capture: clips of real poses from .npz files, their split into training and test, everyday words for them."""

import re
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
from pose_rft.data.splits import is_held_out
from pose_rft.errors import UserError
from pose_rft.posescript.checks import measure
from pose_rft.storage import package_table


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
    """Read a pose file with ``sequence`` (N,), the clip of each pose, and, if there is one, ``description`` (N,).

    Args:
        path: of the file, or its name in the folder ``POSE_RFT_MOCAP``.
        up: the axis that points up in it; see ``read_poses``.

    Raises:
        UserError: no such file, unreadable poses, or no ``sequence``.
    """
    path = find_recordings(path)
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
