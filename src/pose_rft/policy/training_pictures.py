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
from pose_rft.data.mixtures.image_samples import ImageMixtureConfig, image_samples, pictured_person
from pose_rft.data.rendering.camera import in_camera_frame
from pose_rft.data.rendering.renders import RenderSpec
from pose_rft.data.sample import PicturedPerson, QuestionTruth, Sample
from pose_rft.errors import UserError
from pose_rft.parallel import ordered_map
from pose_rft.policy.policy import PosePolicy
from pose_rft.posescript.checks import mirrored as mirrored_check
from pose_rft.posescript.posecodes import exchange_sides
from pose_rft.storage import atomic_file
from pose_rft.vision.crops import Circle, Crop, crop
from pose_rft.vision.detector import Box
from pose_rft.vision.encoded_images import EncodedImages
from pose_rft.vision.image_encoder import ImageEncoder, load_image_encoder
from pose_rft.vision.images import Picture, read_image
from pose_rft.vision.people import find_people

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
        flip_augmentation: each of them flipped as well: twice as many samples, for the encoder's time alone.
    """

    samples: NonNegativeInt = 0
    processes: PositiveInt = 1
    mixture: ImageMixtureConfig = field(default_factory=ImageMixtureConfig)
    texts: Fraction = 1.0
    flip_augmentation: bool = False

    def __post_init__(self) -> None:
        validate(self)


def with_pictures(
    policy: PosePolicy, samples: Sequence[Sample], seed: int, config: PicturesConfig, folder: Path | None = None
) -> Sequence[Sample]:
    """Samples, and ``config.samples`` more about pictures of their poses, drawn and encoded, in random order.

    What was encoded is kept in ``folder`` and read from there the next time.

    Raises:
        UserError: the policy has no pose-aware encoder, or there is no pose to draw.
    """
    if not config.samples:
        return samples
    samples = list(samples)
    poses = [sample.pose for sample in samples if sample.pose is not None]
    if not poses:
        raise UserError("pictures: there is no pose to draw; give the mixture a source of poses")
    rng = np.random.default_rng([STREAM, abs(seed)])
    chosen = rng.choice(len(poses), config.samples, replace=config.samples > len(poses))
    drawn = image_samples(np.stack([poses[row] for row in chosen]), seed, config.mixture)
    texts = samples[: round(config.texts * len(samples))]
    everything = texts + encoded(policy, drawn, config.processes, folder, config.flip_augmentation)
    return [everything[row] for row in rng.permutation(len(everything))]


def encoded(
    policy: PosePolicy, samples: Sequence[Sample], processes: int = 1, folder: Path | None = None, flip: bool = False
) -> list[Sample]:
    """The samples with the encoder's features in place of pictures that are still to be drawn.

    Crops are made as of photographs, upright and around the person meant, and jittered as a detector errs; ``pose`` and
    ``person`` are turned with them, into the crop's frame.

    Args:
        folder: files of ``SHARD`` pictures each: read if they are there, else written, so that an interrupted run need
            not draw them again.
        flip: behind them, those that were drawn once more, flipped.

    Raises:
        UserError: the policy has no pose-aware encoder, or the folder cannot be written to.
    """
    if policy.image_branch is None:
        raise UserError("pictures: the policy has no pose-aware encoder; set policy.encoder: blazepose")
    encoder = policy.image_branch.encoder
    result = list(samples)
    rows, jobs, people = [], [], []
    for row, sample in enumerate(samples):
        if isinstance(sample.image, RenderSpec):
            person = sample.person or pictured_person(sample.image)
            rows.append(row)
            people.append(person)
            jobs.append((sample.image, person.index))
    if folder is not None:
        _check_digest(folder, jobs, f"{encoder.encoder.name}{' and flipped' * flip}")
    parts = _load_shards(folder)
    rest = jobs[sum(len(part["turns"]) for part in parts) :]
    batches: list[dict[str, Tensor]] = []
    # What draws also encodes where both are work for a CPU; another device encodes what processes draw for it.
    here = policy.device.type != "cpu"
    draw = _cropped if here else partial(_encoded, encoder=encoder.encoder.name, flip=flip)
    groups = [rest[start : start + BATCH] for start in range(0, len(rest), BATCH)]
    for drawn in ordered_map(draw, groups, processes, "renders"):
        arrays = _features(encoder, drawn["pixels"], policy.device, flip) | drawn if here else drawn
        batch = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "pixels"}
        # Tens of thousands of the tokens are held at once.
        batches.append({name: part.bfloat16() if "tokens" in name else part for name, part in batch.items()})
        if len(batches) == SHARD // BATCH:
            parts.append(_save_shard(folder, len(parts), batches))
            batches = []
    if batches:
        parts.append(_save_shard(folder, len(parts), batches))
    for number, row in enumerate(rows):
        part, own = parts[number // SHARD], slice(number % SHARD, number % SHARD + 1)
        turn = part["turns"][own][0].numpy()
        sample, person = samples[row], people[number]
        pose = in_camera_frame(turn.T, person.pose)
        result[row] = replace(
            sample,
            image=EncodedImages(part["tokens"][own], part["points"][own]),
            pose=None if sample.pose is None else pose,
            person=PicturedPerson(person.index, pose, turn.T @ person.up),
        )
        if flip:
            flipped = EncodedImages(part["flipped_tokens"][own], part["flipped_points"][own])
            result.append(flip_sample(result[row], flipped))
    return result


def with_photograph(policy: PosePolicy, sample: Sample) -> Sample:
    """The sample with the encoder's features of its photograph; ``pose`` and ``person`` in the crop's frame, as above.

    The photograph's up is taken to be that of the world. A sample without one, or for a policy without an encoder,
    stays as it is. A language model with a vision tower beside the encoder still gets the photograph itself; of one
    that is asked about in words alone and shows nobody, the encoder sees all.

    Raises:
        UserError: an unreadable photograph, or nobody in it.
    """
    if policy.image_branch is None or sample.image is None or isinstance(sample.image, EncodedImages):
        return sample
    encoder = policy.image_branch.encoder
    if policy.backbone.has_vision and sample.pose is None and sample.box is None:
        sample = replace(sample, box=_whole_if_empty(encoder, sample.image))  # type: ignore[arg-type]
    found = encoder.encode_person(sample.image, sample.prompt, box=sample.box)  # type: ignore[arg-type]
    turn = found.turn.numpy()
    if not policy.backbone.has_vision:
        image = EncodedImages(found.encoded.tokens.cpu().bfloat16(), found.encoded.points.cpu())
        sample = replace(sample, image=image, box=None)
    if sample.pose is None:
        return sample
    pose = in_camera_frame(turn.T, sample.pose)
    person = PicturedPerson(0, pose, turn.T @ np.array([0.0, 1.0, 0.0]))
    return replace(sample, pose=pose, person=person)


def _whole_if_empty(encoder: ImageEncoder, image: Picture) -> Box | None:
    """A box around a whole photograph, in pixels of the file, if nobody is found in it."""
    picture = read_image(image)
    known = encoder.cache.get_or_compute(picture, "people", lambda: {"count": torch.tensor(len(find_people(picture)))})
    scale = picture.info["reduction"]
    return None if known["count"] else (0.0, 0.0, float(scale * picture.width), float(scale * picture.height))


def flip_sample(sample: Sample, flipped: EncodedImages) -> Sample:
    """The sample of the flipped picture: left and right exchanged, also in words.

    Args:
        sample: of an encoded picture of one person.
        flipped: features of the flipped picture.
    """
    person, question = sample.person, sample.question
    assert person is not None
    pose = mirror_pose(torch.from_numpy(person.pose)).numpy()
    return replace(
        sample,
        prompt=exchange_sides(sample.prompt),
        answer=exchange_sides(sample.answer),
        checks=tuple(map(mirrored_check, sample.checks)),
        image=flipped,
        pose=None if sample.pose is None else pose,
        person=replace(person, pose=pose, up=person.up * np.array([-1.0, 1.0, 1.0])),
        question=question and QuestionTruth(topic=exchange_sides(question.topic), truth=exchange_sides(question.truth)),
    )


def _save_shard(folder: Path | None, number: int, batches: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Batches in one piece, which becomes the file of that number."""
    part = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    if folder is not None:
        with atomic_file(_shard(folder, number)) as file:
            save_file(part, file)
    return part


