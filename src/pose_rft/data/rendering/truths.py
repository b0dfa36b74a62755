"""What is true of the people in a picture: ``Renders``, and how it is read off a drawn scene."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import roma
import torch

from pose_rft.body.reduced import load_reduced_body
from pose_rft.data.rendering.camera import Pinhole, extent, project
from pose_rft.data.rendering.shading import LEAVES, NOTHING, OUTSIDE, Clothes


@dataclass(frozen=True)
class Renders:
    """N pictures with what is true of the person whom each is about.

    Attributes:
        pixels: (N, S, S, 3) uint8.
        pose: (N, 22, 3) float32 axis-angle; ``global_orient`` (row 0) in the camera's frame.
        joints: (N, 22, 3) float32 metres in the camera's frame, relative to the pelvis, of the body with `betas`.
        translation: (N, 3) float32, where the pelvis is in the camera's frame.
        joints_2d: (N, 22, 2) float32 pixels, from the upper left corner of the picture; may lie outside of it.
        box: (N, 4) float32 left, top, right, bottom of the whole dressed body in pixels; may exceed the picture.
        focal: (N,) float32 pixels.
        principal: (N, 2) float32 pixels.
        betas: (N, 10) float32 shape.
        up: (N, 3) float32, away from the ground, in the camera's frame.
        in_picture: (N, 22) bool: the joint lies within the picture.
        covered: (N, 22) bool: something or somebody else is in front of the joint.
        visible: (N, 22) bool: in the picture, not covered, and (judged by the depth of the skin in front of it and the
            limb's thickness) not behind another part of the same body.
        mask: (N, S, S) bool: the pixels that show the person.
    """

    pixels: np.ndarray
    pose: np.ndarray
    joints: np.ndarray
    translation: np.ndarray
    joints_2d: np.ndarray
    box: np.ndarray
    focal: np.ndarray
    principal: np.ndarray
    betas: np.ndarray
    up: np.ndarray
    in_picture: np.ndarray
    covered: np.ndarray
    visible: np.ndarray
    mask: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def upright_joints(self) -> np.ndarray:
        """Joints (N, 22, 3) turned so that y is away from the ground: what words such as "raised" are about."""
        return upright(self.joints, self.up)


def upright(joints: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Joints (N, 22, 3) turned by the shortest rotation that takes `up` (N, 3) to (0, 1, 0)."""
    y = np.array([0.0, 1.0, 0.0])
    axis = np.cross(up, y)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, up[:, 1:2])
    turn = roma.rotvec_to_rotmat(torch.from_numpy(axis / np.maximum(sine, 1e-12) * angle).double()).numpy()
    return np.einsum("nij,nkj->nki", turn, joints).astype(np.float32)


def stacked(rows: Sequence[Renders]) -> Renders:
    """The rows of several."""
    return Renders(*(np.concatenate([getattr(row, f.name) for row in rows]) for f in fields(Renders)))


@dataclass
class DressedBody:
    """One body in the camera's frame; `skin` (V, 3) and `joints` (22, 3) are absolute, float64."""

    pose: np.ndarray
    betas: np.ndarray
    skin: np.ndarray
    joints: np.ndarray
    clothes: Clothes

    def moved(self, shift: np.ndarray) -> "DressedBody":
        return DressedBody(self.pose, self.betas, self.skin + shift, self.joints + shift, self.clothes)


@lru_cache(maxsize=1)
def _limb_depth() -> np.ndarray:
    """(22,) metres of flesh that may lie in front of a joint: twice its distance to the nearest skin, and a margin."""
    body = load_reduced_body()
    apart = np.linalg.norm(body.skin[:, None] - body.joints, axis=-1)
    return 2 * np.sort(apart, axis=0)[:12].mean(0) + 0.08


def truths_of(
    person: DressedBody,
    number: int,
    pixels: np.ndarray,
    depth: np.ndarray,
    owned: np.ndarray,
    camera: Pinhole,
    up: np.ndarray,
) -> Renders:
    """One row for person `number` of the picture."""
    size = len(pixels)
    joints_2d = project(person.joints, camera.focal, camera.principal)
    (left, bottom), (right, top) = extent(person.skin)
    corners = project(np.array([[left, top, -1.0], [right, bottom, -1.0]]), camera.focal, camera.principal)
    place = np.floor(joints_2d).astype(int)
    inside = ((place >= 0) & (place < size)).all(1)
    column, row = np.clip(place, 0, size - 1).T
    who = owned[row, column]
    inside &= who != OUTSIDE
    ahead = -person.joints[:, 2] + 1 / depth[row, column].astype(np.float64)  # metres that the surface is nearer
    somebody = (who != NOTHING) & (who != number) & (who != OUTSIDE)
    covered = inside & somebody & ((who == LEAVES) | (ahead > 0))
    own = (who == number) & (ahead > _limb_depth())
    values = {
        "pixels": pixels,
        "pose": person.pose,
        "joints": person.joints - person.joints[0],
        "translation": person.joints[0],
        "joints_2d": joints_2d,
        "box": corners.ravel(),
        "focal": np.float32(camera.focal),
        "principal": camera.principal,
        "betas": person.betas,
        "up": up,
        "in_picture": inside,
        "covered": covered,
        "visible": inside & ~covered & ~own,
        "mask": owned == number,
    }
    return Renders(**{name: _row(value) for name, value in values.items()})


def _row(value: np.ndarray) -> np.ndarray:
    """An array (1, ...) of bytes, bools or float32."""
    return np.asarray(value, np.float32 if value.dtype == np.float64 else value.dtype)[None]
