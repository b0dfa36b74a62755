"""LLaVA-Instruct-150K (Liu et al., NeurIPS 2023): conversations about photographs of COCO.

Format, by the data set's page (huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K), yfeng95/PoseGPT
(utils/vqa_dataset.py) and LLaVA's own docs/Finetune_Custom_Data.md: a JSON list of objects with ``id``, ``image`` (a
file's name; left out where there is none) and ``conversations``, turns of ``from`` (human, gpt) and ``value``, in which
``<image>`` shows where the picture is. ``llava_instruct_150k.json`` and its parts name files of COCO's train2017;
``llava_v1_5_mix665k.json`` names ``coco/train2017/...``, ``gqa/images/...`` and others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_rft.data.readers.json_items import json_items, read_item
from pose_rft.data.readers.pairs import NO_SPLIT
from pose_rft.data.readers.published import Needed, Reader, first_there
from pose_rft.errors import UserError

TALKS = Needed("*.json", "conversations, such as llava_instruct_150k.json")
ROOTS = ("", "train2017/", "coco/train2017/", "images/")


@dataclass(frozen=True)
class _Talks:
    folder: Path
    path: Path
    starts: np.ndarray
    ends: np.ndarray

    @property
    def splits(self) -> np.ndarray:
        return np.full(len(self.starts), NO_SPLIT, np.int8)

    def record(self, row: int) -> Mapping[str, Any]:
        talk = read_item(self.path, int(self.starts[row]), int(self.ends[row]))
        return conversation(talk, self.folder, ROOTS)


def conversation(talk: Any, folder: Path, roots: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a line for an object with ``conversations`` and, maybe, ``image``.

    Raises:
        UserError: it is none.
    """
    if not isinstance(talk, dict) or "conversations" not in talk:
        raise UserError("conversations: are missing; the item is none of LLaVA's")
    name = talk.get("image")
    image = {} if name is None else {"image": first_there(folder, [f"{root}{name}" for root in roots])}
    return {"conversations": talk["conversations"], **image}


def _parts(folder: Path) -> list[_Talks]:
    parts = []
    for path in TALKS.found(folder):
        places = np.array([(item.start, item.end) for item in json_items(path, list)], np.int64).reshape(-1, 2)
        parts.append(_Talks(folder, path, *places.T))
    return parts


READER = Reader(
    title="LLaVA-Instruct-150K (Liu et al., NeurIPS 2023)",
    home="https://huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K and https://cocodataset.org (train2017)",
    licence="CC BY 4.0 by its page today, CC BY-NC 4.0 before, and OpenAI's terms; COCO's own for the photographs",
    gives="a photograph, what somebody asks about it and what is answered; no poses",
    holds=(TALKS, Needed("**/train2017", "COCO's photographs", required=False)),
    parts=_parts,
)
