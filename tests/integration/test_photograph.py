"""The default policy and the bundled photograph: a man who jumps with his arms up, a woman who walks to the left."""

import json

import numpy as np
import pytest
from PIL import Image

from pose_rft import PosePolicy
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.data.photographs import TWO_PEOPLE

SIDES = ("left", "right")


@pytest.fixture(scope="module")
def answers():
    """The answer about each person."""
    questions = [f"What is the pose of the person on the {side}?" for side in SIDES]
    groups = PosePolicy.from_pretrained("default").generate(questions, [TWO_PEOPLE] * 2, temperature=0.0)
    return {side: answer for side, (answer,) in zip(SIDES, groups, strict=True)}


def place(joints: np.ndarray, name: str) -> np.ndarray:
    return joints[JOINT_INDEX[name]]


def test_the_man_on_the_left_has_his_hands_up_and_his_feet_apart(answers):
    joints = answers["left"].pose.joints()
    head = place(joints, "head")[1]
    assert place(joints, "left_wrist")[1] > head
    assert place(joints, "right_wrist")[1] > head
    assert np.linalg.norm(place(joints, "left_ankle") - place(joints, "right_ankle")) > 0.5


def test_the_woman_on_the_right_walks_to_the_left_with_her_hands_down(answers):
    joints = answers["right"].pose.joints()
    assert max(place(joints, "left_wrist")[1], place(joints, "right_wrist")[1]) < place(joints, "neck")[1]
    forward = np.cross(place(joints, "left_hip") - place(joints, "right_hip"), [0.0, 1.0, 0.0])
    assert forward[0] < -0.5 * np.linalg.norm(forward)  # x is to the right of the picture
    assert np.linalg.norm(place(joints, "left_ankle") - place(joints, "right_ankle")) > 0.4


def test_the_body_is_drawn_where_the_person_is(answers):
    photograph = Image.open(TWO_PEOPLE).convert("RGB")
    for side, (low, high) in {"left": (330, 620), "right": (880, 1150)}.items():
        changed = np.abs(np.asarray(answers[side].overlay()).astype(int) - np.asarray(photograph)).sum(axis=2) > 60
        columns = np.flatnonzero(changed.any(axis=0))
        assert low < columns.min()
        assert columns.max() < high


@pytest.fixture(scope="module")
def policy():
    return PosePolicy.from_pretrained("default")


@pytest.fixture(scope="module")
def upper_half():
    """The man, down to the hips."""
    return Image.open(TWO_PEOPLE).convert("RGB").crop((326, 0, 588, 187))


def test_legs_outside_the_picture_cannot_be_seen(policy, upper_half):
    questions = ["Is the left knee bent?", "Are the legs crossed?", "Are both arms raised?"]
    groups = policy.generate(questions, [upper_half] * 3, temperature=0.0)
    hidden = "That cannot be seen in this picture."
    assert [group[0].text == hidden for group in groups] == [True, True, False]


def test_one_person_found_is_said_where_one_of_two_is_meant(policy, upper_half):
    [[answer]] = policy.generate(["What is the pose of the person on the right?"], [upper_half], temperature=0.0)
    assert answer.valid
    assert answer.note.startswith("Only one person was found")
    assert "The legs are outside the picture" in answer.note


def test_a_box_chooses_the_person(policy, answers):
    [[boxed]] = policy.generate(["What is the pose?"], [TWO_PEOPLE], temperature=0.0, boxes=[answers["right"].box])
    assert boxed.note == ""
    np.testing.assert_allclose(boxed.box, answers["right"].box, atol=0.1)
    np.testing.assert_allclose(boxed.pose.joints(), answers["right"].pose.joints(), atol=0.05)


def test_everybody_in_a_photograph_is_answered_for(pose_rft, tmp_path):
    options = ("--image", TWO_PEOPLE, "--people", "all", "--temperature", 0, "--out", tmp_path, "--device", "cpu")
    outcome = pose_rft("generate", "What is the pose of this person?", *options)
    assert outcome.status == 0, outcome.err
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [line["box"][0] for line in lines] == sorted(line["box"][0] for line in lines)
    assert len(lines) == 2
    assert [line["note"] for line in lines] == ["", ""]
    assert {path.suffix for path in tmp_path.glob("pose_01.*")} == {".npz", ".glb", ".bvh", ".png"}
