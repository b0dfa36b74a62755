"""The upright square around a person that a pose encoder reads, and the way back to the picture.

Pixels are continuous: (0, 0) is the picture's top left corner and (0.5, 0.5) the middle of its first pixel; x to the
right, y down.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

CROP_SIDE = 256  # pixels
MARGIN = 1.25  # the crop's side, as a multiple of the circle's diameter


@dataclass(frozen=True)
class Circle:
    """The circle that a stretched-out body would fill, and how the body lies in it.

    Attributes:
        centre: x, y of the middle of the hips, pixels.
        radius: pixels.
        rotation: how far the body's axis is turned clockwise from upright, radians; a head to the right is pi / 2.
    """

    centre: tuple[float, float]
    radius: float
    rotation: float = 0.0

    @staticmethod
    def through(centre: np.ndarray, top: np.ndarray) -> "Circle":
        """From its centre and the point (both x, y) where the body's axis meets it above the head."""
        x, y = (top - centre).tolist()
        return Circle((float(centre[0]), float(centre[1])), math.hypot(x, y), math.atan2(x, -y))


@dataclass(frozen=True)
class Crop:
    """A person, upright, in a square.

    Attributes:
        pixels: (256, 256, 3) uint8 RGB, black where the picture ends.
        transform: (2, 3) float64: a crop pixel (x, y, 1) to a pixel of the picture.
        rotation: how far the crop's upright is turned clockwise in the picture, radians.
    """

    pixels: np.ndarray
    transform: np.ndarray
    rotation: float

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Crop pixels (..., 2) to pixels of the picture (..., 2)."""
        return points @ self.transform[:, :2].T + self.transform[:, 2]

    @property
    def turn(self) -> np.ndarray:
        """The rotation (3, 3) from the crop's frame to the picture's; both: x right, y up, z towards the viewer.

        A pose read off the crop has its ``global_orient`` multiplied by it from the left.
        """
        cos, sin = math.cos(self.rotation), math.sin(self.rotation)
        return np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])


def crop(image: Image.Image, circle: Circle) -> Crop:
    """Cut a person out of an RGB picture, turned upright, with a margin, reduced or enlarged to 256 x 256."""
    scale = 2 * MARGIN * circle.radius / CROP_SIDE  # picture pixels per crop pixel
    cos, sin = scale * math.cos(circle.rotation), scale * math.sin(circle.rotation)
    linear = np.array([[cos, -sin], [sin, cos]])
    shift = np.array(circle.centre) - linear @ np.full(2, CROP_SIDE / 2)

    # Averaged down by a whole number first: taking single pixels of a large picture would alias.
    factor = max(int(scale), 1)
    corners = np.array([[0, 0], [CROP_SIDE, 0], [0, CROP_SIDE], [CROP_SIDE, CROP_SIDE]]) @ linear.T + shift
    low = np.clip(np.floor(corners.min(0)) - 2 * factor, 0, image.size).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + 2 * factor, 0, image.size).astype(int)
    if not (high > low).all():  # the square lies outside the picture
        pixels = np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8)
    else:
        part = image.crop((*low.tolist(), *high.tolist())).reduce(factor)
        to_part = np.concatenate([linear, (shift - low)[:, None]], axis=1) / factor
        coefficients = tuple(to_part.ravel().tolist())
        square = (CROP_SIDE, CROP_SIDE)
        cut = part.transform(square, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
        pixels = np.asarray(cut)
    return Crop(pixels, np.concatenate([linear, shift[:, None]], axis=1), circle.rotation)
