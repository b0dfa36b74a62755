"""Training samples whose prompts have a picture: poses to read off it, one of two people, questions about the pose.

Pictures are ``RenderSpec``s, drawn when their pixels are asked for, so that fifty thousand samples cost no disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pose_rft.body import load_body
from pose_rft.config import NonNegativeFloat, PositiveInt, validate
from pose_rft.data.phrases import pick
from pose_rft.data.picture_prompts import ASK_POSE
from pose_rft.data.questions.questions import Question, ask, facing
from pose_rft.data.rendering.renders import RenderSpec
from pose_rft.data.rendering.truths import upright
from pose_rft.data.sample import SHORT_ANSWER, PicturedPerson, QuestionTruth, Sample
from pose_rft.errors import UserError
from pose_rft.storage import package_table

_WORDINGS: dict[str, list[str]] = package_table(__package__, "wordings.yaml")
ASK_ONE_OF_TWO = _WORDINGS["one_of_two_prompts"]
OTHER_ANSWERS = _WORDINGS["picture_answers"]
ONE_OF_TWO_ANSWER = "The SMPL pose of the person on the {side} is <POSE>."


@dataclass(frozen=True)
class ImageMixtureConfig:
    """What image samples are made of; relative weights.

    Attributes:
        single: one person's pose.
        pairs: the pose of the person on the left, or on the right, of two.
        questions: about the pose, answered in words; their pictures show the whole person with nothing in front.
        size: pixels of the square pictures.
        photos: a folder of photographs for backgrounds, or None.
    """

    single: NonNegativeFloat = 0.7
    pairs: NonNegativeFloat = 0.1
    questions: NonNegativeFloat = 0.2
    size: PositiveInt = 256
    photos: str | None = None

    def __post_init__(self) -> None:
        validate(self)
        if not self.single and not self.pairs and not self.questions:
            raise UserError("single, pairs, questions: all weights are zero; give one of them a positive one")


def image_samples(
    poses: np.ndarray, seed: int, config: ImageMixtureConfig | None = None, sources: Sequence[str] | None = None
) -> list[Sample]:
    """One sample for each pose.

    Args:
        poses: (N, 22, 3) axis-angle, radians, y-up.
        seed: sample `i` is a function of the seed, pose `i` and, for the second person of a pair, the next pose.
        config: what is asked.
        sources: (N,) where the poses are from, for ``Sample.source``.

    Returns:
        N samples. ``image`` is a ``RenderSpec`` and ``person`` the one who is meant; ``pose`` is in the camera's frame
        (None for questions); ``task`` is ``image_to_pose``, ``image_text_to_pose`` (one of two people) or
        ``pose_question`` (``checks`` are what its answer states).

    Raises:
        UserError: poses of another shape, or sources of another number.
    """
    config = config or ImageMixtureConfig()
    poses = np.asarray(poses, np.float32)
    if poses.ndim != 3 or poses.shape[1:] != (22, 3):
        raise UserError(f"poses of image samples must have the shape (N, 22, 3), not {poses.shape}")
    names = ["render"] * len(poses) if sources is None else [f"render:{name}" for name in sources]
    if len(names) != len(poses):
        raise UserError(f"image samples need one source for each of {len(poses)} poses, not {len(names)}")
    weights = np.array([config.single, config.pairs, config.questions])
    samples: list[Sample] = []
    to_ask: list[tuple[PicturedPerson, int, bool]] = []  # who is asked about, the seed, whether it is about facing
    for row, (pose, source) in enumerate(zip(poses, names, strict=True)):
        rng = np.random.default_rng([abs(seed), int(seed < 0), row, 5])
        kind = int(rng.choice(3, p=weights / weights.sum()))
        if kind == 0:
            samples.append(_single(pose, seed, row, config, source, rng))
        elif kind == 1:
            samples.append(_pair(pose, poses[(row + 1) % len(poses)], seed, row, config, source, rng))
        else:
            spec = RenderSpec(pose, seed, row, config.size, config.photos, clear=True)
            person = pictured_person(spec)
            to_ask.append((person, int(rng.integers(2**31)), rng.random() < 0.1))
            samples.append(Sample("", "", image=spec, task="pose_question", source=source, person=person))
    questions = iter(_questions(to_ask))
    return [_with_question(each, next(questions)) if each.task == "pose_question" else each for each in samples]


def pictured_person(spec: RenderSpec, index: int = 0) -> PicturedPerson:
    """One of the people of a picture, without drawing it."""
    return PicturedPerson(index, spec.camera_pose()[index], spec.up())


def _single(
    pose: np.ndarray, seed: int, row: int, config: ImageMixtureConfig, source: str, rng: np.random.Generator
) -> Sample:
    spec = RenderSpec(pose, seed, row, config.size, config.photos)
    answer = SHORT_ANSWER if rng.random() < 0.6 else pick(rng, OTHER_ANSWERS)
    person = pictured_person(spec)
    return Sample(pick(rng, ASK_POSE), answer, person.pose, spec, "image_to_pose", source=source, person=person)


def _pair(
    pose: np.ndarray,
    other: np.ndarray,
    seed: int,
    row: int,
    config: ImageMixtureConfig,
    source: str,
    rng: np.random.Generator,
) -> Sample:
    """`pose` is asked for; who stands on which side is drawn."""
    index = int(rng.integers(2))
    side = ("left", "right")[index]
    spec = RenderSpec(np.stack([other, pose] if index else [pose, other]), seed, row, config.size, config.photos)
    person = pictured_person(spec, index)
    answer = ONE_OF_TWO_ANSWER.format(side=side) if rng.random() < 0.5 else pick(rng, (SHORT_ANSWER, *OTHER_ANSWERS))
    prompt = pick(rng, ASK_ONE_OF_TWO).format(side=side)
    return Sample(prompt, answer, person.pose, spec, "image_text_to_pose", source=source, person=person)


def _questions(to_ask: Sequence[tuple[PicturedPerson, int, bool]]) -> list[Question]:
    """One question about each person."""
    if not to_ask:
        return []
    poses = np.stack([person.pose for person, _, _ in to_ask])
    points = load_body().points(torch.from_numpy(poses)).numpy()
    up = np.stack([person.up for person, _, _ in to_ask])
    asked = ask(upright(points, up), [own for _, own, _ in to_ask])
    return [
        (facing(points[row : row + 1], own)[0] if about_facing else None) or asked[row]
        for row, (_, own, about_facing) in enumerate(to_ask)
    ]


def _with_question(sample: Sample, question: Question) -> Sample:
    truth = QuestionTruth(question.topic, question.truth)
    return replace(sample, prompt=question.text, answer=question.answer, checks=question.checks, question=truth)
