"""Poses to pairs for training: captions that are true of them, with the checks that each states."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pose_rft.body import load_body
from pose_rft.body.pose_files import PoseFile, Up, read_poses
from pose_rft.data.mocap.clips import facing_forward
from pose_rft.data.mocap.recordings import find_recordings
from pose_rft.data.splits import is_held_out
from pose_rft.errors import UserError
from pose_rft.posescript.captions import CHUNK, caption, write_texts

DECIMALS = 4  # of a pose's numbers: a twentieth of a millimetre at the hand


@dataclass(frozen=True)
class CaptionedPair:
    """A line of a file of pairs (docs/your_data.md)."""

    prompt: str
    pose: list[list[float]]
    checks: tuple[str, ...]
    split: str


def write_captioned_pairs(
    poses: str | Path, out: str | Path, captions: int = 3, seed: int = 0, up: Up | None = None
) -> int:
    """Write a file of pairs: captions by rule for every pose, which is turned to face +z, as texts rarely say where to.

    Recordings whose clips are named are ``train`` or ``test`` by the name (``is_held_out``), for neighbouring frames
    are nearly the same; other poses are ``train``.

    Args:
        poses: a pose file, a folder of them or a pattern; see ``find_recordings``.
        out: the file, which appears complete or not at all.
        captions: for each pose.
        seed: another seed gives other captions.
        up: as for ``read_poses``.

    Returns:
        The number of lines.

    Raises:
        UserError: unreadable poses, a number of captions below one, or a place that cannot be written.
    """
    if captions < 1:
        raise UserError(f"captions must be at least 1, not {captions}")
    files = [read_poses(file, up) for file in find_recordings(poses)]
    pose = facing_forward(torch.from_numpy(np.concatenate([file.pose for file in files])))
    splits = [split for file in files for split in _splits_of(file)]

    def say_once(rows: slice, seed: int) -> Sequence[CaptionedPair]:
        said = caption(load_body().points(pose[rows]), seed)
        numbers = pose[rows].double().numpy().round(DECIMALS).tolist()
        return [
            CaptionedPair(each.text, own, each.checks, split)
            for each, own, split in zip(said, numbers, splits[rows], strict=True)
        ]

    return write_texts(out, say_once, len(pose), CHUNK, captions, seed)


def _splits_of(file: PoseFile) -> list[str]:
    if file.sequence is None:
        return ["train"] * len(file.pose)
    return ["test" if is_held_out(name) else "train" for name in file.sequence.tolist()]
