"""The CMU Graphics Lab Motion Capture Database: skeletons (ASF) and motions (AMC), free for all.

Files: ``SUBJECT.asf`` and ``SUBJECT_TRIAL.amc`` in one folder, such as ``07/07.asf`` and ``07/07_01.amc``, as
mocap.cs.cmu.edu publishes them; the format: ``body/acclaim.py``; how the poses are made: ``body/retargeting.py``.
Frames come at 120 a second (mocap.cs.cmu.edu, "Info"; una-dinosauria/cmu-mocap's conversion of the same has a frame
time of 0.0083333 s); files do not tell it.

How exact the poses are: of two frames of 07_01, read from B. Hahne's BVH, which has the same angles and bones, the
joints are 8 and 9 mm (mean) from those of this project's ``cmu_poses.npz``, which was made of ASF/AMC in another way:
trunk, arms and hands at most 13 mm, knees 10 to 20, ankles 7 to 32. Local rotations differ by 2.5 degrees (median),
most in the roll of forearms and hands (up to 28 degrees). One angle, how far SMPL's legs lean, was chosen on these two
frames. The script was not kept.
"""

from functools import lru_cache
from pathlib import Path

from pose_rft.body.acclaim import AcclaimSkeleton, count_frames, read_amc, read_asf
from pose_rft.body.retargeting import Motion
from pose_rft.data.readers.motion_files import MotionFile
from pose_rft.data.readers.published import Needed, Reader, opened
from pose_rft.errors import UserError

FPS = 120.0
MOTIONS = Needed("**/*.amc", "motions")
SKELETONS = Needed("**/*.asf", "skeletons, beside the motions of the same subject")


@lru_cache(maxsize=256)
def _skeleton(path: Path) -> AcclaimSkeleton:
    return read_asf(path)


def _read(path: Path) -> Motion:
    return read_amc(path, _skeleton(_skeleton_of(path)), FPS)


def _skeleton_of(motion: Path) -> Path:
    """The skeleton that a motion is of.

    Raises:
        UserError: it is not beside the motion.
    """
    skeleton = motion.with_name(motion.stem.partition("_")[0] + ".asf")
    if not skeleton.is_file():
        raise UserError(f"{motion}: {skeleton.name}, its skeleton, is not beside it; download that too")
    return skeleton


def _open(path: Path) -> MotionFile:
    _skeleton(_skeleton_of(path))
    return MotionFile.open(path, count_frames(path), FPS, _read)


def _parts(folder: Path) -> list[MotionFile]:
    return opened(MOTIONS.found(folder), _open)


READER = Reader(
    title="CMU Graphics Lab Motion Capture Database, ASF/AMC",
    home="http://mocap.cs.cmu.edu",
    licence="free for all uses, not to be resold as such; asks to be named",
    gives="ten poses of each second, described by rule, with checks; some subjects are test (docs/data.md)",
    holds=(MOTIONS, SKELETONS),
    parts=_parts,
    unconfirmed=("whether all trials have 120 frames a second; one with 60 would give five poses a second",),
)
