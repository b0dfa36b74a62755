"""Poses in ``.npz`` files: the arrays of AMASS (Mahmood et al., ICCV 2019), written and read."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import roma
import torch

from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.errors import UserError
from pose_rft.storage import atomic_file

AMASS_JOINTS = 52  # SMPL-H: 22 body joints, then 15 for each hand
AMASS_BETAS = 16
KNOWN_WIDTHS = (66, 72, 156, 165)  # body alone, SMPL, SMPL-H, SMPL-X; each begins with the 22 body joints


@dataclass(frozen=True)
class PoseFile:
    """What a pose file holds.

    Attributes:
        pose: (N, 22, 3) float32 axis-angle, radians, y-up.
        trans: (N, 3) float32 metres, or None where the file has none.
        betas: (B,) float32 shape components of the body that was recorded, or None.
        gender: as the file says, ``neutral`` where it says nothing.
        fps: frames a second, or None.
    """

    pose: np.ndarray
    trans: np.ndarray | None = None
    betas: np.ndarray | None = None
    gender: str = "neutral"
    fps: float | None = None


def write_amass(
    path: str | Path,
    pose: np.ndarray,
    trans: np.ndarray | None = None,
    betas: np.ndarray | None = None,
    gender: str = "neutral",
    fps: float = 30.0,
) -> None:
    """Write poses (N, 22, 3) with AMASS's keys: poses (N, 156), trans (N, 3), betas (16,), gender, mocap_framerate.

    Hands are left flat (zeros). The world stays y-up, as everywhere in this project.

    Raises:
        UserError: the path cannot be written; what stood there stays.
    """
    frames = len(pose)
    poses = np.zeros((frames, AMASS_JOINTS, 3), np.float32)
    poses[:, :NUM_JOINTS] = pose
    shape = np.zeros(AMASS_BETAS, np.float32)
    if betas is not None:
        shape[: len(betas)] = betas
    with atomic_file(Path(path)) as part, part.open("wb") as file:
        np.savez(
            file,
            poses=poses.reshape(frames, -1),
            trans=np.zeros((frames, 3), np.float32) if trans is None else np.asarray(trans, np.float32),
            betas=shape,
            gender=np.array(gender),
            mocap_framerate=np.array(float(fps)),
        )


def read_poses(path: str | Path, up: Literal["y", "z"] = "y") -> PoseFile:
    """Read ``pose`` (N, 22, 3), or AMASS's ``poses`` (N, 66 | 72 | 156 | 165), from an ``.npz`` file.

    Args:
        path: the file.
        up: the axis that points up in it; AMASS's own recordings have ``"z"``, and are turned to y-up.

    Raises:
        UserError: no such file, not an npz, neither key, no frame, a wrong shape, or values that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; give an .npz with 'pose' (N, 22, 3) or AMASS 'poses' (N, 156)")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise UserError(f"{path}: a single array, not an .npz; save it with np.savez(path, pose=array)")
        with loaded as data:
            pose = _body_pose(path, data)
            trans = _optional(path, data, "trans", (len(pose), 3))
            betas = np.asarray(data["betas"], np.float32).reshape(-1) if "betas" in data else None
            gender = str(data["gender"].astype(str)) if "gender" in data else "neutral"
            rates = [float(data[key]) for key in ("mocap_framerate", "mocap_frame_rate") if key in data]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: not an .npz of plain arrays; save it with np.savez(path, pose=array)") from error
    if up == "z":
        pose, trans = _z_up_to_y_up(pose, trans)
    return PoseFile(pose, trans, betas, gender, rates[0] if rates else None)


def _body_pose(path: Path, data: np.lib.npyio.NpzFile) -> np.ndarray:
    if "pose" in data:
        pose = np.asarray(data["pose"], np.float32)
        if pose.ndim != 3 or pose.shape[1:] != (NUM_JOINTS, 3):
            raise UserError(f"{path}: 'pose' has shape {pose.shape}; it must be (N, 22, 3) axis-angle")
    elif "poses" in data:
        poses = np.asarray(data["poses"], np.float32)
        if poses.ndim != 2 or poses.shape[1] not in KNOWN_WIDTHS:
            widths = " or ".join(str(width) for width in KNOWN_WIDTHS)
            raise UserError(f"{path}: 'poses' has shape {poses.shape}; AMASS has (N, {widths})")
        pose = poses[:, : NUM_JOINTS * 3].reshape(-1, NUM_JOINTS, 3)
    else:
        keys = ", ".join(data.files) or "nothing"
        raise UserError(f"{path}: holds {keys}, but no 'pose' (N, 22, 3) and no AMASS 'poses' (N, 156)")
    if not len(pose):
        raise UserError(f"{path}: holds no frame; give at least one pose")
    return _finite(path, "pose", pose)


def _optional(path: Path, data: np.lib.npyio.NpzFile, key: str, shape: tuple[int, ...]) -> np.ndarray | None:
    if key not in data:
        return None
    array = np.asarray(data[key], np.float32)
    if array.shape != shape:
        raise UserError(f"{path}: '{key}' has shape {array.shape}; with these poses it must be {shape}")
    return _finite(path, key, array)


def _finite(path: Path, key: str, array: np.ndarray) -> np.ndarray:
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if bad.any():
        raise UserError(f"{path}: '{key}' of frame {int(bad.argmax())} is not finite; remove that frame")
    return array


def _z_up_to_y_up(pose: np.ndarray, trans: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    turn = roma.euler_to_rotmat("x", [-90.0], degrees=True)
    root = roma.rotmat_to_rotvec(turn @ roma.rotvec_to_rotmat(torch.from_numpy(pose[:, 0])))
    turned = np.concatenate([root.numpy()[:, None], pose[:, 1:]], axis=1)
    return turned, None if trans is None else trans @ turn.numpy().T
