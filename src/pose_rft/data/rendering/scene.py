"""What renders show beside the pose, drawn at random: clothes, light, rooms, things in the way, and what cameras do.

Every function takes the picture's own random generator and nothing else that is random.
"""

import io
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from pose_rft.body.raster import FAR, rasterise
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.data.rendering.camera import extent
from pose_rft.data.rendering.painting import Room, paint_noise, paint_room
from pose_rft.data.rendering.shading import Clothes, Light
from pose_rft.data.rendering.texture import NOISE_SIZE
from pose_rft.errors import UserError

SKIN_TONES = np.array(
    [[255, 226, 203], [241, 198, 168], [224, 177, 140], [198, 140, 100], [150, 96, 62], [105, 66, 44], [66, 42, 30]]
)
HAIR_TONES = np.array([[18, 15, 14], [45, 32, 25], [84, 56, 36], [140, 100, 60], [205, 170, 115], [165, 165, 165]])
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
SHADOW_PIXELS = 144
NO_SHADOW = np.full((4, 4), FAR, np.float32)


def linear(display: npt.ArrayLike) -> np.ndarray:
    """Linear light 0..1 of sRGB values 0..255."""
    share = np.asarray(display, np.float64) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _drawn(shares: tuple[float, ...], rng: np.random.Generator) -> int:
    """One of so many, by the shares of each, which sum to 1."""
    place = rng.random()
    return next((at for at, end in enumerate(accumulate(shares)) if place < end), 0)


