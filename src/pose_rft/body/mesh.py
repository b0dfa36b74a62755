"""What the renderer and the writers of files need from a triangle mesh."""

import numpy as np
import torch
from torch import Tensor

from pose_rft.body.model import BodyModel


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) float32 of a mesh (V, 3), (F, 3): the mean of each vertex's faces, weighted by area."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)  # (F, 3), as long as twice the area
    normals = np.stack(
        [sum(np.bincount(faces[:, k], across[:, axis], len(vertices)) for k in range(3)) for axis in range(3)], axis=1
    )
    return (normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)).astype(np.float32)


def on_the_floor(body: BodyModel, pose: Tensor, betas: Tensor | None = None) -> Tensor:
    """Where the pelvis (..., 3) is, metres, when the lowest vertex of poses (..., 22, 3) touches the floor y = 0."""
    parts = pose.reshape(-1, *pose.shape[-2:]).split(64)
    lowest = torch.cat([body.vertices(part, betas)[..., 1].min(dim=-1).values for part in parts])
    height = -lowest.reshape(pose.shape[:-2])
    return torch.stack([torch.zeros_like(height), height, torch.zeros_like(height)], dim=-1)
