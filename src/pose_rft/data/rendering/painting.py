"""Compiled kernels that paint pictures without geometry: backgrounds, leaves in front, soft edges, grain.

Backgrounds are made directly in display values 0 to 1.
"""

from typing import NamedTuple

import numba
import numpy as np

from pose_rft.data.rendering.shading import LEAVES, lit_share
from pose_rft.data.rendering.texture import FAST, NOISE_SIZE, SOLID, noise_at, pattern_at


class Room(NamedTuple):
    """A floor, and a wall or the open sky behind it. Planes are in the camera's frame, lengths in metres.

    Attributes:
        floor: (4,) unit normal (up) and height: points X with normal . X = height.
        wall: (4,) the same for the wall; all zero under the open sky.
        along: (3, 3) rows: directions along the floor (two) and along the wall (level).
        colours: (6, 3) display RGB: floor twice, wall twice, sky above and at the horizon.
        patterns: (4,): kind and scale for the floor, the same for the wall.
        panels: (R, 7) rectangles on the wall: left, bottom, right, top in metres, RGB.
        offset: (2,) where in the noise table.
    """

    floor: np.ndarray
    wall: np.ndarray
    along: np.ndarray
    colours: np.ndarray
    patterns: np.ndarray
    panels: np.ndarray
    offset: np.ndarray


@numba.njit(**FAST)
def paint_room(picture, focal, principal, room, light, dark, table):
    """Fill a picture (H, W, 3) float32 with display values of a floor and what is behind it.

    `dark` is how dark a shadow on the floor is, 0 none to 1 black.
    """
    height, width, _ = picture.shape
    colour = np.empty(3, dtype=np.float32)
    floor, wall = room.floor, room.wall
    for row in range(height):
        for column in range(width):
            rx = (column + 0.5 - principal[0]) / focal
            ry = -(row + 0.5 - principal[1]) / focal
            down = floor[0] * rx + floor[1] * ry - floor[2]
            reach = floor[3] / down if down < -1e-4 else np.float64(1e6)
            facing = wall[0] * rx + wall[1] * ry - wall[2]
            behind = wall[3] / facing if facing < -1e-4 else np.float64(1e6)
            if min(reach, behind) > 400:
                climb = min(max(2.5 * down, 0), 1)
                cloud = 0.12 * noise_at(table, 40 * rx + room.offset[0], 90 * ry + room.offset[1])
                for k in range(3):
                    sky = room.colours[4, k] * climb + room.colours[5, k] * (1 - climb)
                    picture[row, column, k] = sky * 0.94 + cloud
                continue
            on_floor = reach < behind
            along = min(reach, behind)
            x, y, z = along * rx, along * ry, -along
            if on_floor:
                u = room.along[0, 0] * x + room.along[0, 1] * y + room.along[0, 2] * z
                v = room.along[1, 0] * x + room.along[1, 1] * y + room.along[1, 2] * z
                first, kind, scale = 0, int(room.patterns[0]), room.patterns[1]
            else:
                u = room.along[2, 0] * x + room.along[2, 1] * y + room.along[2, 2] * z
                v = floor[0] * x + floor[1] * y + floor[2] * z - floor[3]
                first, kind, scale = 2, int(room.patterns[2]), room.patterns[3]
            mix = pattern_at(kind, scale, u + 50, v + 50, table)
            blur = along / focal * scale * (1 / max(-down, 0.02) if on_floor else 1.0)  # repeats a pixel
            fade = min(max(3 * blur - 0.5, 0), 1)
            mix = mix * (1 - fade) + 0.45 * fade * (kind != SOLID)
            for k in range(3):
                colour[k] = room.colours[first, k] * (1 - mix) + room.colours[first + 1, k] * mix
            if not on_floor:
                for r in range(len(room.panels)):
                    panel = room.panels[r]
                    if panel[0] < u < panel[2] and panel[1] < v < panel[3]:
                        for k in range(3):
                            colour[k] = panel[4 + k]
                if v < 0.08:
                    for k in range(3):
                        colour[k] *= np.float32(0.7)
            coarse = noise_at(table, 12 * u + room.offset[0], 12 * v + room.offset[1])
            fine = table[int(70 * v + 9e3) & (NOISE_SIZE - 1), int(90 * u + 9e3) & (NOISE_SIZE - 1)]
            grain = 0.8 + 0.25 * coarse + 0.12 * fine
            if on_floor:
                grain *= 1 - dark * (1 - lit_share(x, y, z, light.shadow_axes, light.shadow_map))
            haze = min(along / 60, 0.6)
            for k in range(3):
                value = colour[k] * grain * (1 - haze) + room.colours[5, k] * haze
                picture[row, column, k] = min(max(value, 0), 1)


