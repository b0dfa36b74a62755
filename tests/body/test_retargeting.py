"""Motion of other skeletons: what we write is read again, and CMU's bones point where they pointed."""

import numpy as np
import pytest
import roma
import torch

from pose_rft.body import load_body
from pose_rft.body.acclaim import read_amc, read_asf
from pose_rft.body.bvh import write_bvh
from pose_rft.body.read_bvh import read_bvh
from pose_rft.body.retargeting import SMPL_LEAN, body_poses
from pose_rft.body.skeleton import JOINT_INDEX, PARENTS, forward_kinematics
from pose_rft.errors import UserError
from tests.body.acclaim_texts import amc_text, asf_text


def test_poses_survive_being_written_as_bvh_and_read(tmp_path):
    poses = np.random.default_rng(0).normal(0, 0.5, (7, 22, 3)).astype(np.float32)
    write_bvh(tmp_path / "own.bvh", poses, fps=25.0)
    motion = read_bvh(tmp_path / "own.bvh")
    assert motion.fps == pytest.approx(25)
    turns = [roma.rotvec_to_rotmat(torch.from_numpy(each)) for each in (body_poses(motion), poses)]
    assert torch.rad2deg(roma.rotmat_geodesic_distance(*turns)).max() < 0.05


def cmu(tmp_path, **angles):
    """The pose (22, 3) of a frame with these angles, and the motion."""
    (tmp_path / "07.asf").write_text(asf_text())
    (tmp_path / "07_01.amc").write_text(amc_text(1, **angles))
    motion = read_amc(tmp_path / "07_01.amc", read_asf(tmp_path / "07.asf"), 120.0)
    return body_poses(motion)[0], motion


def bones_of_smpl(pose):
    """Where each joint is below its parent, of a body whose legs lean as SMPL's do."""
    offsets = load_body().offsets.double()
    for side, sign in (("left", 1), ("right", -1)):
        for name in ("knee", "ankle"):
            turn = roma.euler_to_rotmat("z", [sign * SMPL_LEAN], degrees=True).double()
            offsets[JOINT_INDEX[f"{side}_{name}"]] = turn @ offsets[JOINT_INDEX[f"{side}_{name}"]]
    joints, _ = forward_kinematics(roma.rotvec_to_rotmat(torch.from_numpy(pose).double()), offsets)
    bones = joints - joints[list(PARENTS)]
    return (bones / bones.norm(dim=-1, keepdim=True)).numpy()


ANGLES = {
    "root": (1.0, 2.0, 3.0, 20.0, -50.0, 10.0), "lfemur": (-40.0, 10.0, 5.0), "ltibia": (70.0,),
    "rhumerus": (30.0, -20.0, 60.0), "rradius": (80.0,), "lowerback": (5.0, 6.0, 7.0), "lhumerus": (10.0, 20.0, -70.0),
}  # fmt: skip
LIMBS = {"left_knee": "lfemur", "left_ankle": "ltibia", "right_knee": "rfemur", "right_elbow": "rhumerus"} | {
    "right_wrist": "rradius", "left_elbow": "lhumerus", "left_wrist": "lradius",
}  # fmt: skip


@pytest.mark.parametrize("angles", [{}, ANGLES], ids=["rest", "posed"])
def test_limbs_point_where_cmus_bones_point(tmp_path, angles):
    pose, motion = cmu(tmp_path, **angles)
    ours = bones_of_smpl(pose)
    directions = {}
    for text in asf_text().split("begin")[1:]:
        words = text.split()
        if "direction" in words:
            place = words.index("direction")
            directions[words[words.index("name") + 1]] = np.array(words[place + 1 : place + 4], float)
    for joint, bone in LIMBS.items():
        theirs = motion.rotations[0, motion.names.index(bone)] @ directions[bone]
        cosine = ours[JOINT_INDEX[joint]] @ theirs / np.linalg.norm(theirs)
        assert np.degrees(np.arccos(np.clip(cosine, -1, 1))) < 0.1, joint


def test_a_knee_turns_by_the_angle_of_the_file_about_an_axis_across_the_leg(tmp_path):
    pose, _ = cmu(tmp_path, ltibia=(70.0,))
    lean = np.radians(SMPL_LEAN)
    across = 70 * np.array([np.cos(lean), np.sin(lean), 0.0])  # the leg leans in the plane of x and y
    np.testing.assert_allclose(np.degrees(pose[JOINT_INDEX["left_knee"]]), across, atol=0.01)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name ltibia", "name shin", "hierarchy names ltibia below lfemur"),
        ("direction 0.089", "direction x", "bone lfoot: .* missing or damaged"),
        (":root", ":roots", "has no section :root"),
        ("order TX", "ordr TX", ":root: order or orientation"),
    ],
)
def test_a_damaged_skeleton_is_named_with_the_field(tmp_path, old, new, message):
    (tmp_path / "07.asf").write_text(asf_text().replace(old, new, 1))
    with pytest.raises(UserError, match=f"07.asf: .*{message}"):
        read_asf(tmp_path / "07.asf")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ltibia 0", "shin 0", "frame 1: ltibia is missing"),
        ("ltibia 0", "ltibia 0 0", "frame 1: ltibia has 2 numbers, not 1"),
        ("ltibia 0", "ltibia x", "frame 1: ltibia has no numbers but x"),
        ("\n1\n", "\n", "has no frame"),
    ],
)
def test_a_damaged_motion_is_named_with_frame_and_bone(tmp_path, old, new, message):
    (tmp_path / "07.asf").write_text(asf_text())
    (tmp_path / "07_01.amc").write_text(amc_text(1).replace(old, new, 1))
    with pytest.raises(UserError, match=f"07_01.amc: {message}"):
        read_amc(tmp_path / "07_01.amc", read_asf(tmp_path / "07.asf"), 120.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY", "SKELETON", "is no BVH"),
        ("Frames: 2", "Frames: 3", "MOTION has .* numbers, not 3 frames of 69"),
        ("Frame Time: 0.0", "Frame Time: a", "does not begin with"),
        ("OFFSET 0", "OFFSET x", "HIERARCHY: joint pelvis"),
        ("Zrotation", "Wrotation", "HIERARCHY: joint pelvis: unknown channels"),
        ("JOINT left_hip", "JOINT hip_l", "has no joint left_hip"),
    ],
)
def test_a_damaged_bvh_and_an_unknown_skeleton_are_named(tmp_path, old, new, message):
    write_bvh(tmp_path / "own.bvh", np.zeros((2, 22, 3), np.float32))
    (tmp_path / "own.bvh").write_text((tmp_path / "own.bvh").read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        body_poses(read_bvh(tmp_path / "own.bvh"))
