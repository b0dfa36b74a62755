"""Sheets of stick figures: many poses at a glance, each from the front and from its left side."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, PARENTS

CELL = 150  # pixels
SCALE = 72  # pixels per metre


def draw_stick_figures(rows: Sequence[tuple[str, Tensor]], columns: int) -> Image.Image:
    """Draw rows of poses.

    Args:
        rows: a title and poses (n, 22, 3) each; the first `columns` are drawn. Left limbs are red, right ones blue.
        columns: poses per row; every pose takes two cells, front view and view from its left.

    Returns:
        an RGB image.
    """
    image = Image.new("RGB", (columns * 2 * CELL, len(rows) * (CELL + 14)), "white")
    draw = ImageDraw.Draw(image)
    for row, (title, poses) in enumerate(rows):
        top = row * (CELL + 14)
        draw.text((3, top), title, fill="black")
        if len(poses) == 0:
            continue
        for column, joints in enumerate(load_body().joints(poses[:columns]).numpy()):
            joints = joints - (joints.max(0) + joints.min(0)) / 2
            for view in (0, 1):
                centre = np.array([(2 * column + view + 0.5) * CELL, top + 14 + CELL / 2])
                _draw_figure(draw, joints, view, centre)
    return image


def _draw_figure(draw: ImageDraw.ImageDraw, joints: np.ndarray, view: int, centre: np.ndarray) -> None:
    # From the front, the body's left (+x) is on the picture's right; from its left it faces (+z) the picture's left.
    across = joints[:, 0] if view == 0 else -joints[:, 2]
    depth = joints[:, 2] if view == 0 else joints[:, 0]
    points = centre + SCALE * np.stack([across, -joints[:, 1]], -1)
    order = sorted(range(1, len(PARENTS)), key=lambda j: depth[j])
    for joint in order:
        name = JOINT_NAMES[joint]
        colour = (
            (200, 40, 40) if name.startswith("left") else (40, 70, 200) if name.startswith("right") else (40, 40, 40)
        )
        shade = tuple(int(255 - (255 - c) * float(np.clip(0.75 + depth[joint], 0.35, 1))) for c in colour)
        draw.line([tuple(points[PARENTS[joint]]), tuple(points[joint])], fill=shade, width=3)
    x, y = points[JOINT_INDEX["head"]]
    draw.ellipse([x - 8, y - 10, x + 8, y + 6], outline="black", width=2)
