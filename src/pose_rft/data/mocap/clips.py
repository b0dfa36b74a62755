"""Motion capture: clips of real poses from .npz files, their split into training and test, everyday words for them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
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


# CMU's words -> what people would type, as phrases that begin with a verb in -ing. The first words that match count
# for the clip as a whole, because a frame of a long clip shows any moment of it.
EVERYDAY: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"walk on uneven", ("walking on uneven ground", "walking over rough terrain", "walking on uneven terrain",
                         "hiking over rocks", "stepping carefully over uneven ground")),
    (r"slow walk", ("walking slowly", "taking a slow walk", "strolling", "ambling along")),
    (r"walk", ("walking", "walking forward", "taking a walk", "going for a walk", "walking along", "strolling",
               "walking down the street", "walking normally", "taking a step")),
    (r"run|jog", ("running", "jogging", "going for a run", "running forward", "running fast")),
    (r"jump, balance", ("jumping and keeping balance", "jumping", "jumping and landing")),
    (r"punch|strike", ("throwing punches", "punching and striking", "shadow-boxing", "fighting an opponent")),
    (r"swordplay", ("fighting with a sword", "swinging a sword", "sword-fighting", "practicing with a sword")),
    (r"wash self", ("washing", "taking a shower", "washing the body", "showering")),
    (r"forward jumps", ("jumping forward", "hopping forward", "jumping ahead over and over")),
    (r"climb, .*hang", ("climbing on a playground", "climbing and hanging from a bar", "playing on the monkey bars")),
    (r"climb, .*dangle", ("climbing and sitting on a playground", "playing on a climbing frame")),
    (r"climb", ("climbing", "climbing on a playground", "climbing on a jungle gym", "playing on a climbing frame")),
    (r"dance.*pirouette", ("dancing ballet", "doing a pirouette", "performing ballet turns", "dancing")),
    (r"dance.*(jete|glissade)", ("dancing ballet", "doing ballet leaps", "performing a ballet", "dancing on a stage")),
    (r"dance", ("dancing", "dancing ballet", "performing a ballet", "practicing ballet")),
    (r"crossover dribble, shoot", ("playing basketball", "dribbling and shooting a basketball")),
    (r"dribble", ("dribbling a basketball", "playing basketball", "bouncing a ball", "dribbling a ball")),
)  # fmt: skip


def everyday_phrases(description: str) -> tuple[str, ...]:
    """What people would type for a clip; empty where the table has no words for its description."""
    return next((phrases for pattern, phrases in EVERYDAY if re.search(pattern, description)), ())


def concatenated(parts: Sequence[MocapClips]) -> MocapClips:
    """All poses of several readers."""
    return MocapClips(
        np.concatenate([part.pose for part in parts]),
        np.concatenate([part.sequence for part in parts]),
        np.concatenate([part.description for part in parts]),
    )
