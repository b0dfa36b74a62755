"""BEDLAM (Black et al., CVPR 2023): drawn people with SMPL-X or SMPL poses, one npz a scene.

Keys, by pixelite1201/BEDLAM (data_processing/ReadMe.md lists them, data_processing/df_full_body.py writes them,
train/dataset/dataset.py reads them): ``imgname`` such as ``seq_000000/seq_000000_0005.png``, ``center`` and ``scale``
as in ``spin.py`` (the box is 1.2 times that of the joints), ``pose_cam`` (N, 165) of SMPL-X or (N, 72) of SMPL,
axis-angle in radians, with the root in the camera's frame, which is OpenCV's (the root is multiplied by diag(1, -1,
-1) and the camera's rotation before the joints are projected). The pictures of a scene are below ``SCENE/png``; SCENE
is the npz file's name (train/core/config.py, DATASET_FOLDERS). saidwivedi/TokenHMR reads the same labels from tars.

The pictures of scenes called ``closeup`` lie on their side and their labels do not (data_processing/ReadMe.md); those
scenes are left out. Shapes are SMPL-X's, which are not SMPL's, and are not read.
"""

from pathlib import Path

from pose_rft.data.readers.arrays import Shape
from pose_rft.data.readers.published import Needed, Reader
from pose_rft.data.readers.spin import PicturedPoses

POSES: tuple[Shape, ...] = (("N", 165), ("N", 72))
LABELS = Needed("**/*_[0-9]*fps.npz", "labels of a scene (all_npz_12_training)")
ON_ITS_SIDE = "closeup"


def _parts(folder: Path) -> list[PicturedPoses]:
    return [
        PicturedPoses.open(
            folder, path, [f"{root}{path.stem}/png/" for root in ("", "images/")], "pose_cam", POSES, body={}
        )
        for path in LABELS.found(folder)
        if ON_ITS_SIDE not in path.name
    ]


READER = Reader(
    title="BEDLAM (Black et al., CVPR 2023)",
    home="https://bedlam.is.tue.mpg.de",
    licence="its own, for non-commercial research, after registration",
    gives="a drawn picture and the pose of one person in it, in the picture's frame",
    holds=(LABELS, Needed("**/png/seq_*", "frames of a sequence, below SCENE/png", required=False)),
    parts=_parts,
    unconfirmed=(
        "SMPL-X's body rotations are taken for SMPL's, whose rest pose differs by a few degrees at spine and collars",
        "the fifth of each scene that the owners keep for validation (train/dataset/dataset.py) is trained on here",
    ),
)
