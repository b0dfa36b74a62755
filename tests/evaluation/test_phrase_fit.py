"""Phrase fit: which phrases of its training a policy is measured by, and how."""

import math

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX, mirror_pose
from pose_rft.data.sample import Sample
from pose_rft.evaluation.phrase_fit import TaughtPhrase, phrase_fit, taught_phrases
from pose_rft.policy import PosePolicy
from pose_rft.policy.hidden_state_cache import mean_poses
from tests.conftest import ANSWER

REST = torch.zeros(22, 3)
TURNED = REST.clone()  # pelvis on pelvis, but facing the other way
TURNED[0, 1] = math.pi
STANDS = ("lean() < 5",)  # of the rest pose
KICKS = ("y(left_ankle) > y(pelvis)", "lean() < 5")  # of which the rest pose does the second


def pose(knee: float) -> np.ndarray:
    rotations = np.zeros((22, 3), np.float32)
    rotations[JOINT_INDEX["left_knee"], 0] = knee
    return rotations


def sample(
    prompt: str, knee: float = 0.0, checks: tuple[str, ...] = STANDS, source: str = "phrase:a", **more
) -> Sample:
    return Sample(prompt, "Here: <POSE>.", pose(knee), checks=checks, source=source, **more)


def test_different_phrases_with_checks_are_asked_in_the_order_of_the_samples():
    samples = [
        sample("a caption", source="caption:procedural"),
        sample("bowing"),
        sample("bowing"),
        sample("looking up", checks=()),
        sample("kneeling", source="phrase:b"),
        sample("Show me this.", image="photograph.jpg"),
        Sample("hello", "Hello.", source="chat"),
        sample("a bow"),
    ]
    assert [phrase.sample.prompt for phrase in taught_phrases(samples)] == ["bowing", "kneeling", "a bow"]
    assert [phrase.sample.prompt for phrase in taught_phrases(samples, count=2)] == ["bowing", "kneeling"]
    assert taught_phrases(samples[:1]) == []


def test_targets_are_the_poses_of_all_samples_of_the_concept_and_of_both_sides_where_none_is_named():
    either = ("either_side(angle(left_knee) < 120)",)
    samples = [sample("kneeling", 1.0), sample("on one knee", 2.0, either), sample("sitting", 3.0, source="phrase:b")]
    kneeling, on_one_knee, _ = taught_phrases(samples)
    assert np.array_equal(kneeling.targets, np.stack([pose(1.0), pose(2.0)]))
    mirrored = mirror_pose(torch.from_numpy(kneeling.targets)).numpy()
    assert np.array_equal(on_one_knee.targets, np.concatenate([kneeling.targets, mirrored]))


def test_checks_and_distances_are_measured_phrase_by_phrase():
    targets = torch.stack([TURNED, REST]).numpy()
    phrases = [
        TaughtPhrase(sample("stand"), targets),  # met, and on a target
        TaughtPhrase(sample("kick", checks=KICKS), TURNED[None].numpy()),  # half of it met, and turned round
        TaughtPhrase(sample("look up", checks=()), targets),  # nothing to meet
    ]
    fit = phrase_fit(phrases, REST.expand(3, -1, -1))
    assert fit.phrases == 3
    assert (fit.satisfaction.mean, fit.satisfaction.n) == (3 / 4, 2)
    assert (fit.kept.mean, fit.kept.n) == (1 / 2, 2)
    joints = load_body().joints(torch.stack([REST, TURNED]))
    apart = (joints[0] - joints[0, :1] - joints[1] + joints[1, :1]).norm(dim=-1).mean().item()
    assert (fit.nearest_mm.mean, fit.nearest_mm.n) == (pytest.approx(1000 * apart / 3, rel=1e-4), 3)
    said = f"3 training phrases: 75.0% of their checks met, 50.0% kept, {1000 * apart / 3:.0f} mm to the nearest target"
    assert str(fit) == said


def test_the_mean_pose_to_a_given_answer_is_that_of_a_policy_that_answers_so(trained_policy):
    policy = PosePolicy.from_pretrained(trained_policy, dtype=torch.float32)
    asked = [Sample(prompt, ANSWER, np.zeros((22, 3), np.float32)) for prompt in ("wave", "a person sits", "wave")]
    answers = policy.generate([each.prompt for each in asked], temperature=0.0, settle=False)
    assert {answer.text for (answer,) in answers} == {ANSWER}
    generated = torch.from_numpy(np.stack([answer.pose.axis_angle() for (answer,) in answers]))
    assert torch.allclose(mean_poses(policy, asked), generated, atol=1e-4)
