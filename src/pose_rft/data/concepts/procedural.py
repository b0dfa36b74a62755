"""Poses from the pose language: natural, varied, anatomically possible, and fast (batches of thousands).

`sample_poses` solves one `PoseSpec` for N samples at once: root and pelvis, legs, spine, head, then arms, because hands
may be told to touch what was placed before. Directions become rotations by the shortest arc with a twist that bends
elbows and knees the human way; targets are solved by two-bone inverse kinematics (limb_geometry.py).
"""

import math
from dataclasses import dataclass

import numpy as np
import roma
import torch
from torch import Tensor

from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, PARENTS
from pose_rft.data.concepts.figure import DIRECTION_NOISE, Figure, X, Y, Z
from pose_rft.data.concepts.landmarks import LANDMARKS
from pose_rft.data.concepts.limb_geometry import about, angle_between, frame, limb_rotations, reach, rotate, unit
from pose_rft.data.concepts.pose_language import NUMBER_LIMITS, Direction, Limb, PoseSpec, parse_direction
from pose_rft.posescript.balance import centre_of_mass, way_to_hull

STANCE_NOISE = 1.5  # of legs that carry the body
TARGET_NOISE = 0.01  # metres
UPRIGHT = 0.6  # metres of the hips above the ankles; seated on a chair it is 0.5
BALANCING = 3  # times that a body is turned about its feet
INSIDE, AT_ONCE = 0.02, math.radians(6)  # how far over the feet, metres, and by how much a time, radians
ABOVE_THE_FEET = [i for i, name in enumerate(JOINT_NAMES) if not name.endswith(("_ankle", "_foot"))]
MAX_ELBOW, MAX_KNEE = math.radians(150), math.radians(160)


@dataclass(frozen=True, slots=True)
class Solved:
    """Solved poses and how well the words could be followed.

    Attributes:
        pose: (N, 22, 3) axis-angle, radians.
        miss: limb -> (N,) metres between hand or foot and its target, for limbs with a target.
        bent: limb -> (N,) radians between the asked and the solved direction of the lower bone.
    """

    pose: Tensor
    miss: dict[str, Tensor]
    bent: dict[str, Tensor]


def sample_poses(spec: PoseSpec, n: int, seed: int) -> np.ndarray:
    """Sample poses that do what `spec` says.

    Args:
        spec: what `pose_language.parse_pose` returns.
        n: how many.
        seed: the same seed gives the same poses.

    Returns:
        (n, 22, 3) float32 axis-angle, radians, SMPL order.
    """
    return solve(spec, n, seed).pose.numpy()


def solve(spec: PoseSpec, n: int, seed: int) -> Solved:
    """`sample_poses` together with what could not be reached or bent as asked."""
    return _Solver(spec, n, seed).solve()


