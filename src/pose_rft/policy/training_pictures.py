"""Training pictures: drawn, cropped as a photograph would be, and encoded once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from pose_rft.body.skeleton import JOINT_INDEX, mirror_pose
from pose_rft.config import Fraction, NonNegativeInt, PositiveInt, validate
from pose_rft.data.mixtures.image_samples import ImageMixtureConfig, image_samples
from pose_rft.data.rendering.renders import RenderSpec, in_batches, seen_from
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.policy.policy import PosePolicy
from pose_rft.posescript.checks import mirrored as mirrored_check
from pose_rft.posescript.posecodes import exchange_sides
from pose_rft.storage import atomic_file
from pose_rft.vision.crops import Circle, Crop, crop
from pose_rft.vision.encoded_images import EncodedImages
from pose_rft.vision.image_encoder import ImageEncoder, load_image_encoder

BATCH = 64  # pictures drawn and encoded at once
SHARD = 32 * BATCH  # pictures kept in one file
NOTE = "of.txt"  # says, in the folder of those files, which pictures they are
STREAM = 31  # keeps the jitter of crops apart from other things drawn with the same seed
ROOM = 1.02  # the circle of a detector, as a multiple of the farthest joint from the hips (docs/vision.md)


@dataclass(frozen=True)
class PicturesConfig:
    """Pictures in a training run.

    Attributes:
        samples: how many.
        processes: that draw them.
        mixture: what they are made of.
        texts: share of the other samples that stay beside the pictures; the rest lend their poses alone.
        mirrored: look at each in a mirror as well: twice as many samples, for the encoder's time alone.
    """

    samples: NonNegativeInt = 0
    processes: PositiveInt = 1
    mixture: ImageMixtureConfig = field(default_factory=ImageMixtureConfig)
    texts: Fraction = 1.0
    mirrored: bool = False

    def __post_init__(self) -> None:
        validate(self)


def with_pictures(
    policy: PosePolicy, samples: list[Sample], seed: int, config: PicturesConfig, folder: Path | None = None
) -> list[Sample]:
    """Samples, and ``config.samples`` more about pictures of their poses as the policy sees them, in random order.

    What was encoded is kept in ``folder`` and read from there the next time.

    Raises:
        UserError: the policy has no pose-aware encoder, or there is no pose to draw.
    """
    if not config.samples:
        return samples
    poses = [sample.pose for sample in samples if sample.pose is not None]
    if not poses:
        raise UserError("pictures: there is no pose to draw; give the mixture a source of poses")
    rng = np.random.default_rng([STREAM, abs(seed)])
    chosen = rng.choice(len(poses), config.samples, replace=config.samples > len(poses))
    drawn = image_samples(np.stack([poses[row] for row in chosen]), seed, config.mixture)
    texts = samples[: round(config.texts * len(samples))]
    everything = texts + encoded(policy, drawn, config.processes, folder, config.mirrored)
    return [everything[row] for row in rng.permutation(len(everything))]


def encoded(
    policy: PosePolicy,
    samples: Sequence[Sample],
    processes: int = 1,
    folder: Path | None = None,
    mirrored: bool = False,
) -> list[Sample]:
    """The samples with what the encoder sees in place of pictures that are still to be drawn.

    Crops are made as of photographs, upright and around the person meant, and jittered as a detector errs; poses are
    turned with them, into the crop's frame. In that frame ``extra["pose"]`` is the person's pose, also where it is not
    asked for, and ``extra["up"]`` (3,) points away from the ground.

    Args:
        folder: files of ``SHARD`` pictures each: read if they are there, else written, so that an interrupted run need
            not draw them again.
        mirrored: behind them, those that were drawn once more, as they are seen in a mirror.

    Raises:
        UserError: the policy has no pose-aware encoder, or the folder cannot be written to.
    """
    if policy.image_branch is None:
        raise UserError("pictures: the policy has no pose-aware encoder; set policy.encoder: blazepose")
    result = list(samples)
    rows, jobs = [], []
    for row, sample in enumerate(samples):
        if isinstance(sample.image, RenderSpec):
            rows.append(row)
            jobs.append((sample.image, sample.extra.get("person", 0)))
    if folder is not None:
        _check_whose(folder, jobs, f"{policy.image_branch.encoder.encoder.name}{' and mirrored' * mirrored}")
    parts = _kept(folder)
    rest = jobs[sum(len(part["turns"]) for part in parts) :]
    batches: list[dict[str, Tensor]] = []
    # What draws also encodes where both are work for a CPU; another device encodes what processes draw for it.
    here = policy.device.type != "cpu"
    draw = _cropped if here else partial(_encoded, encoder=policy.image_branch.encoder.encoder.name, mirrored=mirrored)
    for drawn in in_batches(draw, lambda start: rest[start : start + BATCH], len(rest), BATCH, processes):
        arrays = (
            _features(policy.image_branch.encoder, drawn["pixels"], policy.device, mirrored) | drawn if here else drawn
        )
        batch = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "pixels"}
        # Tens of thousands of the tokens are held at once.
        batches.append({name: part.bfloat16() if "tokens" in name else part for name, part in batch.items()})
        if len(batches) == SHARD // BATCH:
            parts.append(_keep(folder, len(parts), batches))
            batches = []
    if batches:
        parts.append(_keep(folder, len(parts), batches))
    for number, row in enumerate(rows):
        part, own = parts[number // SHARD], slice(number % SHARD, number % SHARD + 1)
        turn = part["turns"][own][0].numpy()
        sample, (spec, person) = samples[row], jobs[number]
        pose = seen_from(turn.T, spec.camera_pose()[person] if sample.pose is None else sample.pose)
        result[row] = replace(
            sample,
            image=EncodedImages(part["tokens"][own], part["points"][own]),
            pose=None if sample.pose is None else pose,
            extra=sample.extra | {"pose": pose, "up": turn.T @ spec.up()},
        )
        if mirrored:
            result.append(
                in_mirror(result[row], EncodedImages(part["mirrored_tokens"][own], part["mirrored_points"][own]))
            )
    return result


def in_mirror(sample: Sample, seen: EncodedImages) -> Sample:
    """An encoded sample as it is of the mirror image, which ``seen`` is of: left and right exchanged, also in words."""
    pose = mirror_pose(torch.from_numpy(sample.extra["pose"])).numpy()
    words = {key: exchange_sides(value) for key, value in sample.extra.items() if isinstance(value, str)}
    return replace(
        sample,
        prompt=exchange_sides(sample.prompt),
        answer=exchange_sides(sample.answer),
        checks=tuple(map(mirrored_check, sample.checks)),
        image=seen,
        pose=None if sample.pose is None else pose,
        extra=sample.extra | words | {"pose": pose, "up": sample.extra["up"] * np.array([-1.0, 1.0, 1.0])},
    )


def _keep(folder: Path | None, number: int, batches: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Batches in one piece, which becomes the file of that number."""
    part = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    if folder is not None:
        with atomic_file(_shard(folder, number)) as file:
            save_file(part, file)
    return part


