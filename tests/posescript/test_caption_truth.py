"""Captions of poses that no training saw are true by a second geometry (benchmarks/caption_truth.py), and differ."""

import re

import numpy as np
import pytest
import torch

from benchmarks.caption_truth import table
from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_NAMES
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.procedural import sample_poses
from pose_rft.evaluation.figure import QUANTITIES, Figure
from pose_rft.posescript.captions import caption
from pose_rft.posescript.checks import measure, satisfied
from pose_rft.posescript.measurements import ANGLED_JOINTS
from pose_rft.posescript.measurements import QUANTITIES as MEASURED
from pose_rft.posescript.posecodes import load_posecodes
from tests.posescript.stick_figure import moved, random_joints, t_pose, turned


@pytest.fixture(scope="module")
def joints() -> torch.Tensor:
    """(200, 22, 3) metres: procedural poses of 50 concepts and figures with noise in every joint."""
    every = load_concepts()
    poses = [torch.from_numpy(sample_poses(concept.spec, 2, seed=23)) for concept in every[:: len(every) // 50][:50]]
    return torch.cat([load_body().joints(torch.cat(poses)), random_joints(100, seed=9)])


def test_captions_are_true_understood_and_different(joints):
    found = table(joints, [caption(joints, seed, "medium") for seed in range(3)])
    assert found["captions"] == 600
    assert found["statements"] > 1500
    assert found["statements that are false"] == 0
    assert found["statements parsed back that are false"] == 0
    assert found["captions parsed back completely, %"] >= 95
    assert found["poses whose captions all differ, %"] == 100
    assert found["captions that another pose has too, %"] < 1


def test_a_false_statement_would_be_found(joints):
    captions = caption(joints, seed=0, style="full")
    moved_on = captions[1:] + captions[:1]  # everyone gets a neighbour's caption
    assert table(joints, [moved_on])["statements that are false"] > 200


def test_both_geometries_agree_on_every_posecode(joints):
    checks = [code.check for code in load_posecodes()]
    first = satisfied(checks, joints[::6]).numpy()
    second = np.array([[Figure(pose).fulfils(check) for check in checks] for pose in joints[::6].numpy()])
    assert (first == second).mean() > 0.9999  # a value on a threshold may fall to either side
    assert first.any(axis=0).mean() > 0.5


def test_the_second_geometry_has_every_quantity_that_posecodes_ask_for():
    asked = {word for code in load_posecodes() for word in re.findall(r"(\w+)\(", code.check)}
    assert asked & set(MEASURED) <= set(QUANTITIES) <= set(MEASURED)


@pytest.mark.parametrize(
    ("expression", "joints", "value"),
    [
        ("angle(left_elbow)", moved(left_wrist=(0.45, 1.7, 0.0)), 90),
        ("angle(left_shoulder)", t_pose(), 90),
        ("tilt(left_shoulder, left_wrist)", t_pose(), 90),
        ("height(left_wrist)", t_pose(), 1.45),
        ("left(left_wrist)", t_pose(), 0.7),
        ("front(left_foot)", t_pose(), 0.1),
        ("pitch()", turned(t_pose(), (1.0, 0.0, 0.0), 30), 30),
        ("roll()", turned(t_pose(), (0.0, 0.0, -1.0), 20), 20),
        ("turn()", turned(t_pose(), (0.0, 1.0, 0.0), 70), 70),
        ("ahead(left_foot)", turned(t_pose(), (0.0, 1.0, 0.0), 70), 0.1),
    ],
)
def test_a_pose_made_by_hand_measures_what_it_should(expression, joints, value):
    figure = Figure(joints[0].numpy())
    known = {name: getattr(figure, name) for name in QUANTITIES} | {name: name for name in JOINT_NAMES}
    assert eval(expression, known) == pytest.approx(value, abs=1e-3)
    assert float(measure(expression, joints)) == pytest.approx(value, abs=1e-3)


def test_every_angle_is_measured_alike():
    joints = random_joints(40, seed=2)
    for name in ANGLED_JOINTS:
        expected = [Figure(pose).angle(name) for pose in joints.numpy()]
        np.testing.assert_allclose(measure(f"angle({name})", joints), expected, atol=0.05)
