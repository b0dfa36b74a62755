"""PoseScript (Delmas et al., ECCV 2022; second release): what people and rules say of poses of AMASS.

Files and keys, by naver/posescript (src/text2pose/config.py names the files, src/text2pose/data.py reads them) and, of
the first release, by yfeng95/PoseGPT (utils/posescript_dataset.py), which reads the same three kinds of files:

- ``ids_2_dataset_sequence_and_frame_index_100k.json``: pose id -> ["AMASS", path below AMASS, frame].
- ``posescript_human_6293.json`` (H2), ``posescript_auto_100k.json`` (A2): pose id -> a caption, or a list of captions.
- ``train_ids_100k.json``, ``val_ids_100k.json``, ``test_ids_100k.json``: lists of pose ids, as numbers.

Poses are AMASS's, z-up, and are turned away from their heading as the owners do before they show or learn them
(src/text2pose/utils.py, get_pose_data_from_file); then they are y-up and face +z.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_rft.data.readers.amass import AmassFolder
from pose_rft.data.readers.json_items import json_items, read_item
from pose_rft.data.readers.pairs import NO_SPLIT
from pose_rft.data.readers.published import DEV, TEST, TRAIN, Z_UP, Needed, Reader, find_file, headed
from pose_rft.data.rendering.camera import in_camera_frame
from pose_rft.errors import UserError
from pose_rft.storage import read_json

FRAMES = "ids_2_dataset_sequence_and_frame_index_100k.json"
SPLIT_WORDS = {"train": TRAIN, "val": DEV, "test": TEST}
AMASS_FOLDERS = ("AMASS/smplh", "AMASS")
AGAIN = "download it again"
HOME = "https://github.com/naver/posescript (download: PoseScript v2) and https://amass.is.tue.mpg.de"
AMASS_NEEDED = Needed("AMASS", "AMASS in SMPL+H G, or a link to it")
UNCONFIRMED = (
    "whether the release has AMASS's folders under their names of before 2020 or of after; both are looked for",
)


@dataclass(frozen=True)
class AmassPoses:
    """Poses of AMASS by the ids that PoseScript and PoseFix give them.

    Attributes:
        path: the file that says where each pose stands.
        frames: id -> [data set, sequence, frame].
        amass: where AMASS is.
    """

    path: Path
    frames: Mapping[str, Any]
    amass: AmassFolder

    @staticmethod
    def open(folder: Path) -> "AmassPoses":
        """Of a folder with ``FRAMES`` and AMASS.

        Raises:
            UserError: a file is missing or damaged.
        """
        path = needed_file(folder, FRAMES)
        frames = read_json(path, AGAIN)
        if not isinstance(frames, dict):
            raise UserError(f"{path}: is no object of JSON; {AGAIN}")
        amass = next((folder / name for name in AMASS_FOLDERS if (folder / name).is_dir()), folder / AMASS_FOLDERS[-1])
        return AmassPoses(path, frames, AmassFolder(amass))

    def place(self, number: int) -> tuple[str, int]:
        """Sequence and frame of a pose.

        Raises:
            UserError: the file does not tell them.
        """
        try:
            dataset, sequence, frame = self.frames[str(number)]
            if dataset != "AMASS":
                raise ValueError(dataset)
            return str(sequence), int(frame)
        except (KeyError, TypeError, ValueError):
            raise UserError(f"pose: {self.path.name} has no ['AMASS', sequence, frame] for pose {number}") from None

    def pose(self, number: int) -> np.ndarray:
        """(22, 3) of a pose, z-up, as AMASS has it."""
        return self.amass.pose(*self.place(number))


def needed_file(folder: Path, name: str) -> Path:
    """A file of the folder or of one below.

    Raises:
        UserError: it is not there.
    """
    path = find_file(folder, name)
    if path is None:
        raise UserError(f"{folder}: holds no {name}; unpack the release there")
    return path


def read_ids(path: Path) -> list[int]:
    """A list of ids.

    Raises:
        UserError: it holds something else.
    """
    ids = read_json(path, AGAIN)
    if not isinstance(ids, list) or not all(isinstance(each, int) for each in ids):
        raise UserError(f"{path}: is no list of ids; {AGAIN}")
    return ids


def y_up(pose: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """A pose (22, 3) of a z-up world, turned there by a rotation (3, 3), in a y-up world."""
    return in_camera_frame(Z_UP @ turn, pose)


@dataclass(frozen=True)
class Texts:
    """The texts of a file: id -> a text, or a list of texts. A row is a text.

    Attributes:
        path: the file.
        ids, starts, ends, which: (N,) of each row the id, where its value stands in the file, and which text of it.
    """

    path: Path
    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    which: np.ndarray

    @staticmethod
    def open(path: Path) -> "Texts":
        """Find them in one pass.

        Raises:
            UserError: the file is damaged, or has keys that are no ids.
        """
        rows = np.array(list(_rows(path)), np.int64).reshape(-1, 4)
        return Texts(path, *rows.T)

    def text(self, row: int) -> str:
        """The text of a row.

        Raises:
            UserError: there is none.
        """
        value = read_item(self.path, int(self.starts[row]), int(self.ends[row]))
        text = value[int(self.which[row])] if isinstance(value, list) else value
        if not isinstance(text, str):
            raise UserError(f"prompt: of id {self.ids[row]} is no text but {json.dumps(text)[:40]}")
        return text


def _rows(path: Path) -> Iterator[tuple[int, int, int, int]]:
    for item in json_items(path, dict):
        if not item.key.isdecimal():
            raise UserError(f"{path}: has the key {item.key[:40]!r}, which is no id; {AGAIN}")
        for which in range(item.size):
            yield int(item.key), item.start, item.end, which


@dataclass(frozen=True)
class _Captions:
    poses: AmassPoses
    texts: Texts
    splits: np.ndarray

    @property
    def path(self) -> Path:
        return self.texts.path

    def record(self, row: int) -> Mapping[str, Any]:
        pose = self.poses.pose(int(self.texts.ids[row]))
        return {"prompt": self.texts.text(row), "pose": y_up(pose, headed(pose))}


def _opened(captions: str, folder: Path) -> list[_Captions]:
    texts = Texts.open(needed_file(folder, captions))
    split_of = {
        number: code
        for word, code in SPLIT_WORDS.items()
        for number in read_ids(needed_file(folder, f"{word}_ids_100k.json"))
    }
    splits = np.array([split_of.get(number, NO_SPLIT) for number in texts.ids.tolist()], np.int8)
    return [_Captions(AmassPoses.open(folder), texts, splits)]


def _reader(title: str, captions: str, gives: str) -> Reader:
    return Reader(
        title=f"PoseScript, {title} (Delmas et al., ECCV 2022)",
        home=HOME,
        licence="CC BY-NC-SA 4.0; AMASS's own for the poses",
        gives=gives,
        holds=(
            Needed(f"**/{captions}", "captions"),
            Needed(f"**/{FRAMES}", "where each pose stands in AMASS"),
            *(Needed(f"**/{word}_ids_100k.json", f"ids of {word}") for word in SPLIT_WORDS),
            AMASS_NEEDED,
        ),
        parts=lambda folder: _opened(captions, folder),
        unconfirmed=UNCONFIRMED,
    )


HUMAN = _reader("H2: what people wrote", "posescript_human_6293.json", "a caption that somebody wrote, and its pose")
AUTOMATIC = _reader(
    "A2: captions by its rules", "posescript_auto_100k.json", "a caption by PoseScript's rules, and its pose"
)
