"""The bundled body with a quarter of its triangles, posed by compiled code: what thousands of renders are drawn with.

Same joints, shapes and skinning weights as ``pose_rft.body.model.Cc0Body``; the mesh is made by
``scripts/build_reduced_mesh.py``. One body at a time in double precision, so that a body does not depend on what else
is drawn with it.
"""

from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np

from pose_rft.body.load import load_body
from pose_rft.body.skeleton import JOINT_INDEX, PARENTS

NUM_BETAS = 10
_PARENTS = np.array(PARENTS)


class ReducedBody(NamedTuple):
    """Arrays of the light mesh; lengths in metres, A-pose as in ``cc0_body.npz``.

    Attributes:
        skin: (V, 3) float64 vertices of the mean body.
        skin_directions: (10, V, 3) float64 per shape component.
        normals: (V, 3) float64 of the mean body, outward.
        joints, joint_directions: (22, 3) and (10, 22, 3) float64.
        rest_rotations: (22, 3, 3) float64 from the A-pose to the T-pose.
        skin_joints, skin_weights: (V, 4) which joints move a vertex, and how much.
        faces: (F, 3) int64.
        arm: (V,) float32 how far down an arm: -0.5 on the trunk, 0 shoulder, 1 elbow, 2 wrist.
        leg: (V,) float32 how far down a leg: -0.5 on the trunk, 0 hip, 1 knee, 2 ankle, 3 foot.
        head: (V,) float32 share of the head in what moves a vertex.
    """

    skin: np.ndarray
    skin_directions: np.ndarray
    normals: np.ndarray
    joints: np.ndarray
    joint_directions: np.ndarray
    rest_rotations: np.ndarray
    skin_joints: np.ndarray
    skin_weights: np.ndarray
    faces: np.ndarray
    arm: np.ndarray
    leg: np.ndarray
    head: np.ndarray


@lru_cache(maxsize=1)
def load_reduced_body() -> ReducedBody:
    """The light mesh of the bundled body."""
    data = files("pose_rft.body") / "data"
    with (data / "cc0_body.npz").open("rb") as file, np.load(file, allow_pickle=False) as full:
        unit = 1.0 / float(full["units_per_metre"])
        stored = {name: full[name] for name in ("vertices", "shape_directions", "joints", "joint_directions")}
    with (data / "cc0_reduced.npz").open("rb") as file, np.load(file, allow_pickle=False) as light:
        kept, faces = light["vertices"].astype(np.int64), light["faces"].astype(np.int64)
    body = load_body()
    skin_joints = body.skin_joints.numpy()[kept]
    skin_weights = body.skin_weights.numpy().astype(np.float64)[kept]
    skin = stored["vertices"][kept].astype(np.float64) * unit
    joints = stored["joints"].astype(np.float64)
    share = np.zeros((len(kept), len(PARENTS)))
    np.add.at(share, (np.arange(len(kept))[:, None], skin_joints), skin_weights)
    return ReducedBody(
        skin=skin,
        skin_directions=stored["shape_directions"][:, kept].astype(np.float64) * unit,
        normals=normals_of(skin, faces),
        joints=joints,
        joint_directions=stored["joint_directions"].astype(np.float64),
        rest_rotations=body.rest_rotations.numpy().astype(np.float64),  # type: ignore[attr-defined]
        skin_joints=skin_joints,
        skin_weights=skin_weights,
        faces=faces,
        arm=_down_the_limb(skin, joints, share, ("shoulder", "elbow", "wrist"), ("shoulder", "elbow", "wrist")),
        leg=_down_the_limb(skin, joints, share, ("hip", "knee", "ankle"), ("hip", "knee", "ankle", "foot")),
        head=share[:, JOINT_INDEX["head"]].astype(np.float32),
    )


def _down_the_limb(
    skin: np.ndarray, joints: np.ndarray, share: np.ndarray, chain: tuple[str, ...], moving: tuple[str, ...]
) -> np.ndarray:
    """How far down the limb of its side each vertex lies: a joint of `chain` counts 0, 1, 2; the trunk is -0.5.

    What only the last joints of `moving` move (hand, foot) counts up to one more.
    """
    result = np.full(len(skin), -0.5)
    for side in ("left", "right"):
        at = [joints[JOINT_INDEX[f"{side}_{name}"]] for name in chain]
        along = np.zeros(len(skin))
        for number, (start, end) in enumerate(pairwise(at)):
            bone = end - start
            along += np.clip((skin - start) @ bone / (bone @ bone), -0.5 if number == 0 else 0, 1)
        belongs = share[:, [JOINT_INDEX[f"{side}_{name}"] for name in moving]]
        along += belongs[:, 2:].sum(1)
        result += belongs.sum(1) * (along + 0.5)
    return result.astype(np.float32)


@numba.njit(cache=True, error_model="numpy")
def normals_of(vertices, faces):
    """Outward unit normals (V, 3) of a mesh (V, 3), (F, 3): faces weighted by area."""
    result = np.zeros_like(vertices)
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            result[corner, 0] += nx
            result[corner, 1] += ny
            result[corner, 2] += nz
    for v in range(len(result)):
        length = np.sqrt(result[v, 0] ** 2 + result[v, 1] ** 2 + result[v, 2] ** 2) + 1e-12
        for k in range(3):
            result[v, k] /= length
    return result


