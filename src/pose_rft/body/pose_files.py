"""Pose files: AMASS's arrays (Mahmood et al., ICCV 2019) written, and what users of the SMPL family have read.

This is the only reader of poses. It reads what has one meaning, refuses the rest in one line, and says what it took
for granted: which way is up, and in which unit angles are.
"""

import logging
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
import roma
import torch

from pose_rft.body.load import load_body
from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, NUM_JOINTS
from pose_rft.errors import UserError
from pose_rft.storage import atomic_file, read_arrays

logger = logging.getLogger(__name__)

Up = Literal["y", "z"]
Family = Literal["smplh", "smplx"]
FAMILY_JOINTS: dict[Family, int] = {"smplh": 52, "smplx": 55}  # 22 body joints, SMPL-X's face, then 15 of each hand
AMASS_BETAS = 16
WITH_ROOT = (22, 24, 52, 55)  # joints of the body alone, SMPL, SMPL-H and SMPL-X; each begins with the 22 body joints
WITHOUT_ROOT = (21, 23)  # the same of the body alone and SMPL, without the pelvis
WHOLE = ("pose", "poses", "fullpose", "array")  # arrays that hold all joints; `array` is what an .npy holds
PARTS = {"pose_body": "root_orient", "body_pose": "global_orient"}  # all joints but the pelvis: the pelvis
AMASS_KEYS = ("poses", "pose_body")  # AMASS's world is z-up
BESIDE = (
    "trans", "transl", "betas", "gender", "mocap_framerate", "mocap_frame_rate", "fps", "up", "sequence", "description",
)  # fmt: skip
EXPECTED = "give 'pose' (N, 22, 3) axis-angle, AMASS's 'poses' (N, 156), or rotation matrices (N, 22, 3, 3)"
PICKLES = (".pkl", ".pickle", ".p")
CONVERT = (
    "{pkl}: pickles are not read, as they can run code; if you trust this one, convert it once (3DPW, AIST++): "
    "python -c \"import pickle, numpy as n; d = pickle.load(open('{pkl}', 'rb'), encoding='latin1'); "
    "p = n.asarray(d['poses' if 'poses' in d else 'smpl_poses']); n.savez('{npz}', poses=p.reshape(-1, p.shape[-1]))\""
)
WHOLE_TURN = 2 * np.pi  # radians; no rotation vector has to be longer
UPRIGHT = np.cos(np.radians(45))  # cosine of the angle between a standing body's trunk and the vertical, at least
MOST = 0.9  # share of the poses that have to stand before they overrule a convention
SOME = 1000  # poses that are looked at for it


@dataclass(frozen=True)
class PoseFile:
    """What a pose file holds. All but ``pose`` is None where the file has none, or none that can be read.

    Attributes:
        pose: (N, 22, 3) float32 axis-angle, radians, y-up.
        trans: (N, 3) float32 metres.
        betas: (B,) float32 shape components of the body that was recorded; the mean where each frame has its own.
        gender: as the file says, ``neutral`` where it says nothing.
        fps: frames a second.
        sequence: (N,) texts, the recording that each pose is from.
        description: (N,) texts, what happens in it.
        assumed: what was taken for granted, one sentence each.
    """

    pose: np.ndarray
    trans: np.ndarray | None = None
    betas: np.ndarray | None = None
    gender: str = "neutral"
    fps: float | None = None
    sequence: np.ndarray | None = None
    description: np.ndarray | None = None
    assumed: tuple[str, ...] = ()


def write_amass(
    path: str | Path,
    pose: np.ndarray,
    trans: np.ndarray | None = None,
    betas: np.ndarray | None = None,
    gender: str = "neutral",
    fps: float = 30.0,
    family: Family = "smplh",
) -> None:
    """Write poses (N, 22, 3) with AMASS's keys: poses (N, 156), trans (N, 3), betas (16,), gender, mocap_framerate.

    Hands are left flat and the face neutral (zeros). The world stays y-up, and the key ``up`` says so.

    Args:
        family: ``smplx`` writes poses (N, 165), with SMPL-X's joints of the face.

    Raises:
        UserError: the path cannot be written; what stood there stays.
    """
    frames = len(pose)
    poses = np.zeros((frames, FAMILY_JOINTS[family], 3), np.float32)
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
            up=np.array("y"),
        )


def read_poses(path: str | Path, up: Up | None = None) -> PoseFile:
    """``read_pose_file``, with a line in the log for what was taken for granted."""
    found = read_pose_file(path, up)
    if found.assumed:
        logger.warning("%s: %s", path, "; ".join(found.assumed))
    return found


