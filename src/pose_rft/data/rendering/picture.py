"""Drawing one picture: bodies dressed, lit, placed before a camera and photographed.

What is random comes from one generator, in a fixed order: a change of that order is another picture.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from pose_rft.body.raster import rasterise
from pose_rft.body.reduced import NUM_BETAS, ReducedBody, load_reduced_body, normals_of, posed
from pose_rft.data.rendering import scene
from pose_rft.data.rendering.camera import (
    CLOSE,
    Pinhole,
    draw_axes,
    draw_translation,
    extent,
    in_camera_frame,
    person_pinhole,
    pinhole_of,
    project,
)
from pose_rft.data.rendering.painting import develop, paint_leaves, soften_edges
from pose_rft.data.rendering.shading import BOXES, OUTSIDE, Clothes, display_table, shade, thickness_of
from pose_rft.data.rendering.texture import noise_table
from pose_rft.data.rendering.truths import DressedBody, Renders, truths_of

NO_BOXES = np.zeros((0, 8), np.float32)
STREAM = 7_919  # keeps the random numbers of renders apart from those of other things drawn with the same seed


def _dressed(pose: np.ndarray, axes: np.ndarray, rng: np.random.Generator) -> DressedBody:
    """A body of random shape in random clothes, in a camera's axes (3, 3), pelvis at the origin."""
    body = load_reduced_body()
    clothes, loose = scene.draw_clothes(rng)
    betas = np.clip(rng.normal(size=NUM_BETAS), -2.5, 2.5).astype(np.float32)
    pose = in_camera_frame(axes, pose)
    thickness = thickness_of(body.skin, body.arm, body.leg, body.head, clothes.cuts[0], loose)
    skin, joints = posed(body, pose, betas, thickness)
    return DressedBody(pose, betas, skin, joints, clothes)


def generator_of(seed: int, index: int, people: int) -> np.random.Generator:
    """What decides everything about a picture but the poses."""
    return np.random.default_rng([STREAM, abs(seed), int(seed < 0), index, people - 1])


def draw_one(pose: np.ndarray, seed: int, index: int, size: int, photos: tuple[Path, ...], clear: bool) -> Renders:
    """One picture of one person."""
    rng = generator_of(seed, index, 1)
    axes = draw_axes(rng)
    person = _dressed(pose, axes, rng)
    person = person.moved(draw_translation(person.skin, rng))
    camera = person_pinhole(person.skin, size, rng, whole=clear)
    people, up = [person], axes[:, 1].copy()
    if rng.random() < 0.16 and not clear and (other := _bystander(person, axes, rng)):
        people.append(other)
    boxes, finishes = ([], NO_BOXES) if clear else scene.draw_obstacles(person.skin, up, rng)
    return _photographed(people, 1, boxes, finishes, up, camera, size, photos, clear, rng)[0]


def _bystander(person: DressedBody, axes: np.ndarray, rng: np.random.Generator) -> DressedBody | None:
    """Somebody else who stands beside or behind, on the same floor; None if that is too near the camera."""
    other = _dressed(scene.ordinary_pose(rng), axes, rng)
    up = axes[:, 1].copy()
    ahead = np.array([0, 0, 1.0]) - up[2] * up
    ahead /= np.linalg.norm(ahead) + 1e-9
    shift = rng.choice([-1, 1]) * rng.uniform(0.45, 1.3) * np.cross(up, ahead) + rng.uniform(-1.6, 0.2) * ahead
    other = other.moved(person.joints[0] + shift)
    other = other.moved(((person.skin @ up).min() - (other.skin @ up).min()) * up)
    return other if other.skin[:, 2].max() < -CLOSE else None


def draw_pair(poses: np.ndarray, seed: int, index: int, size: int, photos: tuple[Path, ...]) -> list[Renders]:
    """One picture of two people, the first on the left."""
    rng = generator_of(seed, index, 2)
    axes = draw_axes(rng)
    up = axes[:, 1].copy()
    people = [_dressed(pose, axes, rng) for pose in poses]
    ahead = np.array([0, 0, 1.0]) - up[2] * up
    ahead /= np.linalg.norm(ahead) + 1e-9
    aside = np.cross(up, ahead)
    # Apart enough that neither stands in front of the other, plus a little air.
    gap = (people[0].skin @ aside).max() - (people[1].skin @ aside).min() + rng.uniform(-0.1, 0.4)
    depth = rng.uniform(-0.4, 0.4)
    distance = np.exp(rng.uniform(np.log(3.0), np.log(8.0)))
    middle = np.array([0.0, 0.0, -max(distance, 1.2 * gap + 1)])
    people[0] = people[0].moved(middle - gap / 2 * aside + depth / 2 * ahead)
    people[1] = people[1].moved(middle + gap / 2 * aside - depth / 2 * ahead)
    floors = [(person.skin @ up).min() for person in people]
    people[1] = people[1].moved((floors[0] - floors[1]) * up)
    low, high = extent(np.concatenate([person.skin for person in people]))
    side = float((high - low).max()) * rng.uniform(1.05, 1.3)
    camera = pinhole_of((low + high) / 2 + rng.normal(0, 0.01, 2) * side, side, size)
    return _photographed(people, 2, [], NO_BOXES, up, camera, size, photos, True, rng)


