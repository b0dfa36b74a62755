"""The compiled kernel that colours what the rasteriser hit: clothes, skin and things under a light with shadows.

Light is linear RGB and is encoded at the end through a table.
"""

from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np

from pose_rft.body.raster import FAR
from pose_rft.data.rendering.texture import FAST, PRINT, noise_at, pattern_at

BOXES, LEAVES, OUTSIDE, NOTHING = 64, 100, 101, -1  # owners of pixels beside persons 0, 1, ...
SKIN, HAIR, SHIRT, TROUSERS, SHOES, EYE, LIPS = range(7)

_STEPS = np.arange(8)  # the golden angle spreads samples evenly
SPIRAL = ((_STEPS + 1) / 8 * np.stack([np.cos(2.399963 * _STEPS), np.sin(2.399963 * _STEPS)])).T.astype(np.float32)


class Clothes(NamedTuple):
    """What P persons wear, see ``scene.draw_clothes``.

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


@lru_cache(maxsize=1)
def display_table() -> np.ndarray:
    """sRGB values 0..1 (4096,) float32 of linear light 0..1."""
    light = np.linspace(0, 1, 4096)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)


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
def lit_share(x, y, z, axes, shadow_map):
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
                mix = pattern_at(int(box[6]), box[7], at[6] + at[8], at[7], table)
                grain = 0.85 + 0.3 * noise_at(table, 300 * (at[6] + at[8]), 300 * at[7])
                for k in range(3):
                    colour[k] = (box[k] * (1 - mix) + box[3 + k] * mix) * grain
            else:
                colours, patterns = clothes.colours[who], clothes.patterns[who]
                part = part_at(at[6], at[7], at[8], at[9], at[10], at[11], clothes.cuts[who])
                first, second, mix = 0, 0, np.float32(0)
                if part == HAIR:
                    first = 1
                    fold = 0.75 + 0.5 * noise_at(table, 500 * at[6], 120 * (at[7] + at[8]))
                elif part == SHIRT:
                    first, second = 2, 3
                    if patterns[0] == PRINT:
                        inside = abs(at[6]) < 0.09 and 0.22 < at[7] < 0.4 and at[8] > 0
                        mix = np.float32(inside and noise_at(table, 150 * at[6], 150 * at[7]) > 0.35)
                    else:
                        mix = pattern_at(int(patterns[0]), patterns[1], at[6] + 0.5 * at[8], at[7], table)
                elif part == TROUSERS:
                    first, second = 4, 5
                    mix = pattern_at(int(patterns[2]), patterns[3], at[6] + 0.5 * at[8], at[7], table)
                elif part == SHOES:
                    first, second = 6, 5
                    mix = np.float32(0.8 * (at[7] < -0.915))
                elif part == LIPS:
                    first = 7
                if second:
                    fold = 1 + patterns[4] * (noise_at(table, 90 * (at[6] + at[8]), 60 * at[7] + 40 * at[6]) - 0.5)
                elif part == SKIN:
                    fold = 0.95 + 0.1 * noise_at(table, 200 * at[6], 200 * at[7])
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
                key = towards * lit_share(
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
