"""Motion of other skeletons as poses of SMPL's 22 joints.

Every joint turns as its bone does from that skeleton's own rest pose, which has to be a person upright with the arms
out to the sides, the legs straight, together or apart. Thighs, shins, upper arms and forearms then point where they
point in the recording. Trunk, shoulder line, head, hands and feet are taken to be at rest in both rest poses; where
the skeletons differ there, joints lie elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import roma
import torch

from pose_rft.body.load import load_body
from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, PARENTS, mirrored_name
from pose_rft.errors import UserError

# Degrees. SMPL's legs lean outwards in its rest pose, the bundled body's are plumb. Poses have to mean the same,
# whatever they come from, so they are made for SMPL's legs. This is how far they lean by ``cmu_poses.npz``.
SMPL_LEAN = 6.4


@dataclass(frozen=True)
class Motion:
    """A skeleton that moves.

    Attributes:
        names: (J) of its joints.
        rest: (J, 3) where they are in the rest pose, in any unit; y up, the body faces +z.
        rotations: (N, J, 3, 3) how each is turned from there, in the world.
        fps: frames a second.
    """

    names: tuple[str, ...]
    rest: np.ndarray
    rotations: np.ndarray
    fps: float


@dataclass(frozen=True)
class Rig:
    """Which joints of a skeleton are SMPL's.

    Attributes:
        joints: SMPL's name -> where the joint is.
        turned_by: SMPL's name -> what it turns with, where that is another joint.
        lean: degrees by which the legs of the body that its poses are meant for lean outwards in the rest pose.
    """

    joints: Mapping[str, str]
    turned_by: Mapping[str, str]
    lean: float


def _both_sides(left: Mapping[str, str], one: str, other: str) -> dict[str, str]:
    """Names of the left side and, with one text in place of another, of the right."""
    return dict(left) | {mirrored_name(name): joint.replace(one, other, 1) for name, joint in left.items()}


CMU_ASF = Rig(  # the skeletons of mocap.cs.cmu.edu; a forearm rolls in `lwrist`, which is its farther half
    joints={"pelvis": "root", "spine1": "lowerback", "spine2": "upperback", "spine3": "thorax", "neck": "lowerneck"}
    | {"head": "head"}
    | _both_sides({"left_collar": "lclavicle", "left_shoulder": "lhumerus", "left_elbow": "lradius"}, "l", "r")
    | _both_sides({"left_wrist": "lhand", "left_hip": "lfemur", "left_knee": "ltibia", "left_ankle": "lfoot"}, "l", "r")
    | _both_sides({"left_foot": "ltoes"}, "l", "r"),
    turned_by=_both_sides({"left_elbow": "lwrist"}, "l", "r"),
    lean=SMPL_LEAN,
)
CMU_BVH = Rig(  # B. Hahne's conversion of the same; the names that many others have too
    joints={"pelvis": "Hips", "spine1": "LowerBack", "spine2": "Spine", "spine3": "Spine1", "neck": "Neck"}
    | {"head": "Head"}
    | _both_sides({"left_collar": "LeftShoulder", "left_shoulder": "LeftArm", "left_hip": "LeftUpLeg"}, "Left", "Right")
    | _both_sides({"left_elbow": "LeftForeArm", "left_knee": "LeftLeg", "left_ankle": "LeftFoot"}, "Left", "Right")
    | _both_sides({"left_wrist": "LeftFingerBase", "left_foot": "LeftToeBase"}, "Left", "Right"),
    turned_by=_both_sides({"left_elbow": "LeftHand"}, "Left", "Right"),
    lean=SMPL_LEAN,
)
OWN = Rig(joints={name: name for name in JOINT_NAMES}, turned_by={}, lean=0.0)
RIGS = (OWN, CMU_BVH, CMU_ASF)


def body_poses(motion: Motion) -> np.ndarray:
    """Poses (N, 22, 3) float32 of a motion, axis-angle.

    Raises:
        UserError: its joints are not those of a skeleton that is known (``RIGS``).
    """
    rig = next((rig for rig in RIGS if set(rig.joints.values()) <= set(motion.names)), None)
    if rig is None:
        closest = max(RIGS, key=lambda rig: len(set(rig.joints.values()) & set(motion.names)))
        missing = [name for name in closest.joints.values() if name not in motion.names]
        raise UserError(
            f"has no joint {', '.join(missing[:4])}; known are the skeletons of CMU's ASF, its BVH and our own"
        )
    row = {name: number for number, name in enumerate(motion.names)}
    places = np.stack([motion.rest[row[rig.joints[name]]] for name in JOINT_NAMES])
    turns = [rig.turned_by.get(name, rig.joints[name]) for name in JOINT_NAMES]
    world = motion.rotations[:, [row[name] for name in turns]] @ _rest_turns(places, rig.lean)
    local = world.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            local[:, joint] = world[:, parent].swapaxes(-1, -2) @ world[:, joint]
    return roma.rotmat_to_rotvec(torch.from_numpy(local)).float().numpy()


LIMBS = {  # bones that are laid along the skeleton's own: joint -> the next one
    JOINT_INDEX[f"{side}_{one}"]: JOINT_INDEX[f"{side}_{other}"]
    for side in ("left", "right")
    for one, other in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
}


def _rest_turns(places: np.ndarray, lean: float) -> np.ndarray:
    """(22, 3, 3) that turn SMPL's joints from their rest pose into that of a skeleton with joints at (22, 3).

    Upper arms, forearms, thighs and shins are turned, each by the shortest way beyond the one above it; trunk, head and
    shoulder line are at rest in both; hands and feet stay as they are on their limbs.
    """
    offsets = load_body().offsets.double().numpy()
    for side, sign in (("left", 1), ("right", -1)):
        for name in ("knee", "ankle"):
            bone = JOINT_INDEX[f"{side}_{name}"]
            offsets[bone] = _turned_z(sign * lean) @ offsets[bone]
    turns = np.broadcast_to(np.eye(3), (len(places), 3, 3)).copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            turns[joint] = turns[parent]
        if joint in LIMBS:
            bone = places[LIMBS[joint]] - places[joint]
            turns[joint] = _shortest(turns[parent] @ offsets[LIMBS[joint]], bone) @ turns[parent]
    return turns


def _turned_z(degrees: float) -> np.ndarray:
    return roma.euler_to_rotmat("z", [degrees], degrees=True).double().numpy()


def _shortest(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(3, 3) the smallest rotation from one direction to another."""
    axis = np.cross(one, other)
    sine = np.linalg.norm(axis)
    angle = np.arctan2(sine, one @ other)
    vector = axis / sine * angle if sine > 0 else np.zeros(3)
    return roma.rotvec_to_rotmat(torch.from_numpy(vector)).numpy()