def read_pose_file(path: str | Path, up: Up | None = None) -> PoseFile:
    """Read poses from an ``.npz`` or ``.npy`` file.

    Known are ``pose`` or ``poses``, ``root_orient`` with ``pose_body``, and ``global_orient`` with ``body_pose``: as
    axis-angle (N, J, 3), (N, 3 J) or rotation matrices (N, J, 3, 3), (N, J, 9), of 22, 24, 52 or 55 joints, or of 21 or
    23 without the pelvis. Angles so large that they must be degrees are read as such.

    Args:
        path: the file.
        up: the axis that points up in it. None takes the file's own key ``up``; without one ``z`` for AMASS's keys and
            ``y`` for all others, unless every pose lies that way and stands the other way. ``pose`` (N, 22, 3) is
            this project's own and always y-up.

    Raises:
        UserError: no such file, a pickle, not an archive of arrays, no poses, no frame, a shape with no or more than
            one meaning, or values that are not finite or are no rotations.
    """
    path = Path(path)
    if path.is_file() and _is_pickle(path):
        raise UserError(CONVERT.format(pkl=path, npz=path.with_suffix(".plain.npz")))
    arrays = read_arrays(path, {*WHOLE, *PARTS, *PARTS.values(), *BESIDE})
    key, pose, assumed = _pose(path, arrays)
    trans = next((arrays[name] for name in ("trans", "transl") if name in arrays), None)
    found = PoseFile(
        pose=pose,
        trans=_numbers(trans, (len(pose), 3)),
        betas=_betas(arrays.get("betas")),
        gender=_text(arrays.get("gender")) or "neutral",
        fps=_frame_rate(arrays),
        sequence=_texts(arrays.get("sequence"), len(pose)),
        description=_texts(arrays.get("description"), len(pose)),
    )
    axis, reason = _up(path, key, arrays, pose, up)
    if axis == "z":
        found = _z_up_to_y_up(found)
    return replace(found, assumed=(*assumed, *reason))


def _is_pickle(path: Path) -> bool:
    if path.suffix.lower() in PICKLES:
        return True
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError:
        return False
    return len(start) == 2 and start[0] == 0x80 and start[1] <= 5  # the sign of pickle's protocols 2 to 5


# ---- the poses ----


def _pose(path: Path, arrays: dict[str, np.ndarray | None]) -> tuple[str, np.ndarray, list[str]]:
    """The name of the array that the poses come from, poses (N, 22, 3), and what was assumed."""
    key = next((key for key in (*WHOLE, *PARTS) if key in arrays), None)
    if key is None:
        raise UserError(f"{path}: holds {', '.join(arrays) or 'nothing'}, but no 'pose' or 'poses'; {EXPECTED}")
    joints, is_angle = _joints(path, key, arrays[key], (*WITH_ROOT, *WITHOUT_ROOT) if key in WHOLE else WITHOUT_ROOT)
    assumed = []
    if joints.shape[1] in WITHOUT_ROOT:
        root = np.zeros((len(joints), 1, 3), np.float32)
        if PARTS.get(key) in arrays:
            name = PARTS[key]
            root, _ = _joints(path, name, arrays[name], (1,))
            if len(root) != len(joints):
                raise UserError(f"{path}: '{name}' has {len(root)} frames and '{key}' {len(joints)}; give as many")
        else:
            assumed.append(f"'{key}' has no joint of the pelvis, so the body is taken to be upright and to face +z")
        joints = np.concatenate([root, joints], axis=1)
    if not len(joints):
        raise UserError(f"{path}: holds no frame; give at least one pose")
    pose = joints[:, :NUM_JOINTS]
    bad = ~np.isfinite(pose).all(axis=(1, 2))
    if bad.any():
        raise UserError(f"{path}: '{key}' of frame {int(bad.argmax())} is not finite; remove that frame")
    if is_angle and _is_degrees(pose):
        pose = np.radians(pose)
        assumed.append(f"'{key}' is read as degrees, as its angles are too large for radians")
    _refuse_absurd(path, key, pose)
    return key, pose, assumed


def _joints(path: Path, key: str, array: np.ndarray | None, counts: tuple[int, ...]) -> tuple[np.ndarray, bool]:
    """Axis-angle (N, J, 3) float32 of an array in any known layout, and whether it was axis-angle before."""
    if array is None or array.dtype.kind not in "fiu":
        raise UserError(f"{path}: not an .npz of plain arrays: '{key}' is damaged or holds no numbers; {EXPECTED}")
    for count in counts:
        for each in ((3,), (3, 3), (9,)):
            layouts = [(count, *each), (count * prod(each),), *([each] if count == 1 else [])]
            if array.shape in layouts or array.shape[1:] in layouts:
                with np.errstate(over="ignore"):  # what is too large is not finite, and refused
                    numbers = array.astype(np.float32)
                if each == (3,):
                    return numbers.reshape(-1, count, 3), True
                return _from_matrices(path, key, numbers.reshape(-1, count, 3, 3)), False
    raise UserError(f"{path}: '{key}' has shape {array.shape}, which could mean anything; {EXPECTED}")


def _from_matrices(path: Path, key: str, matrices: np.ndarray) -> np.ndarray:
    """Rotation matrices (N, J, 3, 3) as axis-angle (N, J, 3)."""
    with np.errstate(all="ignore"):
        error = np.abs(matrices @ matrices.swapaxes(-1, -2) - np.eye(3, dtype=np.float32)).max(axis=(1, 2, 3))
        bad = ~(error < 0.01) | (np.linalg.det(matrices) < 0).any(axis=1)  # not-a-number is not below either
    if bad.any():
        raise UserError(f"{path}: '{key}' of frame {int(bad.argmax())} holds no rotation matrices; remove that frame")
    return roma.rotmat_to_rotvec(torch.from_numpy(matrices)).numpy()


