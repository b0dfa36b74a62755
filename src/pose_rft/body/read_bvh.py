"""BVH motion files, read: any hierarchy and order of channels.

By the format's description (M. Meredith and S. Maddock, "Motion capture file formats explained", 2001) and as Blender
and bvhio read it: a joint is turned by its rotation channels in the order in which they stand, in degrees, each in the
frame that the ones before have made; OFFSET is from the parent's joint, in any unit.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import roma
import torch

from pose_rft.body.acclaim import AGAIN, read_text
from pose_rft.body.retargeting import Motion
from pose_rft.errors import UserError

CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")


@dataclass(frozen=True)
class _Joint:
    name: str
    parent: int
    offset: np.ndarray
    channels: tuple[str, ...]


def bvh_frames(path: Path) -> tuple[int, float]:
    """How many frames a file says that it has, and how many a second.

    Raises:
        UserError: it does not say.
    """
    _, count, time, _ = _parted(path)
    return count, 1.0 / time


def read_bvh(path: Path) -> Motion:
    """Read a motion.

    Raises:
        UserError: no BVH, a damaged hierarchy, or another number of values than it says; the message names what.
    """
    hierarchy, count, time, numbers = _parted(path)
    joints = _joints(path, hierarchy)
    width = sum(len(joint.channels) for joint in joints)
    try:
        values = np.array(numbers.split(), float)
    except ValueError as error:
        raise UserError(f"{path}: MOTION: {error}; {AGAIN}") from None
    if values.size != count * width:
        raise UserError(f"{path}: MOTION has {values.size} numbers, not {count} frames of {width}; {AGAIN}")
    table, column = values.reshape(count, width), 0
    rotations, rest = np.empty((count, len(joints), 3, 3)), np.empty((len(joints), 3))
    for number, joint in enumerate(joints):
        own = np.broadcast_to(np.eye(3), (count, 3, 3))
        for channel in joint.channels:
            if channel.endswith("rotation"):
                turn = roma.euler_to_rotmat(channel[0], torch.from_numpy(table[:, column, None]), degrees=True)
                own = own @ turn.numpy()
            column += 1
        above = joint.parent >= 0
        rotations[:, number] = rotations[:, joint.parent] @ own if above else own
        rest[number] = rest[joint.parent] + joint.offset if above else 0.0
    return Motion(tuple(joint.name for joint in joints), rest, rotations, 1.0 / time)


def _parted(path: Path) -> tuple[str, int, float, str]:
    """Hierarchy, number of frames, seconds of each, and the numbers."""
    hierarchy, mark, motion = read_text(path).partition("MOTION")
    if not hierarchy.lstrip().startswith("HIERARCHY") or not mark:
        raise UserError(f"{path}: is no BVH: it has no HIERARCHY followed by MOTION; {AGAIN}")
    words = motion.split(None, 6)
    try:
        if [*words[:1], *words[2:4]] != ["Frames:", "Frame", "Time:"]:
            raise ValueError
        count, time = int(words[1]), float(words[4])
        if count < 1 or not time > 0:
            raise ValueError
    except (IndexError, ValueError):
        raise UserError(f"{path}: MOTION does not begin with 'Frames: N' and 'Frame Time: S'; {AGAIN}") from None
    return hierarchy, count, time, motion.split(None, 5)[5] if len(words) > 5 else ""


def _joints(path: Path, hierarchy: str) -> list[_Joint]:
    """The joints in the order of their channels."""
    words = iter(hierarchy.split()[1:])
    joints: list[_Joint] = []
    open_: list[int] = []
    name, offset = "", np.zeros(3)
    try:
        for word in words:
            if word in ("ROOT", "JOINT"):
                name = next(words)
            elif word == "End":
                next(words)
            elif word == "OFFSET":
                offset = np.array([float(next(words)) for _ in range(3)])
            elif word == "CHANNELS":
                channels = tuple(next(words) for _ in range(int(next(words))))
                if not set(channels) <= set(CHANNELS):
                    raise ValueError(f"unknown channels {' '.join(channels)}")
                joints.append(_Joint(name, open_[-2] if len(open_) > 1 else -1, offset, channels))
                open_[-1] = len(joints) - 1
            elif word == "{":
                open_.append(-1)
            elif word == "}":
                open_.pop()
            else:
                raise ValueError(f"{word!r} means nothing there")
    except (StopIteration, IndexError, ValueError) as error:
        raise UserError(f"{path}: HIERARCHY: joint {name or '?'}: {error or 'ends early'}; {AGAIN}") from None
    if not joints or open_:
        raise UserError(f"{path}: HIERARCHY: joint {name or '?'} is not closed; {AGAIN}")
    return joints
