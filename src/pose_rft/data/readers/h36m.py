"""Human3.6M (Ionescu et al., TPAMI 2014) in the npz files that users of SPIN and HMR2 have.

Keys and frames: ``spin.py``. Names of pictures are ``images/S1_Directions_1.54138969_000001.jpg`` or the like
(nkolot/SPIN, datasets/preprocess/h36m_train.py; open-mmlab/mmhuman3d, docs/preprocess_dataset.md). The files that SPIN
publishes have no ``pose``, because MoSh's fits may not be passed on; those who have them call the file
``h36m_mosh_train.npz`` (mmhuman3d) or ``h36m_train.npz`` (pixelite1201/BEDLAM, train/core/config.py).
"""

from pathlib import Path

from pose_rft.data.readers.published import Needed, Reader
from pose_rft.data.readers.spin import PicturedPoses

FILES = Needed("*h36m*.npz", "annotations with 'pose', as SPIN has them, such as h36m_mosh_train.npz")


def _parts(folder: Path) -> list[PicturedPoses]:
    return [PicturedPoses.open(folder, path, ("", "images/")) for path in FILES.found(folder)]


READER = Reader(
    title="Human3.6M (Ionescu et al., TPAMI 2014)",
    home="http://vision.imar.ro/human3.6m (pictures); the npz files are SPIN's with MoSh's poses",
    licence="its own, for academic use, after registration",
    gives="a picture and the pose of the person in it, in the picture's frame",
    holds=(FILES, Needed("images", "the frames as JPEG, named as in imgname", required=False)),
    parts=_parts,
    unconfirmed=(
        "which frames the file of a given user has: SPIN's script keeps every fifth",
        "the factor between scale and box: SPIN's script for this set has 0.9 of a mask's box, the others 1.2",
    ),
)