def _lengths(pose: np.ndarray) -> np.ndarray:
    """(N, 22) length of each rotation vector; a pelvis may have turned around a few times, and counts a quarter."""
    lengths = np.linalg.norm(pose.astype(np.float64), axis=2)
    lengths[:, 0] /= 4
    return lengths


def _is_degrees(pose: np.ndarray) -> bool:
    return bool((_lengths(pose).max(axis=1) > WHOLE_TURN).mean() >= 0.5)


def _refuse_absurd(path: Path, key: str, pose: np.ndarray) -> None:
    lengths = _lengths(pose)
    if lengths.max() > 2 * WHOLE_TURN:
        frame, joint = np.unravel_index(lengths.argmax(), lengths.shape)
        angle = np.linalg.norm(pose[frame, joint].astype(np.float64))
        raise UserError(
            f"{path}: '{key}' of frame {frame} turns the {JOINT_NAMES[joint]} by {angle:.4g} radians; remove that frame"
        )


# ---- which way is up ----


def _up(
    path: Path, key: str, arrays: dict[str, np.ndarray | None], pose: np.ndarray, asked: Up | None
) -> tuple[Up, list[str]]:
    """The axis that points up, and what was assumed."""
    if asked is not None:
        return asked, []
    if "up" in arrays:
        said = (_text(arrays["up"]) or "").strip().lower()
        if said not in ("y", "z"):
            raise UserError(f"{path}: its 'up' is {said or 'no text'!r}; write y or z there, or say --up y or --up z")
        return "y" if said == "y" else "z", []
    convention: Up = "z" if key in AMASS_KEYS else "y"
    other: Up = "y" if convention == "z" else "z"
    overruled = not _standing(pose, convention).any() and _standing(pose, other).mean() >= MOST
    if key in ("pose", "array") and arrays[key].shape[1:] == (NUM_JOINTS, 3):  # type: ignore[union-attr]
        return "y", [f"every pose lies; if they stand, say --up {other}"] if overruled else []
    if overruled:
        return other, [f"{other} is taken to point up, as the poses stand then (--up {convention} lays them down)"]
    if convention == "z":
        return "z", ["z is taken to point up, as in AMASS (--up y if y does)"]
    return "y", ["y is taken to point up (--up z if z does)"]


def _standing(pose: np.ndarray, up: Up) -> np.ndarray:
    """(M,) bool, for up to 1,000 of the poses (N, 22, 3), evenly spread: is the trunk upright?"""
    some = pose[np.unique(np.linspace(0, len(pose) - 1, SOME).astype(int))]
    joints = load_body().joints(torch.from_numpy(some)).numpy()
    trunk = joints[:, JOINT_INDEX["neck"]] - joints[:, JOINT_INDEX["pelvis"]]
    return trunk[:, 1 if up == "y" else 2] > UPRIGHT * np.linalg.norm(trunk, axis=1)


def _z_up_to_y_up(found: PoseFile) -> PoseFile:
    turn = roma.euler_to_rotmat("x", [-90.0], degrees=True)
    root = roma.rotmat_to_rotvec(turn @ roma.rotvec_to_rotmat(torch.from_numpy(found.pose[:, 0])))
    pose = np.concatenate([root.numpy()[:, None], found.pose[:, 1:]], axis=1)
    return replace(found, pose=pose, trans=None if found.trans is None else found.trans @ turn.numpy().T)


# ---- what stands beside the poses; nothing here makes a file fail ----


def _numbers(array: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
    if array is None or array.dtype.kind not in "fiu" or array.shape != shape or not np.isfinite(array).all():
        return None
    return array.astype(np.float32)


def _betas(array: np.ndarray | None) -> np.ndarray | None:
    if array is None or array.ndim not in (1, 2):
        return None
    numbers = _numbers(array, array.shape)
    if numbers is None or not numbers.size:
        return None
    return numbers if numbers.ndim == 1 else numbers.mean(axis=0)


def _frame_rate(arrays: dict[str, np.ndarray | None]) -> float | None:
    for name in ("mocap_framerate", "mocap_frame_rate", "fps"):
        array = arrays.get(name)
        if array is not None and array.dtype.kind in "fiu" and array.size == 1:
            rate = float(array.reshape(-1)[0])
            if 0 < rate < np.inf:
                return rate
    return None


def _text(array: np.ndarray | None) -> str | None:
    """The text of an array with one, bytes or not."""
    texts = None if array is None else _texts(array.reshape(-1), 1)
    return None if texts is None else str(texts[0])


def _texts(array: np.ndarray | None, count: int) -> np.ndarray | None:
    if array is None or array.dtype.kind not in "USiu" or array.shape != (count,):
        return None
    return np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array.astype(str)