def _between(table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A colour (3,) between two neighbours of a table (N, 3)."""
    place = rng.uniform(0, len(table) - 1)
    first = int(place)
    return table[first] * (1 - place + first) + table[first + 1] * (place - first)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """Display RGB 0..255 of cloth or paint: often grey, dark or pale, sometimes vivid."""
    value = 255 * rng.beta(1.3, 1.2)
    grey = np.full(3, value)
    vivid = 255 * rng.random(3)
    share = rng.beta(0.8, 1.6)
    return np.clip(grey * (1 - share) + vivid * share, 6, 245)


def draw_clothes(rng: np.random.Generator) -> tuple[Clothes, np.ndarray]:
    """Clothes of one person, and how far they stand off: (5,) metres for skin, hair, shirt, trousers, shoes."""
    skin = linear(_between(SKIN_TONES, rng) * rng.uniform(0.9, 1.0))
    cap = rng.random() < 0.12
    hair = linear(_colour(rng) if cap or rng.random() < 0.05 else _between(HAIR_TONES, rng))
    shirt, trousers = linear([_colour(rng), _colour(rng)]), linear([_colour(rng), _colour(rng)])
    if rng.random() < 0.08:
        trousers = shirt  # overalls, a suit
    shoes = linear(_colour(rng)) if rng.random() < 0.88 else skin
    lips = skin * np.array([0.85, 0.55, 0.55])
    chance = rng.random()
    if chance < 0.07:
        sleeve = -0.5  # bare chest
    elif chance < 0.2:
        sleeve = rng.uniform(-0.15, 0.1)
    else:
        sleeve = rng.uniform(0.35, 0.8) if chance < 0.6 else rng.uniform(1.5, 1.98)
    leg = rng.uniform(0.2, 1.0) if rng.random() < 0.33 else rng.uniform(1.55, 2.15)
    waist = rng.uniform(-0.06, 0.12)
    shoe = rng.uniform(2.25, 2.5) if rng.random() < 0.85 else rng.uniform(1.3, 1.8)
    chance = rng.random()
    nape = rng.uniform(0.4, 0.54) if chance < 0.3 else rng.uniform(0.56, 0.64) if chance < 0.9 else 1.0  # 1: bald
    brow = rng.uniform(0.7, 0.73) if chance < 0.85 else 1.0
    cuts = [sleeve, waist, leg, shoe, rng.uniform(0.48, 0.52), rng.uniform(0.1, 0.9), brow, nape]
    if cap:
        cuts[6:] = [rng.uniform(0.69, 0.71), rng.uniform(0.66, 0.7)]
    kinds = [_drawn((0.48, 0.12, 0.07, 0.05, 0.09, 0.09, 0.1), rng), _drawn((0.8, 0, 0.04, 0.02, 0.07, 0.07), rng)]
    patterns = [kinds[0], rng.uniform(4, 30), kinds[1], rng.uniform(6, 40), rng.uniform(0.1, 0.6)]
    loose = [
        0.0,
        rng.uniform(0.012, 0.03),
        rng.uniform(0.003, 0.012) if rng.random() < 0.5 else rng.uniform(0.012, 0.03),
        rng.uniform(0.003, 0.01) if rng.random() < 0.5 else rng.uniform(0.01, 0.025),
        rng.uniform(0.006, 0.015),
    ]
    colours = np.stack([skin, hair, shirt[0], shirt[1], trousers[0], trousers[1], shoes, lips])
    return Clothes(*(np.asarray(part, np.float32)[None] for part in (colours, cuts, patterns))), np.array(loose)


def ordinary_pose(rng: np.random.Generator) -> np.ndarray:
    """Somebody who stands about (22, 3): arms down or bent, legs nearly straight."""
    pose = rng.normal(0, 0.07, (22, 3))
    for side, sign in (("left", 1), ("right", -1)):
        pose[JOINT_INDEX[f"{side}_shoulder"]] += [0, -0.3 * sign * rng.random(), -sign * rng.uniform(1.0, 1.35)]
        pose[JOINT_INDEX[f"{side}_elbow"], 1] -= sign * rng.uniform(0.1, 1.0 if rng.random() < 0.7 else 2.2)
        pose[JOINT_INDEX[f"{side}_hip"], 0] -= rng.uniform(-0.2, 0.45)
        pose[JOINT_INDEX[f"{side}_knee"], 0] += rng.uniform(0, 0.4)
    pose[0] = [0, rng.uniform(-np.pi, np.pi), 0]
    return pose


def draw_light(up: np.ndarray, rng: np.random.Generator) -> tuple[Light, bool]:
    """A light for a camera that sees the world's up at (3,), and whether it is hard enough to throw shadows."""
    direction = rng.normal(size=3) + np.array([0, 0, 0.5]) + rng.uniform(0.5, 1.6) * up
    direction /= np.linalg.norm(direction)
    hard = rng.random() < 0.6
    bright = rng.uniform(0.65, 1.35)
    key = bright * (rng.uniform(0.7, 1.3) if hard else rng.uniform(0.2, 0.6))
    warm = np.array([1 + rng.normal(0, 0.09), 1.0, 1 + rng.normal(0, 0.12)])
    sky = bright * rng.uniform(0.3, 0.7) * (2 - warm if rng.random() < 0.5 else warm)
    ground = bright * rng.uniform(0.1, 0.35) * (0.6 + 0.4 * rng.random(3))
    light = Light(direction, key * warm, sky, ground, up, np.zeros((4, 3)), NO_SHADOW)
    return light, bool(hard and direction @ up > 0.15)


def with_shadow(light: Light, skin: np.ndarray, faces: np.ndarray) -> Light:
    """The light with the depth map of persons (V, 3), (F, 3) as it sees them."""
    side = np.cross([0.0, 1.0, 0.0], light.direction)
    right = side / np.linalg.norm(side)
    top = np.cross(light.direction, right)
    flat = skin @ np.stack([right, -top]).T
    low, high = flat.min(0), flat.max(0)
    scale = (SHADOW_PIXELS - 8) / float((high - low).max())
    axes = np.stack([right * scale, -top * scale, -light.direction, np.zeros(3)])
    axes[3, :2] = SHADOW_PIXELS / 2 - scale * (low + high) / 2
    depth, _, _ = rasterise((skin @ axes[:3].T + axes[3]).astype(np.float32), faces, SHADOW_PIXELS, SHADOW_PIXELS)
    return light._replace(shadow_axes=axes, shadow_map=depth)


def draw_room(skin: np.ndarray, up: np.ndarray, rng: np.random.Generator) -> Room | None:
    """A floor under a skin (V, 3) and a wall or the sky behind it; None if the camera would stand below the floor."""
    height = float((skin @ up).min()) - (0.01 if rng.random() < 0.9 else rng.uniform(0.05, 0.4))
    away = np.array([0.0, 0.0, -1.0])
    away = away - (away @ up) * up
    away /= np.linalg.norm(away) + 1e-9
    aside = np.cross(away, up)
    turn = rng.uniform(-0.6, 0.6)
    facing = -(np.cos(turn) * away + np.sin(turn) * aside)
    level = np.cross(up, facing)
    gap = rng.uniform(0.25, 1.2) if rng.random() < 0.5 else rng.uniform(1.2, 5)
    wall = np.append(facing, float((skin @ facing).min()) - gap)
    indoors = rng.random() < 0.65
    yaw = rng.uniform(0, np.pi)
    along = np.stack([np.cos(yaw) * aside + np.sin(yaw) * away, np.cos(yaw) * away - np.sin(yaw) * aside, level])
    sky = np.array([rng.uniform(90, 190), rng.uniform(140, 215), rng.uniform(190, 250)])
    if rng.random() < 0.4:
        sky = np.full(3, rng.uniform(120, 250)) + rng.normal(0, 12, 3)
    haze = np.clip(0.5 * sky + 0.5 * rng.uniform(150, 250), 0, 255)
    colours = np.stack([_colour(rng), _colour(rng), _colour(rng), _colour(rng), sky, haze]) / 255
    if not indoors and rng.random() < 0.6:
        colours[:2] = np.array([[95, 120, 60], [120, 110, 80]]) / 255 * rng.uniform(0.6, 1.3, 3)
    wall_pale = rng.random() < 0.5
    if wall_pale:
        colours[2] = np.clip(rng.uniform(0.65, 0.95) + rng.normal(0, 0.04, 3), 0, 1)
    patterns = [
        _drawn((0.42, 0.1, 0.12, 0.16, 0.2), rng), rng.uniform(0.8, 6),
        _drawn((0.6, 0.05, 0.12, 0.05, 0.1, 0.08), rng), rng.uniform(0.5, 5),
    ]  # fmt: skip
    panels = np.zeros((int(rng.integers(0, 6)) if indoors else 0, 7))
    for panel in panels:
        left, bottom = rng.uniform(-2.5, 2), rng.choice([0.0, rng.uniform(0.6, 1.6)])
        panel[:4] = left, bottom, left + rng.uniform(0.3, 1.5), bottom + rng.uniform(0.3, 1.6)
        panel[4:] = _colour(rng) / 255
    floor = np.append(up, height)
    if floor[3] > -0.15 or (indoors and wall[3] > -0.15):  # the camera is at the origin: it must be inside
        return None
    return Room(
        floor, wall if indoors else np.zeros(4), along, colours, np.array(patterns), panels, rng.uniform(0, 256, 2)
    )


def draw_background(
    size: int,
    focal: float,
    principal: np.ndarray,
    skin: np.ndarray,
    up: np.ndarray,
    light: Light,
    photos: tuple[Path, ...],
    table: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Everything behind the people, whose skin is (V, 3): (S, S, 3) float32 display values 0..1."""
    picture = np.empty((size, size, 3), np.float32)
    kind = _drawn((0.55, 0.08, 0.2, 0.17), rng)
    dark = rng.uniform(0.3, 0.8)
    clutter = rng.random() < 0.35
    if photos and rng.random() < 0.6:
        return _photograph(photos[int(rng.integers(len(photos)))], size, rng)
    room = draw_room(skin, up, rng) if kind == 0 else None
    if room is not None:
        paint_room(picture, focal, principal, room, light, dark, table)
    elif kind <= 1:
        ends = (np.stack([_colour(rng), _colour(rng)]) / 255).astype(np.float32)
        across = np.linspace(-0.5, 0.5, size, dtype=np.float32)
        slope = rng.normal(size=2).astype(np.float32)
        mix = np.clip(np.float32(0.5) + slope[0] * across + slope[1] * across[:, None], 0, 1)
        picture[:] = ends[0] + mix[..., None] * (ends[1] - ends[0])
    elif kind == 2:
        colours = np.stack([_colour(rng), _colour(rng), _colour(rng)]) / 255
        place = np.append(rng.uniform(0, 256, 2), [rng.uniform(4, 30), rng.uniform(30, 200)])
        paint_noise(picture, colours, place, rng.uniform(0, 2 * np.pi), table)
    else:
        picture[:] = _colour(rng) / 255
        clutter = True
    if clutter:
        picture = _with_shapes(picture, int(rng.integers(4, 24)), rng)
    return picture


def _with_shapes(picture: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random polygons, ellipses and lines over a picture (S, S, 3) of display values."""
    size = len(picture)
    image = Image.fromarray((np.float32(255) * picture).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(count):
        colour = tuple(int(c) for c in _colour(rng))
        centre, spread = rng.random(2) * size, size * rng.uniform(0.04, 0.35)
        kind = rng.integers(3)
        if kind == 0:
            points = centre + rng.normal(0, spread, (int(rng.integers(3, 7)), 2))
            draw.polygon([tuple(p) for p in points.tolist()], fill=colour)
        elif kind == 1:
            half = spread * rng.uniform(0.3, 1, 2)
            draw.ellipse([*(centre - half), *(centre + half)], fill=colour)
        else:
            end = rng.random(2) * size
            draw.line([*centre, *end], fill=colour, width=max(1, int(size * rng.uniform(0.005, 0.06))))
    return np.asarray(image, np.float32) * np.float32(1 / 255)


def photographs(folder: str | Path) -> tuple[Path, ...]:
    """The photographs in a folder, by name.

    Raises:
        UserError: no such folder, or none in it.
    """
    found = tuple(sorted(p for p in Path(folder).glob("*") if p.suffix.lower() in PHOTO_SUFFIXES))
    if not found:
        raise UserError(f"{folder}: no photographs ({', '.join(PHOTO_SUFFIXES)}) found; give a folder that holds some")
    return found


@lru_cache(maxsize=128)
def _opened(path: Path) -> Image.Image:
    """A photograph, at most about 640 pixels."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (640, 640))
            image.thumbnail((640, 640))
            return image.convert("RGB")
    except Exception as error:  # Pillow's decoders raise errors of many kinds on damaged files
        raise UserError(f"{path}: cannot be read as a photograph ({error}); remove it from the folder") from None


def _photograph(path: Path, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random square of a photograph, perhaps mirrored: (S, S, 3) float32 display values."""
    image = _opened(path)
    side = min(image.size) * rng.uniform(0.4, 1)
    left, top = rng.random() * (image.width - side), rng.random() * (image.height - side)
    part = image.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
    picture = np.asarray(part, np.float32) / 255
    return np.ascontiguousarray(picture[:, ::-1] if rng.random() < 0.5 else picture)


# A unit box: 24 corners (four for each side, so that each side has one normal) and 12 triangles.
_SIDES = [(axis, sign) for axis in range(3) for sign in (-1.0, 1.0)]


def _unit_box() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    corners: list[np.ndarray] = []
    normals: list[np.ndarray] = []
    faces: list[list[int]] = []
    for axis, sign in _SIDES:
        first, second = (axis + 1) % 3, (axis + 2) % 3
        start = len(corners)
        for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            corner = np.zeros(3)
            corner[axis], corner[first], corner[second] = sign, a, b
            corners.append(corner)
            normals.append(np.eye(3)[axis] * sign)
        turn = [[0, 1, 2], [0, 2, 3]] if sign > 0 else [[0, 2, 1], [0, 3, 2]]
        faces += [[start + i for i in triangle] for triangle in turn]
    return np.array(corners), np.array(normals), np.array(faces)


BOX_CORNERS, BOX_NORMALS, BOX_FACES = _unit_box()


def draw_obstacles(skin: np.ndarray, up: np.ndarray, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
    """Boxes, boards and poles between the camera and a skin (V, 3).

    Returns:
        per box its frame (4, 3), rows: three half-axes and the centre, metres; and finishes (B, 8) float32, the
        boxes of ``shade``.
    """
    boxes, finishes = [], []
    count = _drawn((0.74, 0.2, 0.06), rng)
    if not count:
        return [], np.zeros((0, 8), np.float32)
    low, high = extent(skin)
    nearest = -float(skin[:, 2].max())
    upright = up - up[2] * np.array([0, 0, 1.0])
    upright /= np.linalg.norm(upright) + 1e-9
    for _ in range(count):
        depth = nearest * rng.uniform(0.6, 0.92)
        centre = low + (high - low) * rng.random(2)
        longest = float((high - low).max()) * depth
        kind = rng.integers(3)
        if kind == 0:  # a box
            half = longest * rng.uniform(0.06, 0.18, 3)
        elif kind == 1:  # a pole
            half = np.array([longest * rng.uniform(0.012, 0.03), 2.0, 0.03])
        else:  # a board or a table top that hides the lower part
            half = np.array([longest * rng.uniform(0.3, 0.9), longest * rng.uniform(0.04, 0.12), 0.05])
            centre = np.array([centre[0], low[1] + (high[1] - low[1]) * rng.uniform(0.02, 0.4)])
        half[2] = min(half[2], 0.25 * depth)
        yaw = rng.uniform(-0.5, 0.5)
        forward = np.array([0, 0, 1.0])
        right = np.cross(upright, forward)
        first = np.cos(yaw) * right + np.sin(yaw) * forward
        third = np.cross(first, upright)
        frame = np.stack([first * half[0], upright * half[1], third * half[2], np.append(centre * depth, -depth)])
        finish = np.concatenate(
            [linear(_colour(rng)), linear(_colour(rng)), [_drawn((0.6, 0.1, 0.1, 0.1, 0.1), rng), rng.uniform(3, 15)]]
        )
        corners = BOX_CORNERS @ frame[:3] + frame[3]
        if corners[:, 2].max() < -0.3:
            boxes.append(frame)
            finishes.append(finish)
    return boxes, np.array(finishes, np.float32).reshape(-1, 8)


def draw_leaves(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """Foliage in front, in every sixteenth picture: place (7,) and colours (2, 3) for ``paint_leaves``."""
    if rng.random() > 1 / 16:
        return None
    edge = rng.random(2)
    edge[rng.integers(2)] = rng.choice([0.0, 1.0])
    colours = np.stack([_colour(rng), _colour(rng)]) / 255
    if rng.random() < 0.7:
        colours = np.array([[35, 70, 25], [110, 150, 60]]) / 255 * rng.uniform(0.5, 1.2)
    place = [*edge, *rng.uniform(0.2, 0.5, 2), *rng.uniform(0, 256, 2), rng.uniform(40, 140)]
    return np.array(place), np.clip(colours, 0, 1)


@lru_cache(maxsize=1)
def grains() -> np.ndarray:
    """Normal noise (256, 256, 3) float32, always the same."""
    return np.random.default_rng(6).standard_normal((NOISE_SIZE, NOISE_SIZE, 3)).astype(np.float32)


def draw_curve(rng: np.random.Generator) -> np.ndarray:
    """Tone curves (3, 256) uint8 of a camera: contrast, brightness, gamma and a colour cast."""
    level = np.arange(256) / 255
    gamma = np.exp(rng.normal(0, 0.18))
    contrast, bright = np.exp(rng.normal(0, 0.15)), rng.normal(0, 0.04)
    curve = np.clip((level**gamma - 0.5) * contrast + 0.5 + bright, 0, 1)
    cast = 1 + rng.normal(0, 0.04, (3, 1))
    return (255 * np.clip(curve * cast, 0, 1) + 0.5).astype(np.uint8)


def processed(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What lenses and files do to a picture (S, S, 3) uint8: out of focus, few pixels, grey, JPEG's blocks."""
    size = len(pixels)
    image = Image.fromarray(pixels)
    chance = rng.random(4)
    amount = rng.random(4).tolist()
    if chance[0] < 0.25:
        image = image.filter(ImageFilter.GaussianBlur(size / 256 * (0.3 + 1.5 * amount[0] ** 2)))
    if chance[1] < 0.25:
        few = max(16, int(size * (0.25 + 0.6 * amount[1])))
        image = image.resize((few, few), Image.Resampling.BILINEAR).resize((size, size), Image.Resampling.BICUBIC)
    if chance[2] < 0.06:
        image = image.convert("L").convert("RGB")
    if chance[3] < 0.35:
        packed = io.BytesIO()
        image.save(packed, "JPEG", quality=int(20 + 75 * amount[3]))
        image = Image.open(packed)
    return np.asarray(image)
