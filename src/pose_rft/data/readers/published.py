"""What readers of published data sets have in common: what a folder has to hold, its rows, the frames of their poses.

A reader is a file of this folder with a ``Reader``, and a line in ``registry.py``. Its rows are lines as those of one's
own data are (``pairs.py``), so that all that can be done with a line can be done with them.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import roma
import torch
from rich.progress import Progress

from pose_rft.body import load_body
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.data.mocap.clips import facing_forward
from pose_rft.data.picture_prompts import ASK_POSE
from pose_rft.data.readers.pairs import NO_SPLIT, SPLITS, split_code
from pose_rft.data.rendering.camera import in_camera_frame
from pose_rft.errors import UserError, reason_of
from pose_rft.posescript.captions import caption
from pose_rft.terminal import errors
from pose_rft.vision.detector import Box

TAIL = 4096  # bytes at a file's end that tell it from another of its size: an archive's table is there, with checksums
Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])  # axes of a y-up world, told in a z-up one
GENDERS = {"m": "male", "f": "female"}
CAMERA = np.diag([1.0, -1.0, -1.0])  # x right, y up, z towards the viewer, told in OpenCV's: x right, y down, z away
TRAIN, DEV, TEST = (split_code(name) for name in SPLITS)


@dataclass(frozen=True)
class Needed:
    """Files that a folder should hold.

    Attributes:
        pattern: below the folder, as ``Path.glob`` has it.
        what: what they are.
        required: nothing can be read without one of them.
    """

    pattern: str
    what: str
    required: bool = True

    def found(self, folder: Path) -> list[Path]:
        """Those that are there, in alphabetical order."""
        return sorted(folder.glob(self.pattern))


@dataclass(frozen=True)
class Pickles:
    """Files that a data set is published in and that are never opened here, as they can run code.

    Attributes:
        pattern: below the folder.
        code: Python that writes an ``.npz`` of plain arrays; ``{folder}`` stands for the folder.
    """

    pattern: str
    code: str

    def convert(self, folder: Path) -> str:
        """The command that a user who trusts the files runs once."""
        return f'python -c "{self.code.replace("{folder}", folder.as_posix())}"'


class Part(Protocol):
    """Rows of one file.

    Attributes:
        path: the file.
        splits: (N,) of each row the row of ``SPLITS``, or ``NO_SPLIT``.
    """

    @property
    def path(self) -> Path: ...

    @property
    def splits(self) -> np.ndarray: ...

    def record(self, row: int) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Reader:
    """A data set as its owners publish it.

    Attributes:
        title: its name and where it was published.
        home: where it comes from.
        licence: under which terms, in a few words.
        gives: what a row is.
        holds: what the folder has to hold.
        parts: opens a folder that holds it.
        pickles: what has to be converted first.
        unconfirmed: what no public code or text says for sure.
    """

    title: str
    home: str
    licence: str
    gives: str
    holds: tuple[Needed, ...]
    parts: Callable[[Path], Sequence[Part]] = field(repr=False)
    pickles: Pickles | None = None
    unconfirmed: tuple[str, ...] = ()

    def open(self, folder: str | Path) -> "PublishedRows":
        """The rows of a folder.

        Raises:
            UserError: no such folder, something missing in it, or a damaged file.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; give the one that {self.title} was unpacked to ({self.home})")
        if missing := [needed for needed in self.holds if needed.required and not needed.found(folder)]:
            raise UserError(f"{folder}: {self._missing(missing, folder)}")
        return PublishedRows(folder, self.parts(folder))

    def _missing(self, missing: Sequence[Needed], folder: Path) -> str:
        if self.pickles and any(folder.glob(self.pickles.pattern)):
            return (
                f"{self.pickles.pattern}: pickles are not read, as they can run code; if you trust these, convert them "
                f"once: {self.pickles.convert(folder)}"
            )
        named = ", no ".join(f"{needed.pattern} ({needed.what})" for needed in missing)
        return f"holds no {named}; get it from {self.home}"