def _check_whose(folder: Path, jobs: Sequence[tuple[RenderSpec, int]], encoder: str) -> None:
    """See that what a folder holds was drawn for these jobs, or note in an empty one that it will be.

    A mixture that is drawn otherwise, by another version say, would give pictures the truths of others.
    """
    digest = hashlib.sha256(encoder.encode())
    for spec, person in jobs:
        drawn_by = (spec.pose.shape, spec.seed, spec.index, spec.size, spec.photos, spec.clear, person)
        digest.update(spec.pose.tobytes() + repr(drawn_by).encode())
    note = folder / NOTE
    if note.is_file() or _shard(folder, 0).is_file():
        if not note.is_file() or note.read_text() != digest.hexdigest():
            raise UserError(f"{folder}: holds pictures of other samples; delete it to draw them again")
        return
    with atomic_file(note) as file:
        file.write_text(digest.hexdigest())


def _kept(folder: Path | None) -> list[dict[str, Tensor]]:
    """The files of a folder in order, as far as they go."""
    parts: list[dict[str, Tensor]] = []
    while folder is not None and _shard(folder, len(parts)).is_file():
        parts.append(load_file(_shard(folder, len(parts))))
    return parts


def _shard(folder: Path, number: int) -> Path:
    return folder / f"{number:04d}.safetensors"


def circle_of(joints_2d: np.ndarray, rng: np.random.Generator | None = None) -> Circle:
    """The circle that a detector would put around a person with these joints (22, 2), in pixels.

    Args:
        rng: of its errors; None makes none.
    """
    hips = joints_2d[JOINT_INDEX["pelvis"]]
    x, y = joints_2d[JOINT_INDEX["neck"]] - hips
    radius = ROOM * float(np.linalg.norm(joints_2d - hips, axis=1).max())
    rotation = float(np.arctan2(x, -y))
    if rng is not None:
        hips = hips + rng.normal(scale=0.06 * radius, size=2)
        radius *= float(np.exp(rng.normal(scale=0.12)))
        rotation += float(rng.normal(scale=0.15))
    return Circle((float(hips[0]), float(hips[1])), max(radius, 4.0), rotation)


def crop_of(spec: RenderSpec, person: int = 0, rng: np.random.Generator | None = None) -> Crop:
    """A person of a drawn picture, cut out as from a photograph; ``rng`` as for ``circle_of``."""
    renders = spec.renders()
    return crop(Image.fromarray(renders.pixels[person]), circle_of(renders.joints_2d[person], rng))


def _cropped(jobs: Sequence[tuple[RenderSpec, int]]) -> dict[str, np.ndarray]:
    """Pixels (N, 256, 256, 3) uint8 of one person each, and turns (N, 3, 3) from their frame to the picture's."""
    crops = [
        crop_of(spec, person, np.random.default_rng([STREAM, abs(spec.seed), int(spec.seed < 0), spec.index, person]))
        for spec, person in jobs
    ]
    return {"pixels": np.stack([one.pixels for one in crops]), "turns": np.stack([one.turn for one in crops])}


def _encoded(jobs: Sequence[tuple[RenderSpec, int]], encoder: str, mirrored: bool) -> dict[str, np.ndarray]:
    """What is seen of the crops of ``_cropped``, and its turns."""
    drawn = _cropped(jobs)
    return _features(_eyes(encoder), drawn["pixels"], "cpu", mirrored) | {"turns": drawn["turns"]}


def _features(
    eyes: ImageEncoder, pixels: np.ndarray, device: str | torch.device, mirrored: bool
) -> dict[str, np.ndarray]:
    """Tokens and points of pictures, and of their mirror images."""
    crops = torch.from_numpy(pixels).to(device)
    looks = {"": crops, "mirrored_": crops.flip(2)} if mirrored else {"": crops}
    seen = {name: eyes.encode(look).to("cpu") for name, look in looks.items()}
    parts = ("tokens", "points")
    return {name + part: getattr(each, part).numpy() for name, each in seen.items() for part in parts}


@cache
def _eyes(encoder: str) -> ImageEncoder:
    return load_image_encoder(encoder)
