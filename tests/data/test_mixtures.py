"""The training mixture, on the worked examples of the concept bank; slow tests take all of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.concepts import pools
from pose_rft.data.mixtures import text_to_pose as mixtures
from pose_rft.data.mixtures.text_to_pose import MixtureConfig, text_to_pose_mixture
from pose_rft.data.sample import Sample
from pose_rft.data.splits import in_part, is_held_out
from pose_rft.data.stated import stated_checks
from pose_rft.errors import UserError
from pose_rft.posescript.checks import satisfied
from pose_rft.rewards.format import keeps_format

pytestmark = pytest.mark.usefixtures("examples_only")

SMALL = 8  # poses per concept


@cache
def samples() -> tuple[Sample, ...]:
    return tuple(text_to_pose_mixture(300, 0, MixtureConfig(concept_poses=SMALL)))


def same(first: list[Sample], second: list[Sample]) -> bool:
    """Whether all samples are equal in every field."""
    return all(
        np.array_equal(getattr(a, f.name), getattr(b, f.name))
        if f.name == "pose"
        else getattr(a, f.name) == getattr(b, f.name)
        for a, b in zip(first, second, strict=True)
        for f in fields(Sample)
    )


def kind(sample: Sample) -> str:
    return sample.source.split(":")[0]


def test_outlined_answers_say_what_is_true_of_the_pose() -> None:
    said = text_to_pose_mixture(300, 0, MixtureConfig(concept_poses=SMALL, chat=0, outlined=1.0))
    stated = [stated_checks(sample.answer) for sample in said]
    assert sum(map(bool, stated)) > 250
    points = load_body().points(torch.from_numpy(np.stack([sample.pose for sample in said])))
    held = [satisfied(checks, points[row : row + 1]).float().mean() for row, checks in enumerate(stated) if checks]
    assert torch.stack(held).mean() > 0.98
    assert all(keeps_format(sample.answer, wants_pose=True) for sample in said)


def test_no_answer_says_what_the_body_does_unless_asked_to() -> None:
    assert not any(stated_checks(sample.answer) for sample in samples() if sample.pose is not None)


def test_a_mixture_holds_every_source_in_about_its_share() -> None:
    share = {name: count / 300 for name, count in Counter(kind(s) for s in samples()).items()}
    # Weights 0.25, 0.27, 0.20, 0.15, 0.04 of 0.91 without mocap; five standard deviations at n = 300.
    expected_share = {"caption": 0.275, "phrase": 0.297, "composition": 0.22, "wording": 0.165, "chat": 0.044}
    for name, expected in expected_share.items():
        assert share[name] == pytest.approx(expected, abs=5 * (expected * (1 - expected) / 300) ** 0.5)


def share_doing_what_is_said(drawn: Sequence[Sample]) -> float:
    graded = [s for s in drawn if s.checks]
    assert len(graded) > len(drawn) / 2
    points = load_body().points(torch.from_numpy(np.stack([s.pose for s in graded])))
    return np.mean([satisfied(s.checks, j[None]).all().item() for s, j in zip(graded, points, strict=True)])


def test_poses_do_what_their_prompts_say() -> None:
    assert share_doing_what_is_said(samples()) >= 0.95


def test_answers_keep_the_format_and_talk_has_no_pose() -> None:
    for sample in samples():
        assert keeps_format(sample.answer, wants_pose=sample.task != "chat")
        assert (sample.pose is None) == (sample.task == "chat")
        if sample.pose is not None:
            assert sample.pose.shape == (22, 3)
            assert sample.pose.dtype == np.float32
            assert np.isfinite(sample.pose).all()
    usual = np.mean([s.answer == "The SMPL pose of this person is <POSE>." for s in samples() if s.task != "chat"])
    assert usual == pytest.approx(0.6, abs=0.15)


def test_the_same_seed_gives_the_same_mixture_and_another_seed_another() -> None:
    config = MixtureConfig(concept_poses=SMALL, captions_procedural=0.2, phrases=0.5, compositions=0, wordings=0.2)
    once = text_to_pose_mixture(25, 5, config)
    assert same(once, text_to_pose_mixture(25, 5, config))
    assert not same(once, text_to_pose_mixture(25, 6, config))


def test_shards_differ_and_do_not_depend_on_how_many_follow(monkeypatch) -> None:
    monkeypatch.setattr(mixtures, "SHARD", 20)
    config = MixtureConfig(
        concept_poses=SMALL, captions_procedural=0, compositions=0, wordings=0, phrases=0.9, chat=0.1
    )
    both = text_to_pose_mixture(40, 4, config)
    assert len(both) == 40
    assert same(both[:20], text_to_pose_mixture(20, 4, config))
    assert not same(both[:20], both[20:])


@pytest.mark.slow
def test_two_processes_draw_what_one_draws(monkeypatch) -> None:
    monkeypatch.setattr(mixtures, "SHARD", 20)
    config = MixtureConfig(
        concept_poses=SMALL, captions_procedural=0, compositions=0, wordings=0.1, phrases=0.4, chat=0.5
    )
    assert same(text_to_pose_mixture(40, 1, config), text_to_pose_mixture(40, 1, config, processes=2))


@pytest.mark.slow
def test_the_whole_bank_composes_and_its_poses_do_what_is_said() -> None:
    config = MixtureConfig(
        concept_poses=SMALL, captions_procedural=0, phrases=0.5, compositions=0.5, wordings=0, chat=0
    )
    drawn = text_to_pose_mixture(200, 7, config)
    assert len({s.source for s in drawn}) > 60
    assert share_doing_what_is_said(drawn) >= 0.95


def test_excluded_concepts_and_their_twins_are_in_no_sample() -> None:
    gone = ["tree_pose", "hands_on_hips", "wave_right_hand"]
    config = MixtureConfig(
        concept_poses=SMALL,
        captions_procedural=0,
        compositions=0.2,
        phrases=0.8,
        wordings=0,
        chat=0,
        exclude_concepts=gone,
    )
    used = {name for s in text_to_pose_mixture(150, 2, config) for name in s.source.split(":")[1].split("+")}
    assert not used & {*gone, "wave_right_hand~mirrored", "tree_pose~mirrored"}


def test_concepts_are_drawn_by_the_root_of_their_number_of_phrases() -> None:
    bank = pools.concept_pools(SMALL, 0, (), "all")
    phrases = np.array([len(concept.phrases) for concept in bank.concepts])
    most, least = phrases.argmax(), phrases.argmin()
    assert bank.weights[most] / bank.weights[least] == pytest.approx((phrases[most] / phrases[least]) ** 0.5)
    assert bank.weights.sum() == pytest.approx(1)


def recorded(tmp_path: Path) -> Path:
    names = [f"{i:02d}" for i in range(20)]
    rng = np.random.default_rng(0)
    path = tmp_path / "clips.npz"
    np.savez(
        path,
        pose=rng.normal(size=(200, 22, 3), scale=0.2).astype(np.float32),
        sequence=np.repeat(names, 10),
        description=np.repeat(["walk", "xyz"], 100),
    )
    return path


def test_recordings_are_captioned_and_named_but_held_out_clips_are_not_used(tmp_path: Path) -> None:
    config = MixtureConfig(
        captions_procedural=0,
        phrases=0,
        compositions=0,
        wordings=0,
        chat=0,
        clips=0.5,
        captions_mocap=0.5,
        mocap=str(recorded(tmp_path)),
    )
    drawn = text_to_pose_mixture(200, 0, config)
    assert Counter(kind(s) for s in drawn).keys() == {"caption", "clip"}
    clips = {s.source.split(":")[1] for s in drawn}
    assert len(clips) > 10
    assert not any(is_held_out(name) for name in clips)
    assert all(int(s.source.split(":")[1]) < 10 for s in drawn if kind(s) == "clip")  # nobody has words for "xyz"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"phrases": -1.0}, "phrases must be at least 0, not -1.0"),
        ({"concept_poses": 0}, "concept_poses must be at least 1, not 0"),
        (dict.fromkeys(mixtures.SOURCES, 0.0), "all weights are zero"),
        ({"mocap": "absent.npz"}, "absent.npz: no such file"),
        ({"exclude_concepts": ["no_such"]}, "no concept is called 'no_such'"),
        ({name: float(name == "clips") for name in mixtures.SOURCES}, "no source can be drawn from"),
    ],
)
def test_a_config_that_cannot_work_says_so(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        text_to_pose_mixture(5, 0, MixtureConfig(**arguments))


def test_the_parts_of_reward_and_judge_share_no_pose(tmp_path: Path) -> None:
    config = {"concept_poses": SMALL, "mocap": str(recorded(tmp_path)), "chat": 0.0}
    parts = {part: text_to_pose_mixture(120, 0, MixtureConfig(**config, part=part)) for part in ("reward", "judge")}
    clips = {
        part: {s.source for s in drawn if s.source.startswith("caption:") and s.source != "caption:procedural"}
        for part, drawn in parts.items()
    }
    assert clips["reward"]
    assert clips["judge"]
    assert not clips["reward"] & clips["judge"]
    poses = {part: {np.round(s.pose[1:], 4).tobytes() for s in drawn} for part, drawn in parts.items()}
    assert not poses["reward"] & poses["judge"]


def test_every_training_recording_belongs_to_one_part_about_half_to_each() -> None:
    names = [f"clip {n}" for n in range(2000)]
    assert all(in_part(name, "reward") != in_part(name, "judge") for name in names)
    assert all(in_part(name, "all") for name in names)
    assert 900 < sum(in_part(name, "judge") for name in names) < 1100  # 1000, standard deviation 22
