"""The SMPL family (SMPL, SMPL-H, SMPL-X) behind the same interface as the bundled body.

The model files are licensed to you by their makers and are never part of this project. Only their plain arrays are
read; the skinning is smplx's own function. Hands stay flat and the face neutral: poses have 22 joints.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pose_rft.body.model import NUM_BETAS, BodyModel
from pose_rft.body.skeleton import NUM_JOINTS, PARENTS
from pose_rft.errors import UserError
from pose_rft.storage import read_arrays

ARRAYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
# Plain SMPL pickles hold the regressor as a sparse matrix.
CONVERT = (
    "{pkl}: pickles are not read, as they can run code; if you trust this one, convert it once: "
    "python -c \"import pickle, numpy as n; d = pickle.load(open('{pkl}', 'rb'), encoding='latin1'); "
    "d['J_regressor'] = getattr(d['J_regressor'], 'toarray', lambda: d['J_regressor'])(); "
    f"n.savez('{{npz}}', **{{{{k: n.asarray(d[k]) for k in '{' '.join(ARRAYS)}'.split()}}}})\""
)


class SmplBody(BodyModel):
    """A model of the SMPL family from an ``.npz`` file, or from a folder that holds just one neutral one.

    Raises:
        UserError: smplx is not installed, no such file, a pickle, or not a body model.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            from smplx.lbs import lbs
        except ImportError as error:
            raise UserError(
                f"{path}: the SMPL family needs the package smplx; install it with: pip install 'pose-rft[smpl]'"
            ) from error
        file = _model_file(Path(path))
        arrays = _plain_arrays(file)
        parents = arrays["kintree_table"][0].astype(np.int64)
        if tuple(parents[1:NUM_JOINTS]) != PARENTS[1:]:
            raise UserError(f"{file}: its first 22 joints are not SMPL's body; give an SMPL, SMPL-H or SMPL-X model")
        self._lbs = lbs
        self.name = file.name
        self.faces = torch.from_numpy(arrays["f"].astype(np.int64))
        self._parents = torch.from_numpy(parents)
        self._template = _tensor(arrays["v_template"])  # (V, 3)
        self._directions = _tensor(arrays["shapedirs"])[..., :NUM_BETAS]  # (V, 3, 10)
        posedirs = arrays["posedirs"]  # (V, 3, 9 (J - 1))
        self._pose_directions = _tensor(posedirs.reshape(-1, posedirs.shape[-1]).T)
        self._regressor = _tensor(arrays["J_regressor"])  # (J, V)
        self._weights = _tensor(arrays["weights"])  # (V, J)
        self._joints = (self._regressor @ self._template)[:NUM_JOINTS]
        self._joint_directions = torch.einsum("jv,vib->bji", self._regressor, self._directions)[:, :NUM_JOINTS]
        self.skin_weights, self.skin_joints = _body_weights(self._weights, parents).topk(4, dim=1)
        self.offsets = self.rest_offsets(torch.zeros(self._directions.shape[-1]))

    @property
    def num_joints(self) -> int:
        """24 of SMPL (the last two are hands), 52 of SMPL-H, 55 of SMPL-X."""
        return len(self._parents)

    def rest_offsets(self, betas: Tensor) -> Tensor:
        if betas.shape[-1] != len(self._joint_directions):
            raise UserError(f"betas must end in ({len(self._joint_directions)},), not {tuple(betas.shape)}")
        joints = self._joints.to(betas) + torch.einsum("...b,bji->...ji", betas, self._joint_directions.to(betas))
        return joints - joints[..., [0, *PARENTS[1:]], :]

    def vertices(self, pose: Tensor, betas: Tensor | None = None, trans: Tensor | None = None) -> Tensor:
        skin = self.posed(pose, betas)[0]
        return skin if trans is None else skin + trans.unsqueeze(-2)

    def posed(self, pose: Tensor, betas: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Skin (..., V, 3) and all joints (..., ``num_joints``, 3), pelvis at the origin; arguments as ``vertices``."""
        batch = pose.shape[:-2]
        if betas is None:
            betas = pose.new_zeros(self._directions.shape[-1])
        shape = betas.to(pose).expand(*batch, -1).reshape(-1, betas.shape[-1])
        rest = pose.new_zeros(len(shape), len(self._parents) - NUM_JOINTS, 3)  # flat hands, neutral face
        full = torch.cat([pose.reshape(-1, NUM_JOINTS, 3), rest], dim=1).flatten(1)
        model = (self._template, self._directions, self._pose_directions, self._regressor)
        skin, joints = self._lbs(
            shape, full, *(part.to(pose) for part in model), self._parents.to(pose.device), self._weights.to(pose)
        )
        skin, joints = skin - joints[:, :1], joints - joints[:, :1]
        return skin.reshape(*batch, -1, 3), joints.reshape(*batch, -1, 3)


def _model_file(path: Path) -> Path:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*.npz") if "neutral" in file.name.lower())
        if len(found) != 1:
            names = ", ".join(file.name for file in found) or "none"
            raise UserError(f"{path}: needs one neutral .npz model and has {names}; give the file itself")
        return found[0]
    if not path.is_file():
        raise UserError(f"{path}: no such body model; use 'cc0', or the .npz file of an SMPL, SMPL-H or SMPL-X model")
    if path.suffix == ".pkl":
        raise UserError(CONVERT.format(pkl=path, npz=path.with_suffix(".npz")))
    return path


def _plain_arrays(path: Path) -> dict[str, np.ndarray]:
    found = read_arrays(path, ARRAYS)
    missing = [key for key in ARRAYS if key not in found]
    if missing:
        raise UserError(f"{path}: no body model, it lacks {', '.join(missing)}; give an SMPL-family .npz")
    arrays = {key: array for key in ARRAYS if (array := found[key]) is not None}
    if len(arrays) < len(ARRAYS):
        raise UserError(f"{path}: not an .npz of plain arrays; convert the model again (see docs/body.md)")
    return arrays


def _body_weights(weights: Tensor, parents: np.ndarray) -> Tensor:
    """Skinning weights (V, 22): fingers, jaw and eyes count for the body joint that they hang on."""
    body = weights[:, :NUM_JOINTS].clone()
    for joint in range(NUM_JOINTS, weights.shape[1]):
        ancestor = int(parents[joint])
        while ancestor >= NUM_JOINTS:
            ancestor = int(parents[ancestor])
        body[:, ancestor] += weights[:, joint]
    return body


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
