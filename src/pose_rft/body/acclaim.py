"""ASF and AMC, the text files of a skeleton and of its motion that CMU's recordings are published in.

By the format's own text (M. Schafer, "Acclaim Skeleton File Definition V1.10") and CMU's description for its students
(www.cs.cmu.edu/~kiranb/animation/StartupCodeDescription.htm): the world is y-up; a bone has a ``direction`` in the
world and a ``length``, and begins where its parent ends; its ``axis`` X Y Z turns the frame in which the motion's
angles are, in degrees, about x first, then y, then z; a frame of the motion is a number and a line for each bone that
moves, with the angles that its ``dof`` lists. CMU's lengths are inches times 0.45; only directions matter here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import roma
import torch

from pose_rft.body.retargeting import Motion
from pose_rft.errors import UserError, reason_of

ROOT = "root"
TURNS = ("rx", "ry", "rz")
FRAME = re.compile(r"^\d+$", re.M)
AGAIN = "download it again"


@dataclass(frozen=True)
class _Bone:
    name: str
    parent: str
    vector: np.ndarray  # (3,) from where it begins to where it ends
    axis: np.ndarray  # (3, 3)
    dof: tuple[str, ...]


@dataclass(frozen=True)
class AcclaimSkeleton:
    """A skeleton file.

    Attributes:
        path: the file.
        bones: the root first, parents before children.
    """

    path: Path
    bones: tuple[_Bone, ...]


def read_text(path: Path) -> str:
    """A text file.

    Raises:
        UserError: it cannot be read, or is none.
    """
    try:
        return path.read_bytes().decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is no text that can be read ({reason_of(error)[:60]}); {AGAIN}") from error


def read_asf(path: Path) -> AcclaimSkeleton:
    """Read a skeleton.

    Raises:
        UserError: it cannot be read, or a section or a bone's field is missing or no number; the message names it.
    """
    sections = {
        part.split(None, 1)[0]: part for part in re.split(r"^:", read_text(path), flags=re.M)[1:] if part.strip()
    }
    for name in (ROOT, "bonedata", "hierarchy"):
        if name not in sections:
            raise UserError(f"{path}: has no section :{name}; {AGAIN}")
    if not sections["hierarchy"].rstrip().endswith("end"):
        raise UserError(f"{path}: its section :hierarchy has no end; {AGAIN}")
    root = dict(line.split(None, 1) for line in sections[ROOT].splitlines()[1:] if len(line.split(None, 1)) == 2)
    try:
        order = tuple(word.lower() for word in root["order"].split())
        axis = _turn(np.array(root["orientation"].split(), float))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: :root: order or orientation is missing or damaged ({error}); {AGAIN}") from None
    bones = {ROOT: _Bone(ROOT, "", np.zeros(3), axis, order)}
    parts = re.findall(r"^\s*begin$(.*?)^\s*end\s*$", sections["bonedata"], re.M | re.S)
    described = {bone.name: bone for bone in (_bone(path, part) for part in parts)}
    for line in sections["hierarchy"].splitlines():
        parent, *children = line.split() or [""]
        for name in children:
            if name not in described or parent not in bones:
                raise UserError(
                    f"{path}: :hierarchy names {name} below {parent}, of which one is not described; {AGAIN}"
                )
            own = described[name]
            bones[name] = _Bone(name, parent, own.vector, own.axis, own.dof)
    return AcclaimSkeleton(path, tuple(bones.values()))


def _bone(path: Path, text: str) -> _Bone:
    fields = {words[0]: words[1:] for words in map(str.split, text.splitlines()) if words}
    name = " ".join(fields.get("name", ["?"]))
    try:
        vector = np.array(fields["direction"], float) * float(fields["length"][0])
        if vector.shape != (3,):
            raise ValueError("direction")
        axis = _turn(np.array(fields["axis"][:3], float))
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"{path}: bone {name}: {error} is missing or damaged; {AGAIN}") from None
    return _Bone(name, "", vector, axis, tuple(word.lower() for word in fields.get("dof", [])))


def count_frames(path: Path) -> int:
    """How many frames a motion file has; fast.

    Raises:
        UserError: it cannot be read, or has none.
    """
    count = len(FRAME.findall(read_text(path).replace("\r", "")))
    if not count:
        raise UserError(f"{path}: has no frame; {AGAIN}")
    return count


def read_amc(path: Path, skeleton: AcclaimSkeleton, fps: float) -> Motion:
    """Read a motion of a skeleton.

    Args:
        fps: frames a second; the file does not say it.

    Raises:
        UserError: it cannot be read, a bone that moves is missing in a frame, or a line has another number of angles.
    """
    moving = [bone for bone in skeleton.bones if bone.dof]
    frames = FRAME.split(read_text(path).replace("\r", ""))[1:]
    values = [_frame(path, number, text, moving) for number, text in enumerate(frames)]
    if not values:
        raise UserError(f"{path}: has no frame; {AGAIN}")
    table = np.array(values)  # (N, all angles)
    rotations, ends, starts, column = dict[str, np.ndarray](), {"": np.zeros(3)}, dict[str, np.ndarray](), 0
    for bone in skeleton.bones:
        angles = np.zeros((len(table), 3))
        for offset, word in enumerate(bone.dof):
            if word in TURNS:
                angles[:, TURNS.index(word)] = table[:, column + offset]
        column += len(bone.dof)
        own = bone.axis @ _turn(angles) @ bone.axis.T
        rotations[bone.name] = rotations[bone.parent] @ own if bone.parent else own
        starts[bone.name] = ends[bone.parent]
        ends[bone.name] = starts[bone.name] + bone.vector
    names = tuple(rotations)
    return Motion(names, np.stack([starts[name] for name in names]), np.stack(list(rotations.values()), axis=1), fps)


def _frame(path: Path, number: int, text: str, moving: Sequence[_Bone]) -> list[float]:
    """All angles of a frame, in the order of the bones."""
    lines = {words[0]: words[1:] for words in map(str.split, text.splitlines()) if words}
    values: list[float] = []
    for bone in moving:
        words = lines.get(bone.name)
        if words is None or len(words) != len(bone.dof):
            told = "is missing" if words is None else f"has {len(words)} numbers, not {len(bone.dof)}"
            raise UserError(f"{path}: frame {number + 1}: {bone.name} {told}; {AGAIN}")
        try:
            values += map(float, words)
        except ValueError:
            raise UserError(
                f"{path}: frame {number + 1}: {bone.name} has no numbers but {' '.join(words)[:40]}"
            ) from None
    return values


def _turn(angles: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) by (..., 3) degrees about x, then y, then z, axes that stay."""
    return roma.euler_to_rotmat("xyz", torch.from_numpy(angles), degrees=True).numpy()
