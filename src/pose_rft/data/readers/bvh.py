"""BVH files: CMU's recordings as B. Hahne converted them (cgspeed), and what this project writes.

The format: ``body/read_bvh.py``; how the poses are made and which skeletons are known: ``body/retargeting.py``. Joints
are called as in una-dinosauria/cmu-mocap (Hips, LeftUpLeg, ...). Its files begin with one frame of the rest pose,
which is left out.
How exact the poses are: ``cmu.py``.
"""

from pathlib import Path

from pose_rft.body.read_bvh import bvh_frames, read_bvh
from pose_rft.data.readers.motion_files import CMU_CLIP, MotionFile
from pose_rft.data.readers.published import Needed, Reader, opened

MOTIONS = Needed("**/*.bvh", "motions of skeletons that are known")


def _open(path: Path) -> MotionFile:
    frames, fps = bvh_frames(path)
    return MotionFile.open(path, frames, fps, read_bvh, first=1 if CMU_CLIP.fullmatch(path.stem) and frames > 1 else 0)


def _parts(folder: Path) -> list[MotionFile]:
    return opened(MOTIONS.found(folder), _open)


READER = Reader(
    title="BVH, such as B. Hahne's conversion of CMU's recordings",
    home="https://github.com/una-dinosauria/cmu-mocap",
    licence="CMU's: free for all uses, not to be resold as such; the conversion is unrestricted",
    gives="ten poses of each second, described by rule, with checks; some subjects of CMU are test (docs/data.md)",
    holds=(MOTIONS,),
    parts=_parts,
    unconfirmed=("other skeletons than CMU's and our own are refused, as their rest poses are not known",),
)