class PublishedRows:
    """The rows of a published data set, each made when it is asked for.

    Attributes:
        name, folder, splits, fingerprint: see ``Records``. The fingerprint is of names, sizes and ends of the files.
        parts: the files.
    """

    def __init__(self, folder: Path, parts: Sequence[Part]) -> None:
        self.name, self.folder, self.parts = str(folder), folder, list(parts)
        splits = [part.splits for part in self.parts]
        self._ends = np.cumsum([len(each) for each in splits])
        if not splits or not self._ends[-1]:
            raise UserError(f"{folder}: holds no row that can be used; see docs/readers.md")
        self.splits = np.concatenate(splits)
        self.fingerprint = self._digest()

    def __len__(self) -> int:
        return len(self.splits)

    def record(self, row: int) -> Mapping[str, Any]:
        """The fields of a row, as of a line of one's own data."""
        part, own = self._at(row)
        return part.record(own)

    def place(self, row: int) -> str:
        """File and number of a row, counted from 0."""
        part, own = self._at(row)
        return f"{part.path.relative_to(self.folder).as_posix()}, row {own}"

    def _at(self, row: int) -> tuple[Part, int]:
        number = int(np.searchsorted(self._ends, row, side="right"))
        return self.parts[number], int(row - self._ends[number] + len(self.parts[number].splits))

    def _digest(self) -> str:
        digest = hashlib.sha256(self.splits.tobytes())
        for part in self.parts:
            try:
                size = part.path.stat().st_size
                with part.path.open("rb") as file:
                    file.seek(max(size - TAIL, 0))
                    digest.update(f"{part.path.relative_to(self.folder)} {size}".encode() + file.read(TAIL))
            except OSError as error:
                raise UserError(f"{part.path}: cannot be read ({reason_of(error)})") from error
        return digest.hexdigest()


def opened(files: Sequence[Any], open_file: Callable[[Any], Any]) -> list[Any]:
    """What a function makes of each file, with a progress bar that is closed where a file is refused."""
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task, made = bar.add_task("Opening files", total=len(files)), []
        for file in files:
            made.append(open_file(file))
            bar.advance(task)
        return made


def find_file(folder: Path, name: str) -> Path | None:
    """A file of a folder, or of one up to two levels below, as archives unpack into folders of their own."""
    return next((path for depth in ("", "*/", "*/*/") for path in sorted(folder.glob(depth + name))), None)


def named_split(path: Path) -> int:
    """The split that a file's name tells, such as ``h36m_valid_protocol2.npz``; ``NO_SPLIT`` if none."""
    words = {"train": TRAIN, "val": DEV, "valid": DEV, "validation": DEV, "test": TEST}
    return next((code for word, code in words.items() if word in path.stem.lower().split("_")), NO_SPLIT)


# ---- poses ----


def body_joints(numbers: np.ndarray) -> np.ndarray:
    """(22, 3) float32 of a row of axis-angle numbers (66 or more) of SMPL, SMPL-H or SMPL-X."""
    return np.asarray(numbers, np.float32).reshape(-1, 3)[:NUM_JOINTS]


def recorded_body(betas: np.ndarray, gender: str | None) -> dict[str, Any]:
    """Fields of a line for the shape (10,) and the gender of an SMPL body; data sets write "m" or "male", or none."""
    return {"betas": betas, "gender": gender and GENDERS.get(gender, gender)}


def seen_pose(pose: np.ndarray, rotation: np.ndarray | None = None) -> np.ndarray:
    """A pose (22, 3) in the frame of a picture: x right, y up, z towards the viewer.

    Args:
        pose: with its root in the camera's frame as OpenCV has it, x right, y down, z away; or in a world.
        rotation: (3, 3) from that world to the camera.
    """
    return in_camera_frame(CAMERA if rotation is None else CAMERA @ rotation, pose)


def headed(pose: np.ndarray) -> np.ndarray:
    """(3, 3) the turn about the vertical that takes a pose (22, 3) of a z-up world away from its heading.

    The heading is the z angle of the root's Euler angles z, y, x, as PoseScript's owners take it; a body that stands
    then faces -y, which is +z when y points up.
    """
    root = roma.rotvec_to_rotmat(torch.from_numpy(pose[0].astype(np.float64))).numpy()
    angle = np.arctan2(root[1, 0], root[0, 0])
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])


def described(pose: np.ndarray, seed: int) -> dict[str, Any]:
    """A line for a pose (22, 3), y-up, to which nobody has said anything: a caption by rule; it faces +z."""
    turned = facing_forward(torch.from_numpy(pose[None]))
    said = caption(load_body().points(turned), seed)[0]
    return {"prompt": said.text, "pose": turned[0].numpy(), "checks": list(said.checks)}


# ---- pictures ----


def first_there(folder: Path, names: Sequence[str]) -> str:
    """The first name of a file that is in a folder; the first of all if none is."""
    return next((name for name in names if (folder / name).is_file()), names[0])


def pictured(folder: Path, names: Sequence[str], box: Box, pose: np.ndarray, number: int) -> dict[str, Any]:
    """A line for a pose (22, 3) in a picture.

    Args:
        folder: names are relative to it.
        names: where the picture may be; the first is meant if it is in none of these places.
        number: of the row; it chooses the words that ask for the pose.
    """
    left, top, right, bottom = (float(edge) for edge in box)
    box = (max(left, 0.0), max(top, 0.0), right, bottom)
    return {"prompt": ASK_POSE[number % len(ASK_POSE)], "image": first_there(folder, names), "box": box, "pose": pose}
