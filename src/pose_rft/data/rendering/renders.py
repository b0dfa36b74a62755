"""Pictures of people made from poses: the bundled body dressed, lit, placed before a camera and photographed.

Picture `i` of a seed is a function of the seed, `i` and its pose alone, whatever is drawn beside it and by however many
processes. Lengths are metres and angles radians; the camera's frame is that of ``camera.py``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.data.rendering import scene
from pose_rft.data.rendering.camera import draw_axes, in_camera_frame
from pose_rft.data.rendering.picture import draw_one, draw_pair, generator_of
from pose_rft.data.rendering.truths import Renders, stacked
from pose_rft.errors import UserError
from pose_rft.parallel import ordered_map

SMALLEST, LARGEST = 32, 2048  # pixels


def render_people(
    poses: np.ndarray, seed: int, size: int = 256, start: int = 0, photos: str | Path | None = None, clear: bool = False
) -> Renders:
    """Draw one picture for each pose.

    Args:
        poses: (N, 22, 3) axis-angle, radians, y-up. Cameras stand on any side of the person.
        seed: with the number of a picture it decides everything but the pose.
        size: pixels of the square pictures.
        start: number of the first picture: pictures 100 to 199 are ``render_people(poses[100:], seed, start=100)``.
        photos: a folder of photographs to use as backgrounds of many pictures, besides those made by rule.
        clear: show the whole person, with nothing and nobody in front.

    Raises:
        UserError: poses of another shape or not finite, a size out of range, or a folder without photographs.
    """
    poses = _checked(poses, size)
    files = () if photos is None else scene.photographs(photos)
    if not len(poses):
        some = render_people(np.zeros((1, NUM_JOINTS, 3)), seed, size)
        return Renders(*(getattr(some, f.name)[:0] for f in fields(Renders)))
    return stacked([draw_one(pose, seed, start + row, size, files, clear) for row, pose in enumerate(poses)])


def render_pair(poses: np.ndarray, seed: int, index: int, size: int = 256, photos: str | Path | None = None) -> Renders:
    """One picture of two people side by side.

    Args:
        poses: (2, 22, 3): the person on the left of the picture, and the one on the right.
        seed, index: decide everything else.
        size, photos: as for ``render_people``.

    Returns:
        Two rows with the same pixels: what is true of the left and of the right person.

    Raises:
        UserError: as for ``render_people``, or not two poses.
    """
    poses = _checked(poses, size)
    if len(poses) != 2:
        raise UserError(f"a pair is two poses (2, 22, 3), not {poses.shape}")
    files = () if photos is None else scene.photographs(photos)
    return stacked(draw_pair(poses, seed, index, size, files))


@dataclass(frozen=True, eq=False)
class RenderSpec:
    """A picture that is drawn when its pixels are asked for: 300 bytes in a mixture instead of 200,000.

    Attributes:
        pose: (22, 3) of one person, or (2, 22, 3) of two side by side.
        seed, index, size, photos, clear: as for ``render_people`` and ``render_pair`` (pairs are always clear).
    """

    pose: np.ndarray
    seed: int
    index: int
    size: int = 256
    photos: str | None = None
    clear: bool = False

    def camera_pose(self) -> np.ndarray:
        """``renders().pose`` without drawing anything: (1, 22, 3) or (2, 22, 3), in the camera's frame."""
        poses = _checked(self.pose[None] if self.pose.ndim == 2 else self.pose, self.size)
        return np.stack([in_camera_frame(self._axes(), pose) for pose in poses])

    def up(self) -> np.ndarray:
        """``renders().up`` of the picture without drawing anything: (3,)."""
        return self._axes()[:, 1].astype(np.float32)

    def _axes(self) -> np.ndarray:
        return draw_axes(generator_of(self.seed, self.index, 1 if self.pose.ndim == 2 else 2))

    def renders(self) -> Renders:
        """The picture with what is true of the persons: one row, or two."""
        if self.pose.ndim == 3:
            return render_pair(self.pose, self.seed, self.index, self.size, self.photos)
        return render_people(self.pose[None], self.seed, self.size, self.index, self.photos, self.clear)

    def image(self) -> Image.Image:
        """The picture, RGB."""
        return Image.fromarray(self.renders().pixels[0])


def render_batches(
    poses: np.ndarray,
    seed: int,
    size: int = 256,
    batch: int = 256,
    processes: int = 1,
    photos: str | Path | None = None,
    clear: bool = False,
) -> Iterator[Renders]:
    """The pictures of ``render_people(poses, seed, size)`` in order, a batch at a time, drawn by several processes.

    Only a few batches are held at once, see ``ordered_map``.

    Args:
        poses: (N, 22, 3) axis-angle, radians.
        batch: pictures at a time; the last batch may be smaller.
        processes: how many draw.
        seed, size, photos, clear: as for ``render_people``.

    Raises:
        UserError: as for ``render_people``, or a batch or processes below one.
    """
    poses = _checked(poses, size)
    if photos is not None:
        scene.photographs(photos)
    if batch < 1:
        raise UserError(f"renders need batch >= 1, not {batch}")
    jobs = [(poses[start : start + batch], start) for start in range(0, len(poses), batch)]
    draw = partial(_batch, seed=seed, size=size, photos=photos, clear=clear)
    return ordered_map(draw, jobs, processes, "renders")


def _batch(job: tuple[np.ndarray, int], seed: int, size: int, photos: str | Path | None, clear: bool) -> Renders:
    poses, start = job
    return render_people(poses, seed, size, start, photos, clear)


def _checked(poses: np.ndarray, size: int) -> np.ndarray:
    poses = np.asarray(poses, np.float32)
    if poses.ndim != 3 or poses.shape[1:] != (NUM_JOINTS, 3):
        raise UserError(f"poses to render must have the shape (N, 22, 3), not {poses.shape}")
    if not np.isfinite(poses).all():
        raise UserError("poses to render must be finite numbers; drop those that are not")
    if not SMALLEST <= size <= LARGEST:
        raise UserError(f"renders have a size of {SMALLEST} to {LARGEST} pixels, not {size}")
    return poses
