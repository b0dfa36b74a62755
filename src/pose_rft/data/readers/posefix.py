"""PoseFix (Delmas et al., ICCV 2023): pairs of poses of AMASS, and what to change in the first to get the second.

Files and keys, by naver/posescript (src/text2pose/config.py names the files, load_posefix in src/text2pose/data.py
reads them); there is no second source:

- ``pair_id_2_pose_ids.json``: a list, of each pair the ids of both poses, as in PoseScript's
  ``ids_2_dataset_sequence_and_frame_index_100k.json``.
- ``posefix_human_6157.json``, ``posefix_paraphrases_4284.json``, ``posefix_auto_135305.json``: pair id -> a text or a
  list of texts.
- ``{train,val,test}_{in,out}_sequence_pair_ids.json``: lists of pair ids.

Both poses of a pair of one sequence are turned by the first one's heading, so that a change of heading stays; those of
two sequences each by its own. A policy reads words, so a line's prompt describes the first pose and then says the
change; its pose is the second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pose_rft.body import load_body
from pose_rft.data.readers.pairs import NO_SPLIT
from pose_rft.data.readers.posescript import (
    AGAIN,
    AMASS_NEEDED,
    FRAMES,
    SPLIT_WORDS,
    UNCONFIRMED,
    AmassPoses,
    Texts,
    needed_file,
    read_ids,
    y_up,
)
from pose_rft.data.readers.published import Needed, Reader, headed
from pose_rft.errors import UserError
from pose_rft.posescript.captions import described_change
from pose_rft.storage import read_json

PAIRS = "pair_id_2_pose_ids.json"
HUMAN_TEXTS = ("posefix_human_6157.json", "posefix_paraphrases_4284.json")
AUTOMATIC_TEXTS = ("posefix_auto_135305.json",)


@dataclass(frozen=True)
class _Changes:
    poses: AmassPoses
    pairs: Sequence[Any]
    texts: Texts
    splits: np.ndarray

    @property
    def path(self) -> Path:
        return self.texts.path

    def record(self, row: int) -> Mapping[str, Any]:
        pair = int(self.texts.ids[row])
        try:
            first, second = map(int, self.pairs[pair])
        except (IndexError, TypeError, ValueError):
            raise UserError(f"pose: {PAIRS} has no two pose ids for pair {pair}") from None
        before, after = self.poses.pose(first), self.poses.pose(second)
        together = self.poses.place(first)[0] == self.poses.place(second)[0]
        turn = headed(before)
        points = load_body().points(torch.from_numpy(y_up(before, turn)))
        return {
            "prompt": described_change(points, self.texts.text(row)),
            "pose": y_up(after, turn if together else headed(after)),
        }


def _opened(names: Sequence[str], folder: Path) -> list[_Changes]:
    path = needed_file(folder, PAIRS)
    pairs = read_json(path, AGAIN)
    if not isinstance(pairs, list):
        raise UserError(f"{path}: is no list of pairs of pose ids; {AGAIN}")
    split_of = {
        number: code
        for word, code in SPLIT_WORDS.items()
        for where in ("in", "out")
        for number in read_ids(needed_file(folder, f"{word}_{where}_sequence_pair_ids.json"))
    }
    poses = AmassPoses.open(folder)
    parts = []
    for name in names:
        texts = Texts.open(needed_file(folder, name))
        splits = np.array([split_of.get(number, NO_SPLIT) for number in texts.ids.tolist()], np.int8)
        parts.append(_Changes(poses, pairs, texts, splits))
    return parts


def _reader(title: str, names: Sequence[str]) -> Reader:
    return Reader(
        title=f"PoseFix, {title} (Delmas et al., ICCV 2023)",
        home="https://github.com/naver/posescript (download: PoseFix) and https://amass.is.tue.mpg.de",
        licence="CC BY-NC-SA 4.0; AMASS's own for the poses",
        gives="a description of the first pose and what to change in it, and the second pose",
        holds=(
            *(Needed(f"**/{name}", "what to change") for name in names),
            Needed(f"**/{PAIRS}", "the poses of each pair"),
            Needed(f"**/{FRAMES}", "where each pose stands in AMASS"),
            *(Needed(f"**/{word}_*_sequence_pair_ids.json", f"ids of {word}") for word in SPLIT_WORDS),
            AMASS_NEEDED,
        ),
        parts=lambda folder: _opened(names, folder),
        unconfirmed=(
            "whether PoseFix's archive holds the file that says where poses stand, or PoseScript's has to be added",
            *UNCONFIRMED,
        ),
    )


HUMAN = _reader("what people wrote, and paraphrases", HUMAN_TEXTS)
AUTOMATIC = _reader("by its rules", AUTOMATIC_TEXTS)