def _photographed(
    people: list[DressedBody],
    subjects: int,
    boxes: list[np.ndarray],
    finishes: np.ndarray,
    up: np.ndarray,
    camera: Pinhole,
    size: int,
    photos: tuple[Path, ...],
    clear: bool,
    rng: np.random.Generator,
) -> list[Renders]:
    """The picture, and one row of truths for each of the first `subjects` people."""
    body, table = load_reduced_body(), noise_table()
    light, shadows = scene.draw_light(up, rng)
    faces = np.concatenate([body.faces + len(body.skin) * number for number in range(len(people))])
    everyone = np.concatenate([person.skin for person in people])
    if shadows:
        light = scene.with_shadow(light, everyone, faces)
    picture = scene.draw_background(size, camera.focal, camera.principal, everyone, up, light, photos, table, rng)

    surface, faces, owner = _surface(people, boxes, body, faces)
    points = np.empty((len(surface), 3), np.float32)
    points[:, :2] = project(surface[:, :3].astype(np.float64), camera.focal, camera.principal)
    points[:, 2] = 1 / surface[:, 2]  # -1 / distance: exactly affine on the picture
    depth, face, weights = rasterise(points, faces, size, size)
    clothes = Clothes(*(np.concatenate(parts) for parts in zip(*(p.clothes for p in people), strict=True)))
    owned = shade(
        picture,
        depth,
        face,
        weights,
        faces,
        surface,
        owner,
        camera.focal,
        light,
        clothes,
        finishes,
        table,
        display_table(),
    )
    leaves = scene.draw_leaves(rng)
    if leaves and not clear:
        paint_leaves(picture, owned, *leaves, table)
    picture = soften_edges(picture, owned)
    if not clear:
        _cut_by_border(picture, owned, rng)

    strength = np.float32(rng.exponential(0.012) if rng.random() < 0.6 else 0)
    place = rng.integers(0, 256, 2)
    pixels = develop(picture, scene.draw_curve(rng), strength, place, scene.grains())
    pixels = scene.processed(pixels, rng)
    return [truths_of(person, row, pixels, depth, owned, camera, up) for row, person in enumerate(people[:subjects])]


@lru_cache(maxsize=1)
def _resting() -> np.ndarray:
    """(V, 6) float32: place of each vertex on the resting body, arm, leg, head, see ``shade``."""
    body = load_reduced_body()
    return np.column_stack([body.skin, body.arm, body.leg, body.head]).astype(np.float32)


def _surface(
    people: list[DressedBody], boxes: list[np.ndarray], body: ReducedBody, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All vertices (V, 12) float32, triangles (F, 3) and their owners (F,) int16, see ``shade``."""
    owners, triangles = [np.repeat(np.arange(len(people)), len(body.faces))], [faces]
    start = len(people) * len(body.skin)
    surface = np.zeros((start + 24 * len(boxes), 12), np.float32)
    for number, person in enumerate(people):
        part = surface[number * len(body.skin) : (number + 1) * len(body.skin)]
        part[:, :3], part[:, 3:6] = person.skin, normals_of(person.skin, body.faces)
        part[:, 6:] = _resting()
    for number, frame in enumerate(boxes):
        part = surface[start + 24 * number : start + 24 * (number + 1)]
        half = np.linalg.norm(frame[:3], axis=1, keepdims=True)
        part[:, :3], part[:, 3:6] = scene.BOX_CORNERS @ frame[:3] + frame[3], scene.BOX_NORMALS @ (frame[:3] / half)
        part[:, 6:9] = scene.BOX_CORNERS * half.T
        triangles.append(scene.BOX_FACES + start + 24 * number)
        owners.append(np.full(12, BOXES + number))
    return surface, np.concatenate(triangles), np.concatenate(owners).astype(np.int16)


def _cut_by_border(picture: np.ndarray, owned: np.ndarray, rng: np.random.Generator) -> None:
    """In every fourteenth picture the frame of the photograph cuts through; beyond it all is black, grey or white."""
    chance, side, share = rng.random(), int(rng.integers(4)), rng.uniform(0.05, 0.3)
    if chance > 1 / 14:
        return
    cut = round(share * len(picture))
    beyond = np.zeros(owned.shape, bool)
    (beyond if side < 2 else beyond.T)[slice(cut) if side % 2 else slice(-cut, None)] = True
    picture[beyond] = (0.0, 0.0, 0.5, 1.0)[int(rng.integers(4))]
    owned[beyond] = OUTSIDE
