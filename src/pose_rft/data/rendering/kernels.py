"""Compiled kernels of the renders: what a pixel of a person, a box, a floor or a wall looks like.

Light is linear RGB and is encoded at the end through a table; backgrounds are made directly in display values 0 to 1.
Texture comes from one repeating table of smooth noise, looked up at a place of the surface, so that a pattern sits on
a person like cloth and does not swim. Single-threaded and ordered: equal input gives equal pixels.
"""

from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np

from pose_rft.body.raster import FAR

FAST = {"cache": True, "error_model": "numpy", "fastmath": True}
NOISE_SIZE = 256  # the noise table repeats after so many cells
BOXES, LEAVES, OUTSIDE, NOTHING = 64, 100, 101, -1  # owners of pixels beside persons 0, 1, ...
SKIN, HAIR, SHIRT, TROUSERS, SHOES, EYE, LIPS = range(7)
SOLID, RINGS, STRIPES, CHECKS, BLOTCHES, PLAID, PRINT = range(7)


_STEPS = np.arange(8)  # the golden angle spreads samples evenly
SPIRAL = ((_STEPS + 1) / 8 * np.stack([np.cos(2.399963 * _STEPS), np.sin(2.399963 * _STEPS)])).T.astype(np.float32)


class Clothes(NamedTuple):
    """What P persons wear, see ``render_scene.draw_clothes``.

    Attributes:
        colours: (P, 8, 3) linear RGB: skin, hair, shirt twice, trousers twice, shoes, lips.
        cuts: (P, 8): sleeve, waist, trouser leg, shoe (on the body's arm, height and leg scales), neckline and its
            slope, and the heights above which there is hair in front and at the back of the head.
        patterns: (P, 5): kind and scale for the shirt, the same for trousers, strength of folds.
    """

    colours: np.ndarray
    cuts: np.ndarray
    patterns: np.ndarray


class Light(NamedTuple):
    """Attributes:
    direction: (3,) towards the light, camera's frame.
    key, sky, ground: (3,) linear RGB of the light and of what comes from above and below.
    up: (3,) away from the ground, camera's frame.
    shadow_axes: (4, 3) that take a point to the shadow map.
    shadow_map: (H, W) float32; all `FAR` where nothing throws a shadow.
    """

    direction: np.ndarray
    key: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    up: np.ndarray
    shadow_axes: np.ndarray
    shadow_map: np.ndarray


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


@lru_cache(maxsize=1)
def display_table() -> np.ndarray:
    """sRGB values 0..1 (4096,) float32 of linear light 0..1."""
    light = np.linspace(0, 1, 4096)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)


@numba.njit(inline="always", **FAST)
def _noise(table, x, y):
    """The noise table at (x, y) cells, interpolated."""
    fx, fy = np.floor(x), np.floor(y)
    u, v = x - fx, y - fy
    x0, y0 = int(fx) & (NOISE_SIZE - 1), int(fy) & (NOISE_SIZE - 1)
    x1, y1 = (x0 + 1) & (NOISE_SIZE - 1), (y0 + 1) & (NOISE_SIZE - 1)
    top = table[y0, x0] * (1 - u) + table[y0, x1] * u
    return top * (1 - v) + (table[y1, x0] * (1 - u) + table[y1, x1] * u) * v


@numba.njit(**FAST)
def _pattern(kind, scale, u, v, table):
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
        return np.float32(min(max(_noise(table, 6 * a, 6 * b) * 5 - 2, 0), 1))
    if kind == PLAID:
        return np.float32(0.5 * (a - np.floor(a) < 0.4) + 0.5 * (b - np.floor(b) < 0.4))
    return np.float32(0)


