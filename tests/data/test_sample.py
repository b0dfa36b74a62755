"""Samples keep every field on their way through worker processes."""

from dataclasses import fields, is_dataclass

import numpy as np
import torch
from PIL import Image

from pose_rft.data.rendering.renders import RenderSpec
from pose_rft.data.sample import PicturedPerson, QuestionTruth, Sample
from pose_rft.parallel import ordered_map
from pose_rft.vision.crops import Crop
from pose_rft.vision.encoded_images import EncodedImages

POSE = np.random.default_rng(0).normal(size=(22, 3)).astype(np.float32)
PICTURES = [
    "picture.png",
    Image.new("RGB", (4, 3), "red"),
    RenderSpec(POSE, seed=1, index=2, size=64),
    Crop(np.full((256, 256, 3), 7, np.uint8), np.eye(2, 3), 0.5),
    EncodedImages(torch.full((1, 4, 2), 0.1), torch.full((1, 3, 8), 0.2, dtype=torch.bfloat16)),
]


def full_sample(number: int) -> Sample:
    """A sample in which no field has its default."""
    return Sample(
        prompt="Is the left knee bent?",
        answer="Yes, the left knee is bent.",
        pose=POSE,
        image=PICTURES[number],
        task="pose_question",
        checks=("angle(left_knee) < 120",),
        source="render:clip",
        person=PicturedPerson(1, POSE, np.array([0.0, 1.0, 0.0])),
        question=QuestionTruth("left_knee.bent", "yes"),
        category="knees",
        box=(1.0, 2.0, 30.0, 40.0),
        betas=np.arange(10, dtype=np.float32),
        gender="female",
        poses=(POSE,),
        changes=("bend(left_knee) > 20",),
    )


def assert_equal(one: object, other: object) -> None:
    assert type(one) is type(other)
    if is_dataclass(one):
        for field in fields(one):
            assert_equal(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    elif isinstance(one, tuple):
        for each, another in zip(one, other, strict=True):
            assert_equal(each, another)
    else:
        assert one == other


def test_every_field_and_kind_of_picture_survives_another_process() -> None:
    plain = Sample("", "")
    for field in fields(Sample):  # a new field must be given above, else this test would not see it lost
        assert getattr(full_sample(0), field.name) is not getattr(plain, field.name), field.name
    returned = list(ordered_map(full_sample, range(len(PICTURES)), 2, "samples"))
    for number, sample in enumerate(returned):
        assert_equal(sample, full_sample(number))
    assert len(returned) == len(PICTURES)
