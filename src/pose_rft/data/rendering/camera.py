"""Where renders are seen from: a pinhole camera around a person and a square crop of its picture.

The camera's frame has x to the right of the picture, y up, z towards the viewer; the camera stands at its origin and
looks along -z. A point (X, Y, Z) is seen at

    x = principal_x + focal * X / -Z,        y = principal_y - focal * Y / -Z        (pixels, y down)

A crop of a picture is a pinhole with another focal length and principal point, in the crop's pixels; the principal
point may lie outside of it.
"""

from typing import NamedTuple

import numba
import numpy as np

from pose_rft.body.reduced import turned

NEAREST, FARTHEST = 2.0, 8.0  # metres from the camera to the pelvis
CLOSE = 0.4  # nothing of a person comes nearer to the camera


class Pinhole(NamedTuple):
    """The camera of one picture.

    Attributes:
        focal: pixels.
        principal: (2,) pixels, from the upper left corner.
    """

    focal: float
    principal: np.ndarray


def project(points: np.ndarray, focal: np.ndarray | float, principal: np.ndarray) -> np.ndarray:
    """Pixels (..., P, 2) of points (..., P, 3) in the camera's frame; `focal` (...), `principal` (..., 2) in pixels."""
    focal = np.asarray(focal)[..., None, None]
    flat = points[..., :2] / -points[..., 2:] * np.array([1.0, -1.0])
    return focal * flat + principal[..., None, :]


@numba.njit(cache=True, error_model="numpy")
def extent(skin):
    """Lowest and highest X / -Z and Y / -Z (2, 2) of points (V, 3): where they lie in the plane Z = -1."""
    result = np.empty((2, 2))
    result[0], result[1] = np.inf, -np.inf
    for v in range(len(skin)):
        for k in range(2):
            flat = skin[v, k] / -skin[v, 2]
            result[0, k] = min(result[0, k], flat)
            result[1, k] = max(result[1, k], flat)
    return result


def draw_axes(rng: np.random.Generator) -> np.ndarray:
    """Rows: the camera's right, up and backward (3, 3) in a world whose y is up.

    Any side of the person; mostly from about eye level, sometimes from far above, from below or held aslant.
    """
    turn = rng.uniform(0, 2 * np.pi)
    chance = rng.random()
    if chance < 0.78:
        down = rng.normal(7, 8)
    elif chance < 0.92:
        down = rng.uniform(20, 65)
    else:
        down = rng.uniform(-30, -5)
    down = np.radians(np.clip(down, -35, 75))
    roll = np.radians(rng.normal(0, 2.5) if rng.random() < 0.85 else rng.uniform(-20, 20))
    return axes_of(turn, float(down), float(roll))


def axes_of(turn: float, down: float, roll: float) -> np.ndarray:
    """The camera's axes (3, 3) for angles in radians: how far round towards the +x side, above, and clockwise."""
    back = np.array([np.sin(turn) * np.cos(down), np.sin(down), np.cos(turn) * np.cos(down)])
    right = np.array([np.cos(turn), 0.0, -np.sin(turn)])
    up = np.cross(back, right)
    cosine, sine = np.cos(roll), np.sin(roll)
    return np.stack([cosine * right - sine * up, sine * right + cosine * up, back])


def in_camera_frame(axes: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """A pose (22, 3) with its first row told in the axes (3, 3) of a camera: float32."""
    result = pose.copy()
    result[0] = turned(axes, pose[0].astype(np.float64))
    return result


def draw_translation(skin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where the pelvis is (3,), for a skin (V, 3) around it in the camera's axes: 2 to 8 m away, not quite central."""
    distance = np.exp(rng.uniform(np.log(NEAREST), np.log(FARTHEST)))
    distance = max(distance, float(skin[:, 2].max()) + CLOSE)
    aside = np.clip(rng.normal(0, 0.08, 2), -0.2, 0.2)
    return np.array([aside[0] * distance, aside[1] * distance, -distance])


def person_pinhole(skin: np.ndarray, size: int, rng: np.random.Generator, whole: bool = False) -> Pinhole:
    """The square that a person detector would cut out around a skin (V, 3) in the camera's frame: `size` pixels.

    Jittered in place and scale; unless it is to show the `whole` body, every sixth shows only a part.
    """
    low, high = extent(skin)
    longest = float((high - low).max())
    centre = (low + high) / 2
    if rng.random() < 0.16 and not whole:
        side = longest * rng.uniform(0.5, 0.95)
        room = np.clip((high - low) - 0.6 * side, 0, None) / 2
        centre = centre + rng.uniform(-1, 1, 2) * room
    else:
        side = longest * rng.uniform(1.05, 1.55)
        jitter = np.clip(rng.normal(0, 0.05, 2), -0.12, 0.12) * side
        room = (side - (high - low)) / 2
        centre = centre + (np.clip(jitter, -room, room) if whole else jitter)
    return pinhole_of(centre, side, size)


def pinhole_of(centre: np.ndarray, side: float, size: int) -> Pinhole:
    """The pinhole that shows a square of `side` around `centre` (2,) of the plane Z = -1 in `size` pixels."""
    focal = size / side
    return Pinhole(focal, np.array([size / 2 - focal * centre[0], size / 2 + focal * centre[1]]))