@numba.njit(**FAST)
def part_at(x, y, z, arm, leg, head, cut):
    """Which garment covers a place (x, y, z) of the resting body, and whether the place is hair, eye or lips."""
    if leg > cut[3]:
        return SHOES
    on_arm = arm > -0.2
    if y > 0.4 and not on_arm and abs(x) < 0.1:
        share = min(max((z + 0.01) / 0.08, 0), 1)
        if y > cut[7] + (cut[6] - cut[7]) * share * share * (3 - 2 * share):
            return HAIR
    if head > 0.5:
        if z > 0.09:
            side = abs(x)
            if abs(y - 0.652) < 0.007 and abs(side - 0.030) < 0.013:
                return EYE
            if abs(y - 0.674 + 0.1 * abs(side - 0.03)) < 0.0035 and 0.014 < side < 0.046:
                return HAIR
            if abs(y - 0.588) < 0.008 - 0.2 * abs(side) * 0.9 and side < 0.026:
                return LIPS
        return SKIN
    if on_arm:
        return SHIRT if arm < cut[0] else SKIN
    if y < cut[1]:
        return TROUSERS if leg < cut[2] else SKIN
    return SHIRT if y + cut[5] * z < cut[4] and cut[0] > -0.4 else SKIN


@numba.njit(**FAST)
def thickness_of(skin, arm, leg, head, cut, loose):
    """How far clothes and hair stand off each vertex (V,), metres; `loose` (5,) for the parts skin to shoes."""
    result = np.zeros(len(skin))
    for v in range(len(skin)):
        part = part_at(skin[v, 0], skin[v, 1], skin[v, 2], arm[v], leg[v], head[v], cut)
        if part <= SHOES and not (part == HAIR and skin[v, 2] > 0.09):
            result[v] = loose[part]
    return result


@numba.njit(**FAST)
def _lit(x, y, z, axes, shadow_map):
    """Share of the key light that reaches a point: nine comparisons with the shadow map."""
    px = axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z + axes[3, 0]
    py = axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z + axes[3, 1]
    depth = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z + axes[3, 2] - 0.02
    height, width = shadow_map.shape
    if not (1 <= px < width - 2 and 1 <= py < height - 2):
        return np.float32(1)
    x0, y0 = int(px), int(py)
    total = 0
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            total += depth <= shadow_map[y0 + dy, x0 + dx]
    return np.float32(total / 9)


@numba.njit(**FAST)
def _openness(depth, y, x, focal):
    """How open a covered pixel is, 0..1, from eight neighbours within 8 cm; `depth` holds -1 / distance."""
    here = -1 / depth[y, x]
    reach = 0.08 * focal / here
    height, width = depth.shape
    hidden = np.float32(0)
    for s in range(8):
        sx, sy = int(x + reach * SPIRAL[s, 0]), int(y + reach * SPIRAL[s, 1])
        if 0 <= sx < width and 0 <= sy < height and depth[sy, sx] < FAR:
            ahead = here + 1 / depth[sy, sx]
            if 0 < ahead < 0.25:
                hidden += min(ahead / (np.float32(0.01) * (s + 1)), np.float32(1.5))
    return 1 - min(hidden / 12, np.float32(0.8))


