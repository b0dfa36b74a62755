"""Pseudo-labels of 4D-Humans (Goel et al., ICCV 2023) on COCO and MPII: fits to photographs, as HMR2 learns from them.

They are published as tars of ``KEY.jpg`` and ``KEY.data.pyd``; the latter is a pickle of a list, of each person
``center`` (2,), ``scale`` (2,) in 200 pixels, ``body_pose`` (72,), axis-angle in radians of SMPL's 24 joints, pelvis
first, and ``has_body_pose``, by 4D-Humans' hmr2/datasets/image_dataset.py (load_tars_as_webdataset and
process_webdataset_tar_item) and its descendants that read the same tars (saidwivedi/TokenHMR; the code of
yfeng95/PoseGPT, utils/hmr_dataset.py, learns from them through it). The root is in the camera's frame, OpenCV's, as
SPIN's is (``spin.py``), whose conventions HMR2 has.

The pickles are never opened here: unpack the tars, and a printed command makes one npz of the labels in a folder.
"""

from pathlib import Path

from pose_rft.data.readers.published import Needed, Pickles, Reader
from pose_rft.data.readers.spin import PicturedPoses

LABELS = Needed("labels.npz", "labels, converted")
PICKLES = Pickles(
    "**/*.data.pyd",
    "import pickle, glob, numpy as n; p = '{folder}/'; "
    "r = [(f[len(p):-9] + '.jpg', d) for f in sorted(glob.glob(p + '**/*.data.pyd', recursive=True)) "
    "for d in pickle.load(open(f, 'rb'))]; "
    "n.savez(p + 'labels.npz', imgname=[f for f, _ in r], scale=[n.max(d['scale']) for _, d in r], "
    "**{k: n.array([n.ravel(d[k]) for _, d in r]) for k in ('center', 'body_pose', 'has_body_pose')})",
)


def _parts(folder: Path) -> list[PicturedPoses]:
    return [
        PicturedPoses.open(folder, path, ("",), "body_pose", valid="has_body_pose") for path in LABELS.found(folder)
    ]


READER = Reader(
    title="COCO and MPII with pseudo-labels of 4D-Humans (Goel et al., ICCV 2023)",
    home="https://github.com/shubham-goel/4D-Humans (fetch_training_data.sh: coco-train-2014-*, mpii-train)",
    licence="the labels' is not stated beside them (the code is MIT); COCO's and MPII's own for the photographs",
    gives="a photograph, a box around one person, and the pose that was fitted to them",
    holds=(LABELS, Needed("**/*.jpg", "the photographs, unpacked from the tars", required=False)),
    parts=_parts,
    pickles=PICKLES,
    unconfirmed=(
        "whether scale has HMR2's margin of 1.2 or none; a box may be a fifth too small",
        "the fits are not measurements: HMR2's own filters of bad ones (likely poses, reprojection) are not applied",
    ),
)