class _Solver(Figure):
    """Trunk, legs, feet, head and arms of one batch, one after the other."""

    def solve(self) -> Solved:
        self.place_trunk()
        order = ("left", "right")
        left = self.spec.limbs["left_leg"].reach
        for side in self.of_pair("leg", order if not (left and left.side == "right") else order[::-1]):
            self.place_leg(side)
        self.place_feet()
        look_at_hand = isinstance(self.spec.look, str)
        self.place_head(None if look_at_hand else self.spec.look)
        self.place_arms()
        if not self.spec.off_balance:
            turned = [self.balance() for _ in range(BALANCING)]
            if any(turned):
                self.place_arms()  # hands may be told to touch a leg
        if look_at_hand:
            self.place_head(self.spec.look)
        world = torch.stack([self.rotation[name] for name in JOINT_NAMES], dim=1)
        local = torch.cat([world[:, :1], world[:, list(PARENTS[1:])].mT @ world[:, 1:]], dim=1)
        return Solved(roma.rotmat_to_rotvec(local), self.miss, self.bent)

    def place_trunk(self) -> None:
        number = self.number
        self.level = about(Y, number("root", "turn"))
        self.root = self.level @ about(X, number("root", "pitch")) @ about(Z, -number("root", "roll"))
        bend, side, twist = number("trunk", "bend"), number("trunk", "side"), number("trunk", "twist")
        # `bend` is the lean of the line from pelvis to neck. Bending the spine by s moves that line by about 0.6 s;
        # people bend forward mostly at the hips and backward mostly in the spine.
        spine_bend = torch.where(bend > 0, 0.55 * bend, 0.8 * bend).clamp(math.radians(-42), math.radians(65))
        if ("trunk", "curl") in self.spec.numbers:  # a rounder back at the same lean
            spine_bend = (spine_bend + number("trunk", "curl")).clamp(max=math.radians(65))
        # Who stands with both feet on the floor cannot tip the hips sideways without bending a knee.
        spine_side = (1.6 * side).clamp(-0.85, 0.85) if self.spec.level else (1.1 * side).clamp(-0.7, 0.7)
        pelvis = (
            self.root
            @ about(Y, 0.12 * twist)
            @ about(Z, -(side - 0.6 * spine_side))
            @ about(X, bend - 0.6 * spine_bend)
        )
        self.place("pelvis", pelvis)
        parent = pelvis
        for joint in ("spine1", "spine2", "spine3"):
            parent = parent @ about(Y, 0.88 * twist / 3) @ about(Z, -spine_side / 3) @ about(X, spine_bend / 3)
            self.place(joint, parent)
        self.chest = parent
        # neck and collars are needed as landmarks before head and arms are solved
        self.place("neck", parent)

    def place_head(self, look: Direction | str | None) -> None:
        nod, turn, tilt = (self.number("head", name) for name in ("nod", "turn", "tilt"))
        if look is not None:
            if isinstance(look, str):
                wanted = unit(self.position[f"{look}_wrist"] - self.end("neck", "head"))
            else:
                wanted = self.direction(look, "left", self.root, noise=4.0)
            local = rotate(self.chest.mT, wanted)
            limit = {name: [math.radians(v) for v in NUMBER_LIMITS["head", name]] for name in ("nod", "turn")}
            turn = torch.atan2(local[:, 0], local[:, 2].clamp_min(0.02)).clamp(*limit["turn"])
            nod = -torch.asin(local[:, 1].clamp(-1, 1)).clamp(-limit["nod"][1], -limit["nod"][0])
        push = self.number("head", "push") if ("head", "push") in self.spec.numbers else 0.0 * nod
        for joint, share, forward in (("neck", 0.45, push), ("head", 0.55, -push)):
            parent = self.chest if joint == "neck" else self.rotation["neck"]
            sideways = about(Y, share * turn) @ about(Z, -share * tilt)
            self.place(joint, parent @ sideways @ about(X, share * nod + forward))

    def target_noise(self) -> Tensor:
        """Metres (N, 3), in the frame of the chest or the hips."""
        return TARGET_NOISE * self.spec.vary * self.vector()

    # -- legs ------------------------------------------------------------------------------------------------------

    def place_leg(self, side: str) -> None:
        limb = self.spec.limbs[f"{side}_leg"]
        hip = self.end("pelvis", f"{side}_hip")
        self.position[f"{side}_hip"] = hip
        if limb.reach is None:
            noise = DIRECTION_NOISE if f"{side}_leg" in self.spec.fixed else STANCE_NOISE
            upper, lower, flexion = self.bone_directions(limb, side, self.root, 8.0, noise)
        else:
            _, thigh, shin = self.bones(f"{side}_knee", f"{side}_ankle")
            target = self.landmark(limb.reach, side) + rotate(self.root, self.target_noise())
            pole = limb.reach.pole or Direction(((1.0, 1.0, "forward"), (0.5, 0.5, "out")))
            upper, lower = reach(hip, target, self.direction(pole, side, self.root), thigh, shin, MAX_KNEE)
            flexion = torch.zeros(self.n)
        self.set_leg(side, upper, lower, flexion)
        if limb.reach is not None:
            self.miss[f"{side}_leg"] = (self.end(f"{side}_knee", f"{side}_ankle") - target).norm(dim=-1)

    def set_leg(self, side: str, upper: Tensor, lower: Tensor | None, flexion: Tensor) -> None:
        rest, _, _ = self.bones(f"{side}_knee", f"{side}_ankle")
        outwards = 1.0 if side == "left" else -1.0
        # twist about the thigh, which points down: internal rotation is negative for the left leg
        local = rotate(self.root.mT, upper)
        # a thigh that is both forward and out (cross-legged) is itself turned inwards by the shortest arc
        open_hip = (local[:, 2].clamp_min(0) * (outwards * local[:, 0]).clamp_min(0)).clamp_max(0.5)
        low, high = math.radians(-50) * torch.ones(self.n), torch.deg2rad(100 + 90 * open_hip)
        limits = (-high, -low) if outwards > 0 else (low, high)
        base = self.root.mT
        thigh, shin, solved = limb_rotations(
            rest, X, rotate(base, upper), None if lower is None else rotate(base, lower), flexion, limits, MAX_KNEE
        )
        if lower is not None:
            self.bent[f"{side}_leg"] = angle_between(rotate(base, lower), solved)
        self.place(f"{side}_hip", self.root @ thigh)
        self.place(f"{side}_knee", self.root @ shin)
        self.position[f"{side}_ankle"] = self.end(f"{side}_knee", f"{side}_ankle")

    def bone_directions(
        self, limb: Limb, side: str, torso: Tensor, default_flexion: float, noise: float
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Directions of both bones in the world; the lower one is None where only an angle is known."""
        assert limb.upper is not None, "every stance gives directions to the limbs that are not given a target"
        upper = self.direction(limb.upper, side, torso, noise)
        low, high = limb.angle or (180 - default_flexion, 180 - default_flexion)
        flexion = 180 - self.uniform(low, high)
        if low == high:
            flexion = (flexion + self.spec.vary * (3.0 if low < 170 else 2.0) * self.normal()).clamp_min(0)
        flexion = torch.deg2rad(flexion)
        if limb.lower is None:
            return upper, None, flexion
        if isinstance(limb.lower, str):  # "straight"
            return upper, None, torch.deg2rad(self.uniform(1.0, 9.0))
        lower = self.direction(limb.lower, side, torso, noise)
        if limb.angle is not None:  # keep the plane, set the angle
            axis = unit(torch.linalg.cross(upper, lower))
            lower = rotate(about(axis, flexion), upper)
        return upper, lower, flexion

    def level_feet(self) -> None:
        """Bend the leg whose foot is lower until both ankles are equally high (on tiptoe: the heel's height more)."""
        raised = {
            side: 0.10 * (self.spec.limbs[f"{side}_leg"].foot in ("tiptoe", "tucked")) for side in ("left", "right")
        }
        height = {side: self.position[f"{side}_ankle"][:, 1] - raised[side] for side in raised}
        floor = torch.maximum(height["left"], height["right"])
        for side in ("left", "right"):
            _, thigh, shin = self.bones(f"{side}_knee", f"{side}_ankle")
            hip, knee, ankle = (self.position[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
            target = torch.stack([ankle[:, 0], floor + raised[side], ankle[:, 2]], dim=-1)
            pole = unit(knee - (hip + ankle) / 2 + 0.02 * rotate(self.rotation[f"{side}_knee"], Z))
            upper, lower = reach(hip, target, pole, thigh, shin, MAX_KNEE)
            self.set_leg(side, upper, lower, torch.zeros(self.n))

    def balance(self) -> bool:
        """Turn the legs that bodies stand on, so that the weight comes over the feet; whether any had to be turned.

        People bring their hips to where arms and trunk are held up. Who touches the floor with more than the feet is
        left alone.
        """
        joints = torch.stack([self.position[name] for name in JOINT_NAMES], dim=1)
        ankles = joints[:, [JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]]]
        lowest = ankles[..., 1].amin(dim=1)
        over = joints[..., 1] - lowest[:, None]
        stands = (over[:, ABOVE_THE_FEET] > 0.15).all(dim=1) & ((over[:, 0] > UPRIGHT) | self.spec.level)
        carries = ankles[..., 1] < lowest[:, None] + 0.08  # (N, 2)
        weight = centre_of_mass(joints)[:, None, [0, 2]]
        feet = [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]]
        corners = torch.cat([ankles, joints[:, feet]], dim=1)[..., [0, 2]]
        some = corners[torch.arange(self.n), carries.byte().argmax(dim=1)]
        corners = torch.where(carries.repeat(1, 2)[..., None], corners, some[:, None])
        way = way_to_hull(corners - weight) * stands[:, None]
        if not way.any():
            return False
        length = way.norm(dim=1, keepdim=True).clamp_min(1e-6)
        way = way / length
        height = over[:, :1].clamp_min(0.3)
        angle = torch.where(length > 1e-3, (length + INSIDE) / height, 0).clamp(max=AT_ONCE)
        axis = torch.stack([way[:, 1], torch.zeros(self.n), -way[:, 0]], dim=-1)
        for column, side in enumerate(("left", "right")):
            turns = carries[:, column] | (self.spec.limbs[f"{side}_leg"].reach is not None)
            turn = roma.rotvec_to_rotmat(axis * angle * turns[:, None])
            for joint in ("hip", "knee"):
                self.place(f"{side}_{joint}", turn @ self.rotation[f"{side}_{joint}"])
            self.position[f"{side}_ankle"] = self.end(f"{side}_knee", f"{side}_ankle")
        self.place_feet()
        return True

    def place_feet(self) -> None:
        if self.spec.level:
            self.level_feet()
        for side in self.of_pair("leg", ("left", "right")):
            self.place_foot(side)

    def place_foot(self, side: str) -> None:
        mode = self.spec.limbs[f"{side}_leg"].foot
        shin, ankle = self.rotation[f"{side}_knee"], self.position[f"{side}_ankle"]
        jitter = self.spec.vary * self.normal()
        pitch = {"relax": 22.0, "point": 54.0, "flex": -4.0, "tucked": -18.0}.get(mode, 15.0)
        local = about(X, torch.deg2rad(pitch + 5.0 * jitter))
        if mode in ("auto", "flat", "tiptoe"):
            heading = rotate(shin, Z) * torch.tensor([1.0, 0.0, 1.0])
            level = frame_from_heading(heading)
            if mode == "tiptoe":
                level = level @ about(X, torch.deg2rad(38 + 4.0 * jitter))
            turned = roma.rotmat_to_rotvec(shin.mT @ level)
            low, high = torch.deg2rad(torch.tensor([[-38.0, -25.0, -20.0], [55.0, 25.0, 20.0]]))
            flat = roma.rotvec_to_rotmat(torch.minimum(torch.maximum(turned, low), high))
            if mode == "auto":
                lowest = torch.minimum(self.position["left_ankle"][:, 1], self.position["right_ankle"][:, 1])
                knee = self.position[f"{side}_knee"]
                stands = (
                    (ankle[:, 1] < lowest + 0.08) & (knee[:, 1] > ankle[:, 1] + 0.15) & (heading.norm(dim=-1) > 0.5)
                )
                local = torch.where(stands[:, None, None], flat, local)
            else:
                local = flat
        self.place(f"{side}_ankle", shin @ local)
        toes = math.radians({"tiptoe": -35.0, "tucked": -40.0}.get(mode, 0.0))
        self.place(f"{side}_foot", self.rotation[f"{side}_ankle"] @ about(X, toes + 0.04 * self.normal()))

    # -- arms ------------------------------------------------------------------------------------------------------

    def place_arms(self) -> None:
        left, order = self.spec.limbs["left_arm"].reach, ("left", "right")
        last = left and LANDMARKS[left.landmark].of_arm and left.side == "right"
        for side in self.of_pair("arm", order[::-1] if last else order):
            self.place_arm(side)

    def place_arm(self, side: str) -> None:
        limb = self.spec.limbs[f"{side}_arm"]
        rest, upper_length, lower_length = self.bones(f"{side}_elbow", f"{side}_wrist")
        sign = 1.0 if side == "left" else -1.0
        if limb.reach is None:
            upper, lower, flexion = self.bone_directions(limb, side, self.chest, 14.0, DIRECTION_NOISE)
            self.place_collar(side, upper)
        else:
            target = self.landmark(limb.reach, side) + rotate(self.chest, self.target_noise())
            landmark = LANDMARKS[limb.reach.landmark]
            pole_words = limb.reach.pole or parse_direction(landmark.pole)
            pole = self.direction(pole_words, side, self.chest, noise=2 * DIRECTION_NOISE)
            flexion = torch.zeros(self.n)
            self.place_collar(side, unit(target - self.end("spine3", f"{side}_collar")))
            wrist = target
            for _ in range(2):
                shoulder = self.end(f"{side}_collar", f"{side}_shoulder")
                upper, lower = reach(shoulder, wrist, pole, upper_length, lower_length, MAX_ELBOW)
                self.place_collar(side, upper)
                wrist = target - landmark.gap * lower
            shoulder = self.end(f"{side}_collar", f"{side}_shoulder")
            upper, lower = reach(shoulder, wrist, pole, upper_length, lower_length, MAX_ELBOW)
        # External rotation (forearm outwards or, with the arm raised, behind the head) grows with elevation.
        base = self.chest.mT
        local = rotate(base, upper)
        elevation = (local[:, 1] + 1) / 2
        external, internal = -torch.deg2rad(85 + 70 * elevation), torch.deg2rad(torch.full((self.n,), 115.0))
        limits = (external, internal) if sign > 0 else (-internal, -external)
        shoulder_rotation, elbow_rotation, solved = limb_rotations(
            rest, -sign * Y, local, None if lower is None else rotate(base, lower), flexion, limits, MAX_ELBOW
        )
        if lower is not None:
            self.bent[f"{side}_arm"] = angle_between(rotate(base, lower), solved)
        self.place(f"{side}_shoulder", self.chest @ shoulder_rotation)
        self.place(f"{side}_elbow", self.chest @ elbow_rotation)
        self.place_hand(side, limb)
        if limb.reach is not None:
            self.miss[f"{side}_arm"] = (self.position[f"{side}_wrist"] - wrist).norm(dim=-1)

    def place_collar(self, side: str, upper: Tensor) -> None:
        """Raise and pull forward the shoulder girdle as the arm goes up or forward (about a third of the elevation)."""
        sign = 1.0 if side == "left" else -1.0
        local = rotate(self.chest.mT, upper)
        elevation = torch.asin(local[:, 1].clamp(-1, 1))
        raised = (0.28 * (elevation + math.radians(30))).clamp(0, math.radians(28))
        raised = raised + math.radians(self.spec.limbs[f"{side}_arm"].shoulder)
        forward = (0.22 * local[:, 2] - 0.12 * sign * local[:, 0].clamp(-1, 1) * (local[:, 2] > 0)).clamp(-0.2, 0.3)
        self.place(f"{side}_collar", self.chest @ about(Z, sign * raised) @ about(Y, -sign * forward))

    def place_hand(self, side: str, limb: Limb) -> None:
        """Turn the palm (shared by forearm and wrist), or lay the hand flat on the floor."""
        forearm = self.rotation[f"{side}_elbow"]
        sign = 1.0 if side == "left" else -1.0
        axis = unit(self.offsets[JOINT_INDEX[f"{side}_wrist"]])
        if limb.reach is not None and LANDMARKS[limb.reach.landmark].joint == "floor":
            fingers = rotate(self.level, unit(Z + 0.3 * sign * X + 0.15 * self.vector()))
            if limb.reach.landmark == "floor_behind":
                fingers = -fingers
            level = frame(torch.stack([fingers[:, 0], torch.zeros(self.n), fingers[:, 2]], -1), Y.expand(self.n, 3))
            hand = level @ frame(sign * X.expand(self.n, 3), Y.expand(self.n, 3)).mT
            turned = roma.rotmat_to_rotvec(forearm.mT @ hand)
            size = turned.norm(dim=-1, keepdim=True)
            wrist = roma.rotvec_to_rotmat(turned * (size.clamp(max=math.radians(95)) / size.clamp_min(1e-6)))
        elif limb.palm is not None:
            wanted = rotate(forearm.mT, self.direction(limb.palm, side, self.chest))
            across = wanted - (wanted * axis).sum(-1, keepdim=True) * axis
            palm = -Y
            twist = torch.atan2((across * torch.linalg.cross(axis, palm)).sum(-1), (across * palm).sum(-1))
            twist = twist.clamp(-2.4, 2.4)
            # Half in the forearm, half in the wrist, as the radius turns about the ulna.
            self.place(f"{side}_elbow", forearm @ about(axis, twist / 2))
            forearm, wrist = self.rotation[f"{side}_elbow"], about(axis, twist / 2)
        else:
            wrist = torch.eye(3).expand(self.n, 3, 3)
        if limb.wrist:
            back = torch.linalg.cross(axis, Y) * math.radians(limb.wrist)
            wrist = wrist @ roma.rotvec_to_rotmat(back.expand(self.n, 3))
        wobble = roma.rotvec_to_rotmat(self.spec.vary * 0.05 * self.across * self.vector())
        self.place(f"{side}_wrist", forearm @ wrist @ wobble)


def frame_from_heading(heading: Tensor) -> Tensor:
    """Upright rotations (N, 3, 3) that turn +z to the horizontal `heading` (N, 3)."""
    return about(Y, torch.atan2(heading[:, 0], heading[:, 2]))