@numba.njit(**FAST)
def shade(picture, depth, face, weights, faces, surface, owner, focal, light, clothes, boxes, table, display):
    """Colour what the rasteriser hit, in place.

    Args:
        picture: (H, W, 3) float32 display values, the background.
        depth, face, weights: of ``raster.rasterise``; the depth is -1 / distance.
        faces: (F, 3) corners. surface: (V, 12) float32: position, normal, place on the resting body or box, arm, leg,
            head. owner: (F,) person, or `BOXES` and a box's number.
        focal: pixels.
        light, clothes: see there. boxes: (B, 8) linear RGB twice, pattern and its scale.
        table, display: ``noise_table()``, ``display_table()``.

    Returns:
        (H, W) int16: who owns a pixel, `NOTHING` for the background.
    """
    height, width = depth.shape
    owned = np.full((height, width), NOTHING, dtype=np.int16)
    at = np.empty(12, dtype=np.float32)
    colour = np.empty(3, dtype=np.float32)
    for y in range(height):
        for x in range(width):
            f = face[y, x]
            if f < 0:
                continue
            v, w = weights[y, x, 0], weights[y, x, 1]
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            for k in range(12):
                at[k] = surface[a, k] * (1 - v - w) + surface[b, k] * v + surface[c, k] * w
            who = owner[f]
            owned[y, x] = who
            fold, gloss = np.float32(1), np.float32(0)
            if who >= BOXES:
                box = boxes[who - BOXES]
                mix = _pattern(int(box[6]), box[7], at[6] + at[8], at[7], table)
                grain = 0.85 + 0.3 * _noise(table, 300 * (at[6] + at[8]), 300 * at[7])
                for k in range(3):
                    colour[k] = (box[k] * (1 - mix) + box[3 + k] * mix) * grain
            else:
                colours, patterns = clothes.colours[who], clothes.patterns[who]
                part = part_at(at[6], at[7], at[8], at[9], at[10], at[11], clothes.cuts[who])
                first, second, mix = 0, 0, np.float32(0)
                if part == HAIR:
                    first = 1
                    fold = 0.75 + 0.5 * _noise(table, 500 * at[6], 120 * (at[7] + at[8]))
                elif part == SHIRT:
                    first, second = 2, 3
                    if patterns[0] == PRINT:
                        inside = abs(at[6]) < 0.09 and 0.22 < at[7] < 0.4 and at[8] > 0
                        mix = np.float32(inside and _noise(table, 150 * at[6], 150 * at[7]) > 0.35)
                    else:
                        mix = _pattern(int(patterns[0]), patterns[1], at[6] + 0.5 * at[8], at[7], table)
                elif part == TROUSERS:
                    first, second = 4, 5
                    mix = _pattern(int(patterns[2]), patterns[3], at[6] + 0.5 * at[8], at[7], table)
                elif part == SHOES:
                    first, second = 6, 5
                    mix = np.float32(0.8 * (at[7] < -0.915))
                elif part == LIPS:
                    first = 7
                if second:
                    fold = 1 + patterns[4] * (_noise(table, 90 * (at[6] + at[8]), 60 * at[7] + 40 * at[6]) - 0.5)
                elif part == SKIN:
                    fold = 0.95 + 0.1 * _noise(table, 200 * at[6], 200 * at[7])
                    gloss = np.float32(0.04)
                for k in range(3):
                    colour[k] = colours[first, k] * (1 - mix) + colours[second, k] * mix
                if part == EYE:
                    white = abs(abs(at[6]) - 0.030) > 0.0055
                    for k in range(3):
                        colour[k] = 0.4 if white else 0.02
            length = np.sqrt(at[3] ** 2 + at[4] ** 2 + at[5] ** 2) + 1e-9
            nx, ny, nz = at[3] / length, at[4] / length, at[5] / length
            towards = nx * light.direction[0] + ny * light.direction[1] + nz * light.direction[2]
            key = np.float32(0)
            if towards > 0:
                edge = np.float32(0.012)
                key = towards * _lit(
                    at[0] + edge * nx, at[1] + edge * ny, at[2] + edge * nz, light.shadow_axes, light.shadow_map
                )
            sky = 0.5 + 0.5 * (nx * light.up[0] + ny * light.up[1] + nz * light.up[2])
            air = _openness(depth, y, x, focal)
            shine = gloss * key**8
            for k in range(3):
                ambient = (light.sky[k] * sky + light.ground[k] * (1 - sky)) * air
                value = colour[k] * fold * (light.key[k] * key + ambient) + shine * light.key[k]
                picture[y, x, k] = display[min(max(int(4095 * value), 0), 4095)]
    return owned


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
                cloud = 0.12 * _noise(table, 40 * rx + room.offset[0], 90 * ry + room.offset[1])
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
            mix = _pattern(kind, scale, u + 50, v + 50, table)
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
            coarse = _noise(table, 12 * u + room.offset[0], 12 * v + room.offset[1])
            fine = table[int(70 * v + 9e3) & (NOISE_SIZE - 1), int(90 * u + 9e3) & (NOISE_SIZE - 1)]
            grain = 0.8 + 0.25 * coarse + 0.12 * fine
            if on_floor:
                grain *= 1 - dark * (1 - _lit(x, y, z, light.shadow_axes, light.shadow_map))
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
            coarse = _noise(table, place[2] * a + place[0], place[2] * b + place[1])
            fine = _noise(table, place[3] * a + place[1], place[3] * b + place[0])
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
            noise = _noise(table, place[6] * u + place[4], place[6] * v + place[5])
            if noise > 0.25 + 0.7 * away:
                light = _noise(table, 3 * place[6] * u + place[5], 3 * place[6] * v + place[4])
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
