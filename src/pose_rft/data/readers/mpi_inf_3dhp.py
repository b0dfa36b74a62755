"""MPI-INF-3DHP (Mehta et al., 3DV 2017) with the poses that SPIN fitted to it.

Keys and frames: ``spin.py``; nkolot/SPIN, datasets/preprocess/mpi_inf_3dhp.py writes ``mpi_inf_3dhp_train.npz`` with
``pose``, ``shape`` and ``has_smpl`` of its multi-view fits, and names of pictures such as
``S1/Seq1/imageFrames/video_0/frame_000001.jpg``; pixelite1201/BEDLAM (train/core/config.py, docs/training.md) reads the
same file beside folders S1, S2 ... The test set's file has no poses and is not read.
"""

from pathlib import Path

from pose_rft.data.readers.published import Needed, Reader
from pose_rft.data.readers.spin import PicturedPoses

FILES = Needed("mpi_inf_3dhp_train*.npz", "annotations with SPIN's fits")


def _parts(folder: Path) -> list[PicturedPoses]:
    return [PicturedPoses.open(folder, path, ("", "images/")) for path in FILES.found(folder)]


READER = Reader(
    title="MPI-INF-3DHP (Mehta et al., 3DV 2017), SPIN's fits",
    home="https://vcai.mpi-inf.mpg.de/3dhp-dataset (pictures) and https://github.com/nkolot/SPIN (npz)",
    licence="its own, for non-commercial research",
    gives="a picture and the pose that was fitted to it, in the picture's frame",
    holds=(FILES, Needed("S*/Seq*/imageFrames", "the frames as JPEG", required=False)),
    parts=_parts,
    unconfirmed=("how exact the fits are: they are fits to joints from several views, not measurements",),
)
