import collections

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.mixtures.image_samples import ASK_ONE_OF_TWO, ImageMixtureConfig, image_samples
from pose_rft.data.picture_prompts import ASK_POSE
from pose_rft.data.questions.reading import is_right
from pose_rft.data.rendering.renders import RenderSpec
from pose_rft.data.sample import POSE_TOKEN, Sample
from pose_rft.errors import UserError
from pose_rft.posescript.checks import satisfied

SMALL = ImageMixtureConfig(single=0.5, pairs=0.25, questions=0.25, size=64)


def some_poses(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.3, (count, 22, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return image_samples(some_poses(200), seed=0, config=SMALL, sources=["clip"] * 200)


def of_task(samples: list[Sample], task: str) -> list[Sample]:
    found = [sample for sample in samples if sample.task == task]
    assert len(found) > 20
    return found


def test_every_sample_has_a_picture_that_is_not_drawn_yet(samples: list[Sample]) -> None:
    assert len(samples) == 200
    assert all(isinstance(sample.image, RenderSpec) for sample in samples)
    assert samples[0].image.image().size == (64, 64)


def test_poses_are_those_of_the_pictures(samples: list[Sample]) -> None:
    for sample in of_task(samples, "image_to_pose")[:3] + of_task(samples, "image_text_to_pose")[:3]:
        drawn = sample.image.renders().pose
        np.testing.assert_array_equal(sample.pose, drawn[sample.person.index])
        assert sample.answer.count(POSE_TOKEN) == 1


def test_of_two_people_the_one_named_is_meant(samples: list[Sample]) -> None:
    for sample in of_task(samples, "image_text_to_pose"):
        side = ("left", "right")[sample.person.index]
        assert side in sample.prompt
        assert {"left": "right", "right": "left"}[side] not in sample.prompt
    people = collections.Counter(sample.person.index for sample in of_task(samples, "image_text_to_pose"))
    assert min(people.values()) > 5


def test_questions_have_words_and_no_pose_and_their_truth(samples: list[Sample]) -> None:
    for sample in of_task(samples, "pose_question"):
        assert sample.pose is None
        assert POSE_TOKEN not in sample.answer
        assert is_right(sample.answer, sample.question.truth) in (True, None)
        assert sample.image.clear


def test_what_an_answer_states_holds_for_the_person_in_the_picture(samples: list[Sample]) -> None:
    # The picture's person has a random shape, the question was asked of the mean body: margins cover nearly all.
    met = []
    for sample in of_task(samples, "pose_question"):
        if sample.checks:
            met += satisfied(sample.checks, sample.image.renders().upright_joints())[0].tolist()
    assert np.mean(met) > 0.97


def test_samples_repeat_by_seed_and_do_not_hang_on_their_number(samples: list[Sample]) -> None:
    again = image_samples(some_poses(50), seed=0, config=SMALL)
    assert [sample.prompt for sample in again] == [sample.prompt for sample in samples[:50]]
    other = image_samples(some_poses(50), seed=1, config=SMALL)
    assert [sample.prompt for sample in other] != [sample.prompt for sample in again]


def test_sources_name_the_recording(samples: list[Sample]) -> None:
    assert {sample.source for sample in samples} == {"render:clip"}
    assert image_samples(some_poses(1), 0)[0].source == "render"


def test_there_are_a_few_dozen_wordings() -> None:
    assert len(set(ASK_POSE)) >= 36
    assert len(set(ASK_ONE_OF_TWO)) >= 12
    assert all("{side}" in text for text in ASK_ONE_OF_TWO)


def test_no_poses_give_no_samples_and_mistakes_one_line() -> None:
    assert image_samples(np.zeros((0, 22, 3)), 0) == []
    with pytest.raises(UserError, match=r"\(N, 22, 3\)"):
        image_samples(np.zeros((3, 66)), 0)
    with pytest.raises(UserError, match="one source for each of 2 poses, not 1"):
        image_samples(some_poses(2), 0, sources=["a"])
    with pytest.raises(UserError, match="all weights are zero"):
        ImageMixtureConfig(single=0, pairs=0, questions=0)


def test_one_pose_serves_both_people_where_there_is_no_next_one() -> None:
    only = image_samples(some_poses(1), 0, ImageMixtureConfig(single=0, pairs=1, questions=0, size=64))[0]
    assert only.image.renders().pose.shape == (2, 22, 3)
    joints = load_body().joints(torch.from_numpy(only.image.camera_pose()))
    assert torch.isfinite(joints).all()
