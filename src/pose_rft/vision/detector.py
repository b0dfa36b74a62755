"""Where people may be: MediaPipe's person detector (Bazarevsky et al., "BlazePose", 2020).

It looks for heads and tells, for each, where the middle of the hips is and how far and in which direction the body
reaches from there: a circle. Pixels are continuous, see `pose_rft.vision.crops`.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from PIL import Image

from pose_rft.vision.convnet import ConvNet, load_convnet
from pose_rft.vision.crops import Circle

SIDE = 224  # pixels of the detector's input
MIN_SCORE = 0.5
SAME_HEAD = 0.3  # intersection over union
GRIDS = ((28, 2), (14, 2), (7, 6))  # the detector's outputs: cells a side, guesses a cell

Box = tuple[float, float, float, float]
Guess = tuple[float, np.ndarray]  # score, points (6, 2): the head's corners, hips, top of the circle, two of the bust


def detect(image: Image.Image, parts: Sequence[Box]) -> list[tuple[float, Circle]]:
    """Scores above 0.5 and circles of people in `parts` (left, top, right, bottom) of an RGB picture, the surest first.

    Each part is shown to the detector whole, with black beside it where it is not square.
    """
    frames = np.zeros((len(parts), SIDE, SIDE, 3), np.uint8)
    guesses: list[Guess] = []
    corners, scales = [], []
    for frame, (x0, y0, x1, y1) in zip(frames, parts, strict=True):
        scale = SIDE / max(x1 - x0, y1 - y0)
        width, height = (max(round(length * scale), 1) for length in (x1 - x0, y1 - y0))
        left, top = (SIDE - width) // 2, (SIDE - height) // 2
        small = image.resize((width, height), Image.Resampling.BILINEAR, box=(x0, y0, x1, y1), reducing_gap=2.0)
        frame[top : top + height, left : left + width] = np.asarray(small)
        corners.append((x0 - left / scale, y0 - top / scale))
        scales.append(scale)
    for found, corner, scale in zip(_guesses(frames), corners, scales, strict=True):
        guesses += [(score, points / scale + corner) for score, points in found]
    return [(score, Circle.through(points[2], points[3])) for score, points in _one_per_head(guesses)]


def _guesses(frames: np.ndarray) -> list[list[Guess]]:
    """The likely guesses in each frame (N, 224, 224, 3) uint8, points in the frame's pixels.

    Every guess is an offset from the middle of its cell, as in SSD (Liu et al., ECCV 2016).
    """
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        outputs = _network()(pixels)
    scores, pairs = [], []
    for cells, _ in GRIDS:
        scores.append(outputs[f"scores_{cells}"].permute(0, 2, 3, 1).flatten(1))  # (N, cells^2 x guesses)
        pairs.append(outputs[f"boxes_{cells}"].permute(0, 2, 3, 1).reshape(len(frames), -1, 6, 2))
    probability = torch.cat(scores, dim=1).double().sigmoid().numpy()  # (N, 2254)
    offsets = torch.cat(pairs, dim=1).double().numpy()  # (N, 2254, 6, 2): the head's middle and size, four points
    points = offsets + _cell_middles()[:, None]
    half = offsets[:, :, 1] / 2
    points[:, :, 0], points[:, :, 1] = points[:, :, 0] - half, points[:, :, 0] + half
    return [
        [(float(probability[n, k]), points[n, k]) for k in np.flatnonzero(probability[n] > MIN_SCORE)]
        for n in range(len(frames))
    ]


@lru_cache(maxsize=1)
def _network() -> ConvNet:
    return load_convnet("person_detector")


@lru_cache(maxsize=1)
def _cell_middles() -> np.ndarray:
    """Where the guesses start from: (2254, 2) pixels of the frame."""
    middles = []
    for cells, per_cell in GRIDS:
        y, x = np.mgrid[:cells, :cells] + 0.5
        middles.append(np.stack([x, y], axis=-1).reshape(-1, 2).repeat(per_cell, axis=0) * SIDE / cells)
    return np.concatenate(middles)


def _one_per_head(guesses: list[Guess]) -> list[Guess]:
    """Guesses whose heads overlap become their mean, weighted by score; the surest first."""
    rest = sorted(guesses, key=lambda guess: -guess[0])
    people = []
    while rest:
        best = rest[0]
        same = [guess is best or overlap(best[1][:2], guess[1][:2]) > SAME_HEAD for guess in rest]
        group = [guess for guess, is_same in zip(rest, same, strict=True) if is_same]
        rest = [guess for guess, is_same in zip(rest, same, strict=True) if not is_same]
        weights = [score for score, _ in group]
        people.append((best[0], np.average([points for _, points in group], axis=0, weights=weights)))
    return people


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes, each (2, 2): top left and bottom right corner."""
    both = np.clip(np.minimum(first[1], second[1]) - np.maximum(first[0], second[0]), 0, None).prod()
    union = (first[1] - first[0]).prod() + (second[1] - second[0]).prod() - both
    return float(both / union) if union > 0 else 0.0
