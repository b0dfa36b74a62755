"""Textures of cloth, skin, floors and walls, compiled: one repeating table of smooth noise, and patterns.

A texture is looked up at a place of the surface, so that it sits on a person like cloth and does not swim.
Single-threaded and ordered, as all kernels of the renders are: equal input gives equal pixels. numba's cache watches a
function's own file alone, so after a change here delete the ``__pycache__`` of this folder.
"""

from functools import lru_cache

import numba
import numpy as np

FAST = {"cache": True, "error_model": "numpy", "fastmath": True}
NOISE_SIZE = 256  # the noise table repeats after so many cells
SOLID, RINGS, STRIPES, CHECKS, BLOTCHES, PLAID, PRINT = range(7)  # kinds of patterns


@lru_cache(maxsize=1)
def noise_table() -> np.ndarray:
    """Smooth repeating noise (256, 256) float32, evenly distributed over 0..1: four octaves, always the same."""
    rng = np.random.default_rng(5)
    total = np.zeros((NOISE_SIZE, NOISE_SIZE))
    for octave in range(4):
        cells = 16 * 2**octave
        grid = np.pad(rng.random((cells, cells)), (0, 1), mode="wrap")
        place = np.arange(NOISE_SIZE) * cells / NOISE_SIZE
        corner = place.astype(int)
        part = place - corner
        part = part * part * (3 - 2 * part)
        rows = grid[corner] * (1 - part)[:, None] + grid[corner + 1] * part[:, None]
        total += (rows[:, corner] * (1 - part) + rows[:, corner + 1] * part) / 2**octave
    order = total.ravel().argsort().argsort()
    return (order / order.size).reshape(total.shape).astype(np.float32)


@numba.njit(inline="always", **FAST)
def noise_at(table, x, y):
    """The noise table at (x, y) cells, interpolated."""
    fx, fy = np.floor(x), np.floor(y)
    u, v = x - fx, y - fy
    x0, y0 = int(fx) & (NOISE_SIZE - 1), int(fy) & (NOISE_SIZE - 1)
    x1, y1 = (x0 + 1) & (NOISE_SIZE - 1), (y0 + 1) & (NOISE_SIZE - 1)
    top = table[y0, x0] * (1 - u) + table[y0, x1] * u
    return top * (1 - v) + (table[y1, x0] * (1 - u) + table[y1, x1] * u) * v


@numba.njit(**FAST)
def pattern_at(kind, scale, u, v, table):
    """Share 0..1 of the second colour at (u, v) metres of a surface; `scale` is repeats per metre."""
    if kind == SOLID:
        return np.float32(0)
    a, b = u * scale, v * scale
    if kind == RINGS:
        return np.float32(b - np.floor(b) < 0.5)
    if kind == STRIPES:
        return np.float32(a - np.floor(a) < 0.35)
    if kind == CHECKS:
        return np.float32((int(np.floor(a)) + int(np.floor(b))) & 1)
    if kind == BLOTCHES:
        return np.float32(min(max(noise_at(table, 6 * a, 6 * b) * 5 - 2, 0), 1))
    if kind == PLAID:
        return np.float32(0.5 * (a - np.floor(a) < 0.4) + 0.5 * (b - np.floor(b) < 0.4))
    return np.float32(0)
