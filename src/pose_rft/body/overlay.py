"""A body drawn over the photograph that its pose was read from."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from pose_rft.body.load import load_body
from pose_rft.body.mesh import vertex_normals
from pose_rft.body.raster import rasterise
from pose_rft.body.render import limb_colours

LIGHT = np.array([-0.35, 0.6, 0.72], np.float32)  # towards the light, in the camera's frame
LARGEST = 1600  # pixels of the longer side of what is drawn


@dataclass(frozen=True)
class PictureCamera:
    """A scaled orthographic camera: metres (x right, y up) to pixels (y down) by ``scale * (x, -y) + shift``."""

    scale: float
    shift: tuple[float, float]

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) metres in the picture's frame -> (..., 2) pixels."""
        return self.scale * points[..., :2] * [1.0, -1.0] + np.array(self.shift)


def fit_camera(joints: np.ndarray, points: np.ndarray, weights: np.ndarray) -> PictureCamera:
    """The camera under which joints fall onto points: their middles meet, and they are equally large.

    Least squares would draw a body small whose pose differs from the one that is seen.

    Args:
        joints: (N, 3) metres in the picture's frame: x to its right, y up.
        points: (N, 2) pixels where they are seen.
        weights: (N,) how sure each is; not all zero.
    """
    share = weights / weights.sum()
    flat = joints[:, :2] * [1.0, -1.0]
    middle, target = share @ flat, share @ points
    centred, wanted = flat - middle, points - target
    sizes = [float((share[:, None] * each**2).sum()) for each in (wanted, centred)]
    scale = max((sizes[0] / max(sizes[1], 1e-9)) ** 0.5, 1.0)
    x, y = target - scale * middle
    return PictureCamera(scale, (float(x), float(y)))


def draw_over(picture: Image.Image, pose: np.ndarray, camera: PictureCamera, opacity: float = 0.85) -> Image.Image:
    """The bundled body in a pose, over a picture: left limbs warm, right limbs cool.

    Args:
        picture: RGB.
        pose: (22, 3) axis-angle in the picture's frame.
        opacity: of the body.

    Returns:
        RGB, as large as the picture, or smaller where its longer side exceeds 1,600 pixels.
    """
    reduction = min(1.0, LARGEST / max(picture.size))
    width, height = (max(1, round(side * reduction)) for side in picture.size)
    image = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS), np.float32)
    body = load_body()
    with torch.no_grad():
        skin = body.vertices(torch.as_tensor(pose, dtype=torch.float32)).numpy()
        root = body.joints(torch.as_tensor(pose, dtype=torch.float32)).numpy()[0]
    skin = skin - root  # the pelvis is where joints are measured from
    pixels = camera.project(skin) * reduction
    points = np.concatenate([pixels, -skin[:, 2:]], axis=1).astype(np.float32)
    faces = body.faces.numpy()
    _, face, inside = rasterise(points, faces, height, width)
    hit = face >= 0
    corners, (second, third) = faces[face[hit]], inside[hit].T
    share = np.stack([1 - second - third, second, third], axis=1)[..., None]  # (P, 3, 1)
    normal = (share * vertex_normals(skin.astype(np.float32), faces)[corners]).sum(1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True).clip(1e-9)
    colour = (share * limb_colours(body)[corners]).sum(1)
    light = 0.35 + 0.75 * np.clip(normal @ (LIGHT / np.linalg.norm(LIGHT)), 0, None)
    drawn = 255 * np.clip(colour * light[:, None], 0, 1) ** (1 / 2.2)
    image[hit] = opacity * drawn + (1 - opacity) * image[hit]
    return Image.fromarray(image.round().astype(np.uint8))
