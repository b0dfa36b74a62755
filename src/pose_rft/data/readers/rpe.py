"""RPE, ChatPose's benchmark of reasoning about poses in photographs (Feng et al., CVPR 2024), as refined.

ChatPose's own files name pictures by numbers that 3DPW does not have; jjunsss/RPE-Refined found the pictures and
added the poses. Its README.md and files (RPE-refined/refine_vqa_{behavior,outfits,pose,shape}_withGT.json) have a
JSON list of objects with LLaVA's ``conversations`` (``llava.py``), ``real_image``, a path of 3DPW that begins with
``3DPW/``, and ``ground_truth``: ``smpl_param.pose``, 72 numbers, axis-angle in radians of SMPL's 24 joints in the
camera's frame, which is OpenCV's (``joint_cam`` has the feet at larger y than the head, and depth as z), and
``bbox``, left, top, width, height in pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_rft.data.readers.llava import conversation
from pose_rft.data.readers.published import TEST, Needed, Reader, body_joints, seen_pose
from pose_rft.errors import UserError
from pose_rft.storage import read_json

QUESTIONS = Needed("**/refine_vqa_*_withGT.json", "questions with poses, of jjunsss/RPE-Refined")
NUMBERS = 72


@dataclass(frozen=True)
class _Questions:
    folder: Path
    path: Path
    items: Sequence[Any]

    @property
    def splits(self) -> np.ndarray:
        return np.full(len(self.items), TEST, np.int8)

    def record(self, row: int) -> Mapping[str, Any]:
        item = self.items[row]
        try:
            truth = item["ground_truth"]
            numbers = np.array(truth["smpl_param"]["pose"], float)
            left, top, width, height = map(float, truth["bbox"])
            image = str(item["real_image"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"ground_truth: {error} is missing or damaged; download it again") from None
        if numbers.shape != (NUMBERS,):
            raise UserError(f"ground_truth: smpl_param.pose has shape {numbers.shape}, not ({NUMBERS},)")
        fields = conversation({**item, "image": image}, self.folder, ("", "../"))
        box = (max(left, 0.0), max(top, 0.0), left + width, top + height)
        return {**fields, "pose": seen_pose(body_joints(numbers)), "box": box}


def _parts(folder: Path) -> list[_Questions]:
    parts = []
    for path in QUESTIONS.found(folder):
        items = read_json(path, "download it again")
        if not isinstance(items, list):
            raise UserError(f"{path}: is no list of JSON; download it again")
        parts.append(_Questions(folder, path, items))
    return parts


READER = Reader(
    title="RPE of ChatPose (Feng et al., CVPR 2024), refined",
    home="https://github.com/jjunsss/RPE-Refined (questions) and https://virtualhumans.mpi-inf.mpg.de/3DPW (pictures)",
    licence="not stated beside the questions; 3DPW's own for the photographs",
    gives="a question about one person in a photograph, and their pose; all are for tests",
    holds=(QUESTIONS, Needed("3DPW/imageFiles", "3DPW's frames, or a link to them", required=False)),
    parts=_parts,
    unconfirmed=(
        "ChatPose's own RPE files and its SPG (prompts that hint at a pose): no public code or text tells their "
        "format, so they are not read; as JSON Lines (docs/your_data.md) they can be",
    ),
)
