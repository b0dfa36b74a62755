"""Training pictures: drawn, cropped as a photograph would be, and encoded once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from PIL import Image

from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.data.image_samples import ImageMixtureConfig, image_samples
from pose_rft.data.renders import RenderSpec, in_batches, seen_from
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.policy.policy import PosePolicy
from pose_rft.policy.sight import Seen
from pose_rft.vision.crops import Circle, Crop, crop

BATCH = 64  # pictures drawn and encoded at once
STREAM = 31  # keeps the jitter of crops apart from other things drawn with the same seed
ROOM = 1.02  # the circle of a detector, as a multiple of the farthest joint from the hips (docs/vision.md)


@dataclass
class PicturesConfig:
    """Pictures in a training run.

    Attributes:
        samples: how many.
        processes: that draw them.
        mixture: what they are made of.
    """

    samples: int = 0
    processes: int = 1
    mixture: ImageMixtureConfig = field(default_factory=ImageMixtureConfig)


def with_pictures(policy: PosePolicy, samples: list[Sample], seed: int, config: PicturesConfig) -> list[Sample]:
    """Samples, and ``config.samples`` more about pictures of their poses as the policy sees them, in random order.

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
    everything = samples + encoded(policy, drawn, config.processes)
    return [everything[row] for row in rng.permutation(len(everything))]


def encoded(policy: PosePolicy, samples: Sequence[Sample], processes: int = 1) -> list[Sample]:
    """The samples with what the encoder sees in place of pictures that are still to be drawn.

    Crops are made as of photographs, upright and around the person meant, and jittered as a detector errs; poses are
    turned with them, into the crop's frame.

    Raises:
        UserError: the policy has no pose-aware encoder.
    """
    if policy.eyes is None:
        raise UserError("pictures: the policy has no pose-aware encoder; set policy.encoder: blazepose")
    result = list(samples)
    rows = [row for row, sample in enumerate(samples) if isinstance(sample.image, RenderSpec)]
    jobs = [(samples[row].image, samples[row].extra.get("person", 0)) for row in rows]
    drawn = in_batches(_cropped, lambda start: jobs[start : start + BATCH], len(jobs), BATCH, processes)
    for start, (pixels, turns) in zip(range(0, len(rows), BATCH), drawn, strict=True):
        seen = policy.eyes.encode(torch.from_numpy(pixels).to(policy.device)).to("cpu")
        seen = Seen(seen.tokens.bfloat16(), seen.points)  # tens of thousands of them are held at once
        for number, row in enumerate(rows[start : start + BATCH]):
            sample, one = samples[row], seen.rows(torch.tensor([number]))
            pose = None if sample.pose is None else seen_from(turns[number].T, sample.pose)
            result[row] = replace(sample, image=one, pose=pose)
    return result


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


def _cropped(jobs: Sequence[tuple[RenderSpec, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Crops (N, 256, 256, 3) uint8 of one person each, and rotations (N, 3, 3) from their frame to the picture's."""
    crops = [
        crop_of(spec, person, np.random.default_rng([STREAM, abs(spec.seed), int(spec.seed < 0), spec.index, person]))
        for spec, person in jobs
    ]
    return np.stack([one.pixels for one in crops]), np.stack([one.turn for one in crops])
