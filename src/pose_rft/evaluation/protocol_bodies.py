"""What measuring by a protocol takes: body models, a joint regressor, and distances on the joints that it names."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from pose_rft.body import BodyModel, load_body
from pose_rft.body.distances import pa_mpjpe
from pose_rft.body.smpl import SmplBody
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.evaluation.protocols import H36M_17, PoseProtocol
from pose_rft.storage import read_arrays

SMPL_JOINTS = 24
# SMPL_FEMALE.npz, or basicmodel_f_lbs_10_207_0_v1.1.0.npz as SMPL's makers call it.
NAMES = {
    "female": re.compile(r"female|_f_"),
    "male": re.compile(r"(?<!fe)male|_m_"),
    "neutral": re.compile(r"neutral"),
}


@dataclass(frozen=True)
class ProtocolBodies:
    """The bodies on which a protocol measures.

    Attributes:
        protocol: what is measured.
        bodies: by gender.
        regressor: (R, V) from vertices to joints; None takes the bodies' own joints.
    """

    protocol: PoseProtocol
    bodies: Mapping[str, BodyModel]
    regressor: Tensor | None = None

    @classmethod
    def load(cls, protocol: PoseProtocol, smpl: Path | None) -> Self:
        """Read what a protocol needs.

        Args:
            smpl: of a protocol on any body the file of a model, None for the bundled one; else a folder with SMPL's
                models as ``.npz`` (neutral, and male and female where the protocol takes the annotated gender) and
                ``J_regressor_h36m.npy``.

        Raises:
            UserError: one of these is missing or of another kind, or poses alone cannot be measured by the protocol.
        """
        if protocol.truth == "joints":
            raise UserError(
                f"--protocol {protocol.name}: compares with recorded joints, which a line of poses does not hold; "
                "measure them with pose_rft.evaluation.protocol_bodies.joint_distances"
            )
        if protocol.body == "any":
            return cls(protocol, {"neutral": load_body(str(smpl or "cc0"))})
        if smpl is None:
            raise UserError(f"--protocol {protocol.name}: needs the folder of your SMPL models; give --smpl FOLDER")
        genders = tuple(NAMES) if protocol.gender == "annotated" else ("neutral",)
        bodies = {gender: _smpl_model(smpl, gender) for gender in genders}
        if protocol.regressor == "body model":
            return cls(protocol, bodies)
        return cls(protocol, bodies, _regressor(smpl / protocol.regressor, bodies["neutral"]))

    def check(self, samples: Sequence[Sample]) -> None:
        """Find out before anything is asked whether all recorded poses can be measured.

        Raises:
            UserError: a recorded body without a shape, or without a gender where the protocol takes the annotated one.
        """
        if self.protocol.body == "any":
            return
        for sample in samples:
            needed = {"betas": sample.betas is None}
            needed["gender"] = self.protocol.gender == "annotated" and not sample.gender
            missing = [name for name, lacks in needed.items() if lacks]
            if sample.pose is not None and missing:
                raise UserError(
                    f"{sample.source}: {missing[0]}: is missing, and --protocol {self.protocol.name} measures against "
                    "the recorded body; add it, or leave the protocol out"
                )

    def distances(self, sample: Sample, poses: Tensor) -> dict[str, Tensor]:
        """``mpjpe``, ``pa_mpjpe`` and ``pve``, metres, (K,) each, of poses (K, 22, 3) to the recorded one.

        The estimated body is neutral and of the mean shape; so is the recorded one on any body, and on SMPL it has its
        own shape, and its own gender where the protocol says so.
        """
        gender = sample.gender if self.protocol.gender == "annotated" and sample.gender else "neutral"
        betas = None if sample.betas is None or self.protocol.body == "any" else torch.as_tensor(sample.betas)
        skin, joints = self._posed("neutral", poses, None)
        true_skin, true_joints = self._posed(gender, torch.as_tensor(sample.pose).to(poses)[None], betas)
        found = joint_distances(self.protocol, joints, true_joints.expand_as(joints))
        root, true_root = _root(self.protocol, joints), _root(self.protocol, true_joints)
        return found | {"pve": ((skin - root) - (true_skin - true_root)).norm(dim=-1).mean(dim=-1)}

    def _posed(self, gender: str, poses: Tensor, betas: Tensor | None) -> tuple[Tensor, Tensor]:
        """Vertices (K, V, 3), and joints (K, R, 3) before the protocol takes its rows."""
        body = self.bodies[gender]
        if isinstance(body, SmplBody):
            skin, joints = body.posed(poses, betas)
        else:
            skin, joints = body.vertices(poses, betas), body.joints(poses, betas)
        return skin, joints if self.regressor is None else self.regressor.to(skin) @ skin


def joint_distances(protocol: PoseProtocol, predicted: Tensor, target: Tensor) -> dict[str, Tensor]:
    """``mpjpe`` and ``pa_mpjpe`` by a protocol.

    Args:
        predicted, target: (..., R, 3) metres, as the protocol's regressor or body model orders them.

    Returns:
        (...) each, metres.
    """
    chosen = list(protocol.joints)
    moved = predicted - _root(protocol, predicted), target - _root(protocol, target)
    ours, theirs = moved[0][..., chosen, :], moved[1][..., chosen, :]
    error = (ours - theirs).norm(dim=-1).mean(dim=-1)
    return {"mpjpe": error, "pa_mpjpe": pa_mpjpe(ours, theirs, protocol.scale)}


def _root(protocol: PoseProtocol, joints: Tensor) -> Tensor:
    """(..., 1, 3) what is laid on the origin."""
    return joints[..., list(protocol.root), :].mean(dim=-2, keepdim=True)


def _smpl_model(folder: Path, gender: str) -> SmplBody:
    """The SMPL model of a gender in a folder."""
    if not folder.is_dir():
        raise UserError(f"--smpl {folder}: no such folder; give the one with your SMPL models")
    found = sorted(file for file in folder.rglob("*.npz") if NAMES[gender].search(file.name.lower()))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise UserError(
            f"--smpl {folder}: needs one {gender} SMPL model such as SMPL_{gender.upper()}.npz and has {names} "
            "(docs/body.md says how a .pkl becomes one)"
        )
    body = SmplBody(found[0])
    if body.num_joints != SMPL_JOINTS:
        raise UserError(f"{found[0]}: has {body.num_joints} joints; protocols measure on SMPL, which has {SMPL_JOINTS}")
    return body


def _regressor(path: Path, body: BodyModel) -> Tensor:
    """(17, V) of an ``.npy``."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; SPIN's data (github.com/nkolot/SPIN) have it, put it beside the models")
    array = read_arrays(path, ("array",)).get("array")
    shape = len(H36M_17), len(body.skin_weights)
    if array is None or array.shape != shape:
        has = "no array" if array is None else f"shape {array.shape}"
        raise UserError(f"{path}: has {has}, not {shape}, a row for each joint and a column for each vertex")
    return torch.from_numpy(array).float()
