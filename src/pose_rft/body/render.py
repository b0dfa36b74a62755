"""Pictures of poses: a clay figure on a floor, its left limbs warm and its right limbs cool.

Units are metres; the world is y-up. Each figure stands with its lowest vertex on the floor. Light comes from the upper
left behind the camera, so the figure's own shadow tells where it touches the ground.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from pose_rft.body.load import load_body
from pose_rft.body.mesh import vertex_normals
from pose_rft.body.model import BodyModel
from pose_rft.body.raster import FAR, lit_share, openness, rasterise
from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES
from pose_rft.errors import UserError
from pose_rft.storage import atomic_file

VIEWS = {"front": 0.0, "three_quarter": 35.0, "side": 90.0}  # camera's turn towards the body's left, degrees
ELEVATION = 11.0  # degrees that the camera looks down
DISTANCE = 6.5  # metres from the camera to the middle of the figure
SUPERSAMPLING = 2
LEFT, RIGHT, TRUNK = (np.array(c, np.float32) for c in ((0.80, 0.40, 0.28), (0.26, 0.45, 0.74), (0.60, 0.60, 0.62)))
FLOOR, HORIZON = (np.array(c, np.float32) for c in ((0.80, 0.81, 0.83), (0.93, 0.94, 0.955)))
LIMBS = ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist")
SHADOW_PIXELS = 320
GRID = 0.5  # metres between the floor's lines


@dataclass(frozen=True)
class Camera:
    """A pinhole `DISTANCE` metres from `target` (3,); the rows of `axes` are its right, up and backward."""

    axes: np.ndarray
    target: np.ndarray
    pixels_per_metre: float
    height: int
    width: int

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) to pixel x, pixel y and distance along the view."""
        local = (points - self.target) @ self.axes.T
        depth = DISTANCE - local[..., 2]
        scale = self.pixels_per_metre * DISTANCE / depth
        x = self.width / 2 + local[..., 0] * scale
        y = self.height / 2 - local[..., 1] * scale
        return np.stack([x, y, depth], axis=-1).astype(np.float32)

    def floor_points(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the ray of every pixel of the final size meets the floor y = 0: (h, w, 3), and whether it does."""
        height, width = self.height // SUPERSAMPLING, self.width // SUPERSAMPLING
        x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, height / 2 - np.arange(height) - 0.5)
        focal = self.pixels_per_metre / SUPERSAMPLING * DISTANCE
        rays = np.stack([x / focal, y / focal, np.full_like(x, -1.0)], axis=-1) @ self.axes
        eye = self.target + DISTANCE * self.axes[2]
        meets = rays[..., 1] < -0.02
        along = -eye[1] / np.where(meets, rays[..., 1], -1.0)
        return eye + along[..., None] * rays, meets


def render(
    poses: np.ndarray | torch.Tensor,
    size: int | tuple[int, int] = 384,
    betas: np.ndarray | torch.Tensor | None = None,
    view: str = "three_quarter",
    body: BodyModel | None = None,
) -> np.ndarray:
    """Draw poses.

    Args:
        poses: (N, 22, 3) axis-angle, radians.
        size: height and width in pixels, or one number for both.
        betas: (10,) or (N, 10) shapes, or None for the mean body.
        view: ``front``, ``three_quarter`` or ``side`` (from the body's left); the camera does not turn with the body.
        body: the body model; the bundled one if None.

    Returns:
        (N, H, W, 3) uint8. All N pictures have one scale, the largest that shows every figure whole.

    Raises:
        UserError: an unknown view.
    """
    if view not in VIEWS:
        raise UserError(f"unknown view '{view}'; choose one of {', '.join(VIEWS)}")
    body = load_body() if body is None else body
    height, width = (size, size) if isinstance(size, int) else size
    with torch.no_grad():
        shapes = None if betas is None else torch.as_tensor(betas, dtype=torch.float32)
        skins = body.vertices(torch.as_tensor(poses, dtype=torch.float32), shapes).numpy()
    pictures = _draw_all(skins, [view] * len(skins), body, height, width)
    return np.array(pictures, np.uint8).reshape(-1, height, width, 3)


def _draw_all(skins: np.ndarray, views: Sequence[str], body: BodyModel, height: int, width: int) -> list[np.ndarray]:
    """Skins (N, V, 3), each in its own view, at one common scale: N times (H, W, 3) uint8."""
    skins = np.array([_on_the_floor(skin) for skin in skins])
    axes = [_camera_axes(VIEWS[view]) for view in views]
    cameras = _framing(skins, axes, height * SUPERSAMPLING, width * SUPERSAMPLING)
    faces, colours = body.faces.numpy(), limb_colours(body)
    return [_draw(skin, faces, colours, camera) for skin, camera in zip(skins, cameras, strict=True)]


@lru_cache(maxsize=2)
def limb_colours(body: BodyModel) -> np.ndarray:
    """Linear RGB (V, 3): `LEFT` and `RIGHT` on the limbs of each side, `TRUNK` elsewhere, blended at the joins."""
    sides = np.zeros((2, len(JOINT_NAMES)), np.float32)
    for name, index in JOINT_INDEX.items():
        side, _, part = name.partition("_")
        if part in LIMBS:
            sides[0 if side == "left" else 1, index] = 1
    joints, weights = body.skin_joints.numpy(), body.skin_weights.numpy()
    share = (sides[:, joints] * weights).sum(-1)  # (2, V) how far a vertex belongs to a left or right limb
    share = np.clip((share - 0.35) / 0.5, 0, 1)
    share = (share * share * (3 - 2 * share))[..., None]
    return (share[0] * LEFT + share[1] * RIGHT + (1 - share.sum(0)) * TRUNK).astype(np.float32)


def _on_the_floor(skin: np.ndarray) -> np.ndarray:
    """Move a skin (V, 3) so that its lowest vertex has y = 0 and the middle of its extent x = z = 0."""
    low, high = skin.min(0), skin.max(0)
    return skin - np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2], np.float32)


def _camera_axes(turn: float) -> np.ndarray:
    turn, down = np.radians([turn, ELEVATION])
    back = np.array([np.sin(turn) * np.cos(down), np.sin(down), np.cos(turn) * np.cos(down)])
    right = np.array([np.cos(turn), 0, -np.sin(turn)])
    return np.stack([right, np.cross(back, right), back])


def _framing(skins: np.ndarray, axes: Sequence[np.ndarray], height: int, width: int) -> list[Camera]:
    """One camera per skin (N, V, 3); all with the largest scale at which each figure fits with a margin."""
    margin = 0.86
    targets, scales = [], [margin * height / 1.1]  # a crouching figure is not blown up without end
    for skin, frame in zip(skins, axes, strict=True):
        target = (skin.min(0) + skin.max(0)) / 2
        for _ in range(2):  # perspective moves the middle of the picture a little: look there
            pixels = Camera(frame, target, 1.0, 0, 0).project(skin)
            low, high = pixels[:, :2].min(0), pixels[:, :2].max(0)
            centre = (low + high) / 2
            target = target + centre[0] * frame[0] - centre[1] * frame[1]
        scales.append(margin * min(width / (high[0] - low[0]), height / (high[1] - low[1])))
        targets.append(target)
    return [Camera(frame, target, min(scales), height, width) for frame, target in zip(axes, targets, strict=True)]


def _draw(skin: np.ndarray, faces: np.ndarray, colours: np.ndarray, camera: Camera) -> np.ndarray:
    """One figure: (H, W, 3) uint8 at the final size."""
    skin = np.ascontiguousarray(skin, np.float32)
    light = _unit(camera.axes.T @ np.array([-0.45, 0.85, 0.55]))  # towards the light
    fill = _unit(camera.axes.T @ np.array([0.9, 0.15, 0.5]))
    shadow_axes, shadow_map = _shadow_map(skin, faces, light)

    depth, face, inside = rasterise(camera.project(skin), faces, camera.height, camera.width)
    picture = _floor(camera, skin, shadow_axes, shadow_map)
    picture = picture.repeat(SUPERSAMPLING, axis=0).repeat(SUPERSAMPLING, axis=1)

    hit = face >= 0
    corners, (second, third) = faces[face[hit]], inside[hit].T
    share = np.stack([1 - second - third, second, third], axis=1)  # (P, 3)
    attributes = np.concatenate([skin, vertex_normals(skin, faces), colours], axis=1)  # (V, 9)
    surface = (share[..., None] * attributes[corners]).sum(1)  # (P, 9)
    position, normal, colour = surface[:, :3], _unit(surface[:, 3:6]), surface[:, 6:]
    lit = lit_share(_to_shadow_map(position + 0.01 * normal, shadow_axes), shadow_map, 2, np.float32(0.012))
    open_air = openness(depth, np.float32(camera.pixels_per_metre), np.float32(0.10))
    eye = _unit(camera.target + DISTANCE * camera.axes[2] - position)

    key = np.clip(normal @ light, 0, None) * lit
    sky = 0.5 + 0.5 * normal[:, 1]
    soft = np.clip(0.25 + 0.75 * (normal @ fill), 0, None)
    half = _unit(light + eye)
    gloss = np.clip((normal * half).sum(1), 0, None) ** 24 * lit
    rim = (1 - np.clip((normal * eye).sum(1), 0, 1)) ** 3 * sky
    diffuse = (0.95 * key + 0.34 * sky * open_air + 0.16 * soft * open_air)[:, None]
    picture[hit] = colour * diffuse + (0.07 * gloss + 0.10 * rim * open_air)[:, None]
    return _to_bytes(picture)


def _floor(camera: Camera, skin: np.ndarray, shadow_axes: np.ndarray, shadow_map: np.ndarray) -> np.ndarray:
    """The empty studio (H, W, 3), linear RGB: a floor with faint lines and the figure's shadow, fading into haze."""
    ground, meets = camera.floor_points()
    plan = ground[..., [0, 2]]
    towards = _unit(camera.axes[2][[0, 2]])
    behind = plan - np.clip(plan @ towards, 0, None)[..., None] * towards  # the floor in front does not fade
    near = np.where(meets, np.clip(1.9 - 0.75 * np.linalg.norm(behind, axis=-1), 0, 1), 0)
    near = near * near * (3 - 2 * near)
    line = _grid_lines(plan).max(-1)
    floor = near > 0
    shade = np.ones(meets.shape, np.float32)
    points = ground[floor].astype(np.float32)
    shade[floor] = 0.45 + 0.55 * lit_share(_to_shadow_map(points, shadow_axes), shadow_map, 3, np.float32(0.012))
    shade[floor] *= 1 - 0.55 * _contact(skin, points)
    colour = FLOOR * near[..., None] + HORIZON * (1 - near[..., None])
    return colour * ((1 - 0.16 * line * near) * (1 - near + near * shade))[..., None].astype(np.float32)


def _grid_lines(plan: np.ndarray) -> np.ndarray:
    """Share of each pixel (H, W, 2) that lines along x and z cover; `plan` (H, W, 2) is the pixels' x and z."""
    half = 0.005  # metres, half a line's width
    pixel = np.abs(np.gradient(plan, axis=0)) + np.abs(np.gradient(plan, axis=1)) + 1e-9  # a pixel's footprint
    across = np.abs((plan + GRID / 2) % GRID - GRID / 2)
    overlap = np.minimum(half, across + pixel / 2) - np.maximum(-half, across - pixel / 2)
    return np.clip(overlap, 0, None) / pixel


def _contact(skin: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Darkness (P,) of floor points (P, 3) under the parts of the skin that are near the floor."""
    cell, half = 0.02, 1.6
    size = int(2 * half / cell)
    near = skin[skin[:, 1] < 0.35]
    index = np.clip(((near[:, [0, 2]] + half) / cell).astype(int), 0, size - 1)
    cover = np.zeros((size, size), np.float32)
    np.maximum.at(cover, (index[:, 0], index[:, 1]), np.exp(-near[:, 1] / 0.08))
    kernel = np.exp(-(((np.arange(-6, 7) * cell) / 0.04) ** 2) / 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (0, 1):
        padded = np.pad(cover, [(6, 6) if axis == other else (0, 0) for other in (0, 1)])
        cover = np.lib.stride_tricks.sliding_window_view(padded, 13, axis=axis) @ kernel
    place = (ground[:, [0, 2]] + half) / cell - 0.5
    corner = np.clip(np.floor(place).astype(int), 0, size - 2)
    part = np.clip(place - corner, 0, 1)
    (x, z), (u, v) = corner.T, part.T
    mixed = (1 - u) * ((1 - v) * cover[x, z] + v * cover[x, z + 1]) + u * (
        (1 - v) * cover[x + 1, z] + v * cover[x + 1, z + 1]
    )
    inside = (np.abs(ground[:, [0, 2]]) < half - cell).all(1)
    return np.clip(1.6 * mixed, 0, 1) * inside


def _shadow_map(skin: np.ndarray, faces: np.ndarray, light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The figure's depth from the light, and the (4, 3) axes that `_to_shadow_map` needs."""
    right = _unit(np.cross([0.0, 1.0, 0.0], light))
    up = np.cross(light, right)
    flat = skin @ np.stack([right, up]).T
    low, high = flat.min(0), flat.max(0)
    scale = (SHADOW_PIXELS - 24) / float((high - low).max())
    centre = (low + high) / 2
    axes = np.stack([right * scale, -up * scale, -light, [0, 0, 0]])
    axes[3, :2] = SHADOW_PIXELS / 2 - np.array([centre[0], -centre[1]]) * scale
    depth, _, _ = rasterise(_to_shadow_map(skin, axes), faces, SHADOW_PIXELS, SHADOW_PIXELS)
    return axes, np.where(depth < FAR, depth, FAR).astype(np.float32)


def _to_shadow_map(points: np.ndarray, axes: np.ndarray) -> np.ndarray:
    axes = axes.astype(np.float32)
    return points @ axes[:3].T + axes[3]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-12)


def _to_bytes(linear: np.ndarray) -> np.ndarray:
    """Average blocks of subpixels, then encode linear light as sRGB bytes."""
    height, width, _ = linear.shape
    blocks = linear.reshape(height // SUPERSAMPLING, SUPERSAMPLING, width // SUPERSAMPLING, SUPERSAMPLING, 3)
    light = np.clip(blocks.mean(axis=(1, 3)), 0, 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * encoded + 0.5).astype(np.uint8)


def portrait(pose: np.ndarray | torch.Tensor, size: int = 480, betas: np.ndarray | None = None) -> Image.Image:
    """One pose (22, 3), from the front left and from its left side at the same scale: RGB, `size` by 2 `size`."""
    body = load_body()
    with torch.no_grad():
        shape = None if betas is None else torch.as_tensor(betas, dtype=torch.float32)
        skin = body.vertices(torch.as_tensor(pose, dtype=torch.float32), shape).numpy()
    panels = _draw_all(np.stack([skin, skin]), ("three_quarter", "side"), body, size, size)
    return Image.fromarray(np.concatenate(panels, axis=1))


def render_answers(
    poses: Sequence[np.ndarray | torch.Tensor], captions: Sequence[str] | None = None, size: int = 320, columns: int = 2
) -> Image.Image:
    """A sheet of poses (22, 3), each in two views with its caption: the picture of a set of answers."""
    return contact_sheet([portrait(pose, size) for pose in poses], captions, columns)


def contact_sheet(
    images: Sequence[np.ndarray | Image.Image], captions: Sequence[str] | None = None, columns: int | None = None
) -> Image.Image:
    """Lay equally large images out in rows, each with its caption below.

    Args:
        images: (H, W, 3) uint8 arrays or RGB images.
        captions: one text per image, wrapped to its width; None for none.
        columns: images per row; as square as possible if None.
    """
    pictures = [image if isinstance(image, Image.Image) else Image.fromarray(image) for image in images]
    columns = columns or int(np.ceil(np.sqrt(len(pictures))))
    width, height = pictures[0].size
    text_size = max(11, width // 26)
    font = ImageFont.load_default(size=text_size)
    texts = [wrapped(text, font, width - 16) for text in captions] if captions else [""] * len(pictures)
    line = text_size * 4 // 3
    caption_height = max(text.count("\n") + 1 for text in texts) * line + 10 if captions else 0
    rows = -(-len(pictures) // columns)
    gap = 4
    cell = (width + gap, height + caption_height + gap)
    sheet = Image.new("RGB", (columns * cell[0] - gap, rows * cell[1] - gap), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        left, top = index % columns * cell[0], index // columns * cell[1]
        sheet.paste(picture, (left, top))
        draw.multiline_text((left + 8, top + height + 4), text, fill=(40, 44, 52), font=font, spacing=line - text_size)
    return sheet


def wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """A text with line breaks where it would grow wider than ``width`` pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def write_png(path: str | Path, image: Image.Image) -> None:
    """Write an image whole or not at all.

    Raises:
        UserError: the path cannot be written; what stood there stays.
    """
    with atomic_file(Path(path)) as part:
        image.save(part, format="PNG")