def _check_digest(folder: Path, jobs: Sequence[tuple[RenderSpec, int]], encoder: str) -> None:
    """Check that what a folder holds was drawn for these jobs, or note in an empty one that it will be.

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


def _load_shards(folder: Path | None) -> list[dict[str, Tensor]]:
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


def _encoded(jobs: Sequence[tuple[RenderSpec, int]], encoder: str, flip: bool) -> dict[str, np.ndarray]:
    """Features of the crops of ``_cropped``, and their turns."""
    drawn = _cropped(jobs)
    return _features(_image_encoder(encoder), drawn["pixels"], "cpu", flip) | {"turns": drawn["turns"]}


def _features(
    encoder: ImageEncoder, pixels: np.ndarray, device: str | torch.device, flip: bool
) -> dict[str, np.ndarray]:
    """Tokens and points of crops, and of the flipped ones."""
    crops = torch.from_numpy(pixels).to(device)
    images = {"": encoder.encode(crops)} | ({"flipped_": encoder.encode(crops.flip(2))} if flip else {})
    parts = {f"{name}tokens": each.tokens for name, each in images.items()}
    parts |= {f"{name}points": each.points for name, each in images.items()}
    return {name: part.cpu().numpy() for name, part in parts.items()}


@cache
def _image_encoder(name: str) -> ImageEncoder:
    """One for each process that draws."""
    return load_image_encoder(name)