@numba.njit(cache=True, error_model="numpy")
def _rotation(vector):
    """Rotation matrix (3, 3) of an axis-angle vector (3,), radians (Rodrigues' formula)."""
    angle = np.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
    x, y, z = vector[0], vector[1], vector[2]
    if angle < 1e-6:
        sine, cosine = 1.0, 0.5  # sin(a) / a and (1 - cos(a)) / a^2
    else:
        sine, cosine = np.sin(angle) / angle, (1 - np.cos(angle)) / angle**2
    xx, yy, zz = x * x, y * y, z * z
    result = np.empty((3, 3))
    result[0, 0], result[0, 1], result[0, 2] = (
        1 - cosine * (yy + zz),
        cosine * x * y - sine * z,
        cosine * x * z + sine * y,
    )
    result[1, 0], result[1, 1], result[1, 2] = (
        cosine * x * y + sine * z,
        1 - cosine * (xx + zz),
        cosine * y * z - sine * x,
    )
    result[2, 0], result[2, 1], result[2, 2] = (
        cosine * x * z - sine * y,
        cosine * y * z + sine * x,
        1 - cosine * (xx + yy),
    )
    return result


@numba.njit(cache=True, error_model="numpy")
def turned(axes, vector):
    """The axis-angle vector (3,) of ``axes @ rotation(vector)``: a rotation told in other axes (3, 3).

    By way of the quaternion whose largest component comes first (Shepperd 1978), so that no angle is inexact.
    """
    m = _times(axes, _rotation(vector))
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    squares = np.array([trace, m[0, 0], m[1, 1], m[2, 2]])
    q = np.empty(4)
    i = np.argmax(squares)
    if i == 0:
        q[0] = 1 + trace
        q[1], q[2], q[3] = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    else:
        i -= 1
        j, k = (i + 1) % 3, (i + 2) % 3
        q[1 + i] = 1 - trace + 2 * m[i, i]
        q[1 + j], q[1 + k] = m[j, i] + m[i, j], m[k, i] + m[i, k]
        q[0] = m[k, j] - m[j, k]
    if q[0] < 0:
        q = -q
    sine = np.sqrt(q[1] ** 2 + q[2] ** 2 + q[3] ** 2)
    angle = 2 * np.arctan2(sine, q[0])
    return q[1:] * (angle / sine if sine > 0 else 0.0)


@numba.njit(cache=True, error_model="numpy")
def _times(a, b):
    """Matrix (3, 3) times matrix (3, K); numba's own product needs scipy."""
    result = np.zeros((3, b.shape[1]))
    for i in range(3):
        for j in range(b.shape[1]):
            for k in range(3):
                result[i, j] += a[i, k] * b[k, j]
    return result


@numba.njit(cache=True, error_model="numpy")
def _kinematics(pose, joints, rest_rotations, parents):
    """World rotations (22, 3, 3) and positions (22, 3), pelvis at the origin, of a pose (22, 3)."""
    turns = np.empty((22, 3, 3))
    placed = np.zeros((22, 3))
    turns[0] = _rotation(pose[0])
    for j in range(1, 22):
        parent = parents[j]
        bone = _times(rest_rotations[parent], (joints[j] - joints[parent]).reshape(3, 1))
        placed[j] = placed[parent] + _times(turns[parent], bone)[:, 0]
        turns[j] = _times(turns[parent], _rotation(pose[j]))
    return turns, placed


@numba.njit(cache=True, error_model="numpy")
def _skin(skin, joints, turns, placed, rest_rotations, skin_joints, skin_weights):
    """Linear blend skinning: (V, 3)."""
    affine = np.empty((22, 3, 4))
    for j in range(22):
        turn = _times(turns[j], rest_rotations[j])
        affine[j, :, :3] = turn
        affine[j, :, 3] = placed[j] - _times(turn, joints[j].copy().reshape(3, 1))[:, 0]
    result = np.zeros_like(skin)
    for v in range(len(skin)):
        x, y, z = skin[v, 0], skin[v, 1], skin[v, 2]
        for k in range(skin_joints.shape[1]):
            weight = skin_weights[v, k]
            if weight == 0:
                continue
            a = affine[skin_joints[v, k]]
            for i in range(3):
                result[v, i] += weight * (a[i, 0] * x + a[i, 1] * y + a[i, 2] * z + a[i, 3])
    return result


@numba.njit(cache=True, error_model="numpy")
def _shaped(mean, directions, betas):
    """mean (M, 3) + betas (10,) times directions (10, M, 3)."""
    result = mean.copy()
    for b in range(len(betas)):
        for v in range(len(mean)):
            for k in range(3):
                result[v, k] += betas[b] * directions[b, v, k]
    return result


def posed(
    body: ReducedBody, pose: np.ndarray, betas: np.ndarray, thickness: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One posed body.

    Args:
        body: the light mesh.
        pose: (22, 3) axis-angle, radians.
        betas: (10,) shape.
        thickness: (V,) metres that clothes and hair stand off the skin.

    Returns:
        skin (V, 3) and joints (22, 3) float64 in metres, pelvis at the origin.
    """
    skin = _shaped(body.skin, body.skin_directions, betas) + thickness[:, None] * body.normals
    joints = _shaped(body.joints, body.joint_directions, betas)
    turns, placed = _kinematics(pose.astype(np.float64), joints, body.rest_rotations, _PARENTS)
    return _skin(skin, joints, turns, placed, body.rest_rotations, body.skin_joints, body.skin_weights), placed
