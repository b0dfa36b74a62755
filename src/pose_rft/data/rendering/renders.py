"""Pictures of people made from poses: the bundled body dressed, lit, placed before a camera and photographed.

Picture `i` of a seed is a function of the seed, `i` and its pose alone, whatever is drawn beside it and by however many
processes. Lengths are metres and angles radians; the camera's frame is that of ``render_camera``.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import roma
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track

from pose_rft.body.raster import rasterise
from pose_rft.body.reduced import NUM_BETAS, ReducedBody, load_reduced_body, normals_of, posed, turned
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.data.rendering import scene as scene
from pose_rft.data.rendering.camera import (
    CLOSE,
    Crop,
    crop_at,
    draw_axes,
    draw_translation,
    extent,
    person_crop,
    project,
)
from pose_rft.data.rendering.kernels import (
    BOXES,
    LEAVES,
    NOTHING,
    OUTSIDE,
    Clothes,
    develop,
    display_table,
    noise_table,
    paint_leaves,
    shade,
    soften_edges,
    thickness_of,
)
from pose_rft.errors import UserError

SMALLEST, LARGEST = 32, 2048  # pixels
NO_BOXES = np.zeros((0, 8), np.float32)
T = TypeVar("T")
STREAM = 7_919  # keeps the random numbers of renders apart from those of other things drawn with the same seed


@dataclass(frozen=True)
class Renders:
    """N pictures with what is true of the person whom each is about.

    Attributes:
        pixels: (N, S, S, 3) uint8.
        pose: (N, 22, 3) float32 axis-angle; ``global_orient`` (row 0) in the camera's frame.
        joints: (N, 22, 3) float32 metres in the camera's frame, relative to the pelvis, of the body with `betas`.
        translation: (N, 3) float32, where the pelvis is in the camera's frame.
        joints_2d: (N, 22, 2) float32 pixels, from the upper left corner of the picture; may lie outside of it.
        box: (N, 4) float32 left, top, right, bottom of the whole dressed body in pixels; may exceed the picture.
        focal: (N,) float32 pixels.
        principal: (N, 2) float32 pixels.
        betas: (N, 10) float32 shape.
        up: (N, 3) float32, away from the ground, in the camera's frame.
        in_picture: (N, 22) bool: the joint lies within the picture.
        covered: (N, 22) bool: something or somebody else is in front of the joint.
        visible: (N, 22) bool: in the picture, not covered, and (judged by the depth of the skin in front of it and the
            limb's thickness) not behind another part of the same body.
        mask: (N, S, S) bool: where the person is seen.
    """

    pixels: np.ndarray
    pose: np.ndarray
    joints: np.ndarray
    translation: np.ndarray
    joints_2d: np.ndarray
    box: np.ndarray
    focal: np.ndarray
    principal: np.ndarray
    betas: np.ndarray
    up: np.ndarray
    in_picture: np.ndarray
    covered: np.ndarray
    visible: np.ndarray
    mask: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def truncated(self) -> np.ndarray:
        """(N,) bool: some joint lies outside the picture."""
        return np.any(~self.in_picture, axis=1)

    def upright_joints(self) -> np.ndarray:
        """Joints (N, 22, 3) turned so that y is away from the ground: what words such as "raised" are about."""
        return upright(self.joints, self.up)


def upright(joints: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Joints (N, 22, 3) turned by the shortest rotation that takes `up` (N, 3) to (0, 1, 0)."""
    y = np.array([0.0, 1.0, 0.0])
    axis = np.cross(up, y)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, up[:, 1:2])
    turn = roma.rotvec_to_rotmat(torch.from_numpy(axis / np.maximum(sine, 1e-12) * angle).double()).numpy()
    return np.einsum("nij,nkj->nki", turn, joints).astype(np.float32)