@numba.njit(**FAST)
def paint_noise(picture, colours, place, turn, table):
    """Fill a picture (H, W, 3) with three display colours (3, 3) mixed by noise.

    place: (4,) offset in the table and cells per picture for the coarse and the fine noise; turn: radians.
    """
    height, width, _ = picture.shape
    cosine, sine = np.cos(turn), np.sin(turn)
    for row in range(height):
        for column in range(width):
            u, v = column / width, row / height
            a, b = cosine * u - sine * v, sine * u + cosine * v
            coarse = noise_at(table, place[2] * a + place[0], place[2] * b + place[1])
            fine = noise_at(table, place[3] * a + place[1], place[3] * b + place[0])
            mix = min(max(2 * coarse - 0.5, 0), 1)
            for k in range(3):
                value = colours[0, k] * (1 - mix) + colours[1, k] * mix
                picture[row, column, k] = value * (0.65 + 0.35 * fine) + colours[2, k] * 0.35 * (1 - fine)


@numba.njit(**FAST)
def paint_leaves(picture, owned, place, colours, table):
    """Blobs like foliage in front of everything, in place: where noise is high inside an ellipse.

    place: (7,) the ellipse's centre and half-axes in shares of the picture, offset in the table, cells per picture.
    colours: (2, 3) display RGB.
    """
    height, width, _ = picture.shape
    for row in range(height):
        for column in range(width):
            u, v = (column + 0.5) / width, (row + 0.5) / height
            away = ((u - place[0]) / place[2]) ** 2 + ((v - place[1]) / place[3]) ** 2
            if away > 1:
                continue
            noise = noise_at(table, place[6] * u + place[4], place[6] * v + place[5])
            if noise > 0.25 + 0.7 * away:
                light = noise_at(table, 3 * place[6] * u + place[5], 3 * place[6] * v + place[4])
                owned[row, column] = LEAVES
                for k in range(3):
                    picture[row, column, k] = colours[0, k] * (1 - light) + colours[1, k] * light


@numba.njit(**FAST)
def soften_edges(picture, owned):
    """Blend pixels at the border between two owners with their neighbours: (H, W, 3) float32, without stair steps."""
    height, width, _ = picture.shape
    result = picture.copy()
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            here = owned[y, x]
            same = owned[y - 1, x] == here and owned[y + 1, x] == here
            if same and owned[y, x - 1] == here and owned[y, x + 1] == here:
                continue
            for k in range(3):
                cross = picture[y - 1, x, k] + picture[y + 1, x, k] + picture[y, x - 1, k] + picture[y, x + 1, k]
                corners = (
                    picture[y - 1, x - 1, k]
                    + picture[y - 1, x + 1, k]
                    + picture[y + 1, x - 1, k]
                    + picture[y + 1, x + 1, k]
                )
                result[y, x, k] = (4 * picture[y, x, k] + 2 * cross + corners) / 16
    return result


@numba.njit(**FAST)
def develop(picture, curve, strength, place, grains):
    """Bytes (H, W, 3) of display values: grain added, then a tone curve (3, 256) applied.

    strength: of the grain, float32; place: (2,) where in the table `grains` (256, 256, 3) of normal noise.
    """
    height, width, _ = picture.shape
    result = np.empty((height, width, 3), dtype=np.uint8)
    for y in range(height):
        row = (y + place[0]) & (NOISE_SIZE - 1)
        for x in range(width):
            column = (x + place[1]) & (NOISE_SIZE - 1)
            for k in range(3):
                value = np.float32(255) * (picture[y, x, k] + strength * grains[row, column, k]) + np.float32(0.5)
                result[y, x, k] = curve[k, int(min(max(value, np.float32(0)), np.float32(255)))]
    return result
