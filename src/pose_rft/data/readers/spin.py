"""Pictures with SMPL poses in the npz files that SPIN's users have; three data sets come in them.

Keys, units and frames, by nkolot/SPIN (datasets/base_dataset.py reads them, datasets/preprocess/*.py write them) and
pixelite1201/BEDLAM (train/dataset/dataset_smpl.py reads the same files):

- ``imgname`` (N,): names of pictures, relative to the data set's own folder.
- ``center`` (N, 2), ``scale`` (N,): the middle of a square around the person in pixels, and its side in 200 pixels,
  1.2 times as long as the longer side of the person's box.
- ``pose`` (N, 72): axis-angle in radians of SMPL's 24 joints, pelvis first, in the camera's frame, whose axes are
  OpenCV's (datasets/preprocess/pw3d.py multiplies the world's root by the camera's rotation; the pictures are drawn
  so).
- ``shape`` (N, 10) and ``gender`` (N,), "m" or "f", where they are there: SMPL's shape, and of which model it is.
- ``has_smpl`` (N,), where it is there: 0 where the pose means nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_rft.body.model import NUM_BETAS
from pose_rft.data.readers.arrays import Shape, StoredArray, open_arrays, text_of
from pose_rft.data.readers.published import body_joints, named_split, pictured, recorded_body, seen_pose
from pose_rft.vision.detector import Box

SIDE = 200.0  # pixels of scale 1
MARGIN = 1.2  # the square's side, as a multiple of the longer side of the person's box
NAMES: list[Shape] = [("N",)]
CENTRES: list[Shape] = [("N", 2)]
ONE_EACH: list[Shape] = [("N",), ("N", 1)]
BODY: Mapping[str, Sequence[Shape]] = {"shape": [("N", NUM_BETAS)], "gender": [("N",)]}


@dataclass(frozen=True)
class PicturedPoses:
    """Rows of one file.

    Attributes:
        folder: of the data set; pictures are named relative to it.
        path: the file.
        rows: (N,) those of the file that have a pose.
        splits: (N,) as for ``Part``.
        arrays: of the file, by their names.
        pose: which of them has the poses.
        roots: folders in which ``imgname`` may be meant, relative to ``folder``; "" is that folder itself.
    """

    folder: Path
    path: Path
    rows: np.ndarray
    splits: np.ndarray
    arrays: Mapping[str, StoredArray]
    pose: str
    roots: Sequence[str]

    @staticmethod
    def open(
        folder: Path,
        path: Path,
        roots: Sequence[str],
        pose: str = "pose",
        shapes: Sequence[Shape] = (("N", 72),),
        valid: str = "has_smpl",
        scales: Sequence[Shape] = ONE_EACH,
        body: Mapping[str, Sequence[Shape]] = BODY,
    ) -> "PicturedPoses":
        """Of a file.

        Args:
            pose, shapes: the array with the poses, and the shapes that it may have.
            valid: an array that says which rows have one, if it is there.
            scales: the shapes that ``scale`` may have.
            body: arrays that tell shape and gender of an SMPL body, if they are there, and their shapes.

        Raises:
            UserError: an array is missing, of another shape or of Python objects, or the file is damaged.
        """
        wanted = {"imgname": NAMES, "center": CENTRES, "scale": scales, pose: shapes}
        arrays = open_arrays(path, wanted, {valid: ONE_EACH, **body})
        rows = np.arange(len(arrays["imgname"]))
        if valid in arrays:
            rows = rows[arrays[valid][:].reshape(-1) > 0]
        splits = np.full(len(rows), named_split(path), np.int8)
        return PicturedPoses(folder, path, rows, splits, arrays, pose, roots)

    def record(self, row: int) -> Mapping[str, Any]:
        own = int(self.rows[row])
        name = text_of(self.arrays["imgname"][own]).replace("\\", "/")
        pose = seen_pose(body_joints(self.arrays[self.pose][own]))
        box = square_box(self.arrays["center"][own], float(np.max(self.arrays["scale"][own])))
        line = pictured(self.folder, [root + name for root in self.roots], box, pose, own)
        if "shape" in self.arrays:
            gender = text_of(self.arrays["gender"][own]) if "gender" in self.arrays else None
            line |= recorded_body(self.arrays["shape"][own], gender)
        return line


def square_box(centre: np.ndarray, scale: float) -> Box:
    """Left, top, right, bottom of the square that is as large as the person's box is long."""
    half = scale * SIDE / MARGIN / 2
    x, y = centre.tolist()
    return x - half, y - half, x + half, y + half