def render_people(
    poses: np.ndarray,
    seed: int,
    size: int = 256,
    start: int = 0,
    photos: str | Path | None = None,
    clear: bool = False,
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
    return _stacked([_one(pose, seed, start + row, size, files, clear) for row, pose in enumerate(poses)])


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
    return _stacked(_pair(poses, seed, index, size, files))


@dataclass(frozen=True, eq=False)
class RenderSpec:
    """A picture that is drawn when it is looked at: 300 bytes in a mixture instead of 200,000.

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
        return np.stack([seen_from(self._axes(), pose) for pose in poses])

    def up(self) -> np.ndarray:
        """``renders().up`` of the picture without drawing anything: (3,)."""
        return self._axes()[:, 1].astype(np.float32)

    def _axes(self) -> np.ndarray:
        return draw_axes(_generator(self.seed, self.index, 0 if self.pose.ndim == 2 else 1))

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

    Only a few batches are held at once. Processes are spawned, one thread each, so the caller's script needs the usual
    ``if __name__ == "__main__"``. A bar on stderr shows how far it is.

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
    draw = partial(_batch, seed=seed, size=size, photos=photos, clear=clear)
    return in_batches(draw, lambda start: (poses[start : start + batch], start), len(poses), batch, processes)


def in_batches(
    draw: Callable[[Any], T], job: Callable[[int], Any], count: int, batch: int, processes: int
) -> Iterator[T]:
    """What `draw` makes of the jobs that begin at 0, `batch`, 2 `batch` ... below `count`, in order.

    Args:
        draw: a function of a module, for it is sent to other processes.
        job: from where a batch begins to what `draw` takes.
        count: of what is drawn.
        batch, processes: as for ``render_batches``, with a bar as there.

    Raises:
        UserError: a batch or processes below one.
    """
    if batch < 1 or processes < 1:
        raise UserError(f"renders need batch >= 1 and processes >= 1, not {batch} and {processes}")
    starts = range(0, count, batch)
    drawn = map(draw, map(job, starts)) if processes == 1 else _ahead(draw, map(job, starts), processes)
    console = Console(stderr=True)
    return iter(track(drawn, "renders", total=len(starts), console=console, disable=len(starts) < 2))


def _ahead(draw: Callable[[Any], T], jobs: Iterator[Any], processes: int) -> Iterator[T]:
    """The results of `jobs` in order; at most two batches a process are begun before they are asked for."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _one_thread) as pool:
        begun: deque[Future[T]] = deque()
        for job in jobs:
            begun.append(pool.submit(draw, job))
            if len(begun) >= 2 * processes:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


def _one_thread() -> None:
    torch.set_num_threads(1)


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


@dataclass
class _Person:
    """One body in the camera's frame; `skin` (V, 3) and `joints` (22, 3) are absolute, float64."""

    pose: np.ndarray
    betas: np.ndarray
    skin: np.ndarray
    joints: np.ndarray
    clothes: Clothes

    def moved(self, shift: np.ndarray) -> "_Person":
        return _Person(self.pose, self.betas, self.skin + shift, self.joints + shift, self.clothes)


def _dressed(pose: np.ndarray, axes: np.ndarray, rng: np.random.Generator) -> _Person:
    """A body of random shape in random clothes, seen in a camera's axes (3, 3), pelvis at the origin."""
    body = load_reduced_body()
    clothes, loose = scene.draw_clothes(rng)
    betas = np.clip(rng.normal(size=NUM_BETAS), -2.5, 2.5).astype(np.float32)
    pose = seen_from(axes, pose)
    thickness = thickness_of(body.skin, body.arm, body.leg, body.head, clothes.cuts[0], loose)
    skin, joints = posed(body, pose, betas, thickness)
    return _Person(pose, betas, skin, joints, clothes)


def seen_from(axes: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """A pose (22, 3) with its first row told in the axes (3, 3) of a camera: float32."""
    seen = pose.copy()
    seen[0] = turned(axes, pose[0].astype(np.float64))
    return seen


def _generator(seed: int, index: int, kind: int) -> np.random.Generator:
    return np.random.default_rng([STREAM, abs(seed), int(seed < 0), index, kind])


def _one(pose: np.ndarray, seed: int, index: int, size: int, photos: tuple[Path, ...], clear: bool) -> Renders:
    """One picture of one person."""
    rng = _generator(seed, index, 0)
    axes = draw_axes(rng)
    person = _dressed(pose, axes, rng)
    person = person.moved(draw_translation(person.skin, rng))
    crop = person_crop(person.skin, size, rng, whole=clear)
    people, up = [person], axes[:, 1].copy()
    if rng.random() < 0.16 and not clear and (other := _bystander(person, axes, rng)):
        people.append(other)
    boxes, looks = ([], NO_BOXES) if clear else scene.draw_obstacles(person.skin, up, rng)
    return _photographed(people, 1, boxes, looks, up, crop, size, photos, clear, rng)[0]


def _bystander(person: _Person, axes: np.ndarray, rng: np.random.Generator) -> _Person | None:
    """Somebody else who stands beside or behind, on the same floor; None if that is too near the camera."""
    other = _dressed(scene.ordinary_pose(rng), axes, rng)
    up = axes[:, 1].copy()
    ahead = np.array([0, 0, 1.0]) - up[2] * up
    ahead /= np.linalg.norm(ahead) + 1e-9
    shift = rng.choice([-1, 1]) * rng.uniform(0.45, 1.3) * np.cross(up, ahead) + rng.uniform(-1.6, 0.2) * ahead
    other = other.moved(person.joints[0] + shift)
    other = other.moved(((person.skin @ up).min() - (other.skin @ up).min()) * up)
    return other if other.skin[:, 2].max() < -CLOSE else None


def _pair(poses: np.ndarray, seed: int, index: int, size: int, photos: tuple[Path, ...]) -> list[Renders]:
    """One picture of two people, the first on the left."""
    rng = _generator(seed, index, 1)
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
    crop = crop_at((low + high) / 2 + rng.normal(0, 0.01, 2) * side, side, size)
    return _photographed(people, 2, [], NO_BOXES, up, crop, size, photos, True, rng)


def _photographed(
    people: list[_Person],
    subjects: int,
    boxes: list[np.ndarray],
    looks: np.ndarray,
    up: np.ndarray,
    crop: Crop,
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
    picture = scene.draw_background(size, crop.focal, crop.principal, everyone, up, light, photos, table, rng)

    surface, faces, owner = _surface(people, boxes, body, faces)
    points = np.empty((len(surface), 3), np.float32)
    points[:, :2] = project(surface[:, :3].astype(np.float64), crop.focal, crop.principal)
    points[:, 2] = 1 / surface[:, 2]  # -1 / distance: exactly affine on the picture
    depth, face, weights = rasterise(points, faces, size, size)
    clothes = Clothes(*(np.concatenate(parts) for parts in zip(*(p.clothes for p in people), strict=True)))
    owned = shade(
        picture, depth, face, weights, faces, surface, owner, crop.focal, light, clothes, looks, table, display_table()
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
    return [_truths(person, row, pixels, depth, owned, crop, up) for row, person in enumerate(people[:subjects])]


@lru_cache(maxsize=1)
def _resting() -> np.ndarray:
    """(V, 6) float32: place of each vertex on the resting body, arm, leg, head, see ``shade``."""
    body = load_reduced_body()
    return np.column_stack([body.skin, body.arm, body.leg, body.head]).astype(np.float32)


def _surface(
    people: list[_Person], boxes: list[np.ndarray], body: ReducedBody, faces: np.ndarray
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


@lru_cache(maxsize=1)
def _limb_depth() -> np.ndarray:
    """(22,) metres of flesh that may lie in front of a joint: twice its distance to the nearest skin, and a margin."""
    body = load_reduced_body()
    apart = np.linalg.norm(body.skin[:, None] - body.joints, axis=-1)
    return 2 * np.sort(apart, axis=0)[:12].mean(0) + 0.08


def _truths(
    person: _Person, number: int, pixels: np.ndarray, depth: np.ndarray, owned: np.ndarray, crop: Crop, up: np.ndarray
) -> Renders:
    """One row for person `number` of the picture."""
    size = len(pixels)
    joints_2d = project(person.joints, crop.focal, crop.principal)
    (left, bottom), (right, top) = extent(person.skin)
    corners = project(np.array([[left, top, -1.0], [right, bottom, -1.0]]), crop.focal, crop.principal)
    place = np.floor(joints_2d).astype(int)
    inside = ((place >= 0) & (place < size)).all(1)
    column, row = np.clip(place, 0, size - 1).T
    who = owned[row, column]
    inside &= who != OUTSIDE
    ahead = -person.joints[:, 2] + 1 / depth[row, column].astype(np.float64)  # metres that the surface is nearer
    somebody = (who != NOTHING) & (who != number) & (who != OUTSIDE)
    covered = inside & somebody & ((who == LEAVES) | (ahead > 0))
    own = (who == number) & (ahead > _limb_depth())
    values = {
        "pixels": pixels,
        "pose": person.pose,
        "joints": person.joints - person.joints[0],
        "translation": person.joints[0],
        "joints_2d": joints_2d,
        "box": corners.ravel(),
        "focal": np.float32(crop.focal),
        "principal": crop.principal,
        "betas": person.betas,
        "up": up,
        "in_picture": inside,
        "covered": covered,
        "visible": inside & ~covered & ~own,
        "mask": owned == number,
    }
    return Renders(**{name: _row(value) for name, value in values.items()})


def _row(value: np.ndarray) -> np.ndarray:
    """An array (1, ...) of bytes, bools or float32."""
    return np.asarray(value, np.float32 if value.dtype == np.float64 else value.dtype)[None]


def _stacked(rows: list[Renders]) -> Renders:
    return Renders(*(np.concatenate([getattr(row, f.name) for row in rows]) for f in fields(Renders)))
