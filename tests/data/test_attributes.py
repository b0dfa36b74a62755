"""What a prompt about a picture asks about, and what is said to it."""

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.questions.attributes import UNASKED, Attribute, AttributeVerbalizer
from pose_rft.data.questions.questions import ask
from pose_rft.data.questions.statements import statements

WAVING = Attribute("The person waves.", "waving", "yes", "The person does not wave.", ("the person waves", "waving"))
HIGHER = [
    Attribute(f"The {side} hand is higher.", "higher", side, questions=("Which hand is higher?",))
    for side in ("left", "right")
]


@pytest.fixture(scope="module")
def account() -> AttributeVerbalizer:
    return AttributeVerbalizer(statements())


def test_prompts_in_other_words_ask_about_the_same(account):
    for prompt, about in (
        ("Is the left knee bent?", "left_knee.bent"),
        ("does she bend her left knee", "left_knee.bent"),
        ("are the right arm and hand raised?", "right_arm.raised"),
        ("Which of the two hands is higher?", "hand_higher"),
        ("Is he facing the camera?", "facing"),
        ("Is the left knee of the man on the right bent?", "left_knee.bent"),
    ):
        assert account.topics(prompt)[0] == about, prompt


def test_what_questions_ask_about_is_among_what_is_said(account):
    joints = load_body().joints(torch.randn(300, 22, 3, generator=torch.Generator().manual_seed(0)) * 0.4)
    asked = [question for question in ask(joints, 1, ["yes_no", "which"]) if question.truth]
    found = [question.topic in account.topics(question.text) for question in asked]
    assert sum(found) / len(found) > 0.97


def test_the_side_that_is_likeliest_is_said_and_what_fails_is_denied():
    account = AttributeVerbalizer([WAVING, *HIGHER])
    assert account.verbalize("Which hand is higher?", [1.0, -3.0, -2.0]) == "The right hand is higher."
    assert account.verbalize("is the person waving?", [-1.0, 3.0, 2.0]) == "The person does not wave."
    assert account.verbalize("is the person waving?", [1.0, 3.0, 2.0]) == "The person waves."


def test_in_a_mirror_left_is_right(account):
    assert AttributeVerbalizer([WAVING, *HIGHER]).flipped_rows == [0, 2, 1]
    assert [account.flipped_rows[row] for row in account.flipped_rows] == list(range(len(statements())))
    assert sum(row == own for row, own in enumerate(account.flipped_rows)) < len(statements()) / 3


def test_asked_about_nothing_the_surest_is_said_once_about_each_thing(account):
    assert account.topics("Tell me something.") == []
    assert account.topics("Describe the pose of the person on the left.") == []
    assert (
        AttributeVerbalizer([WAVING, *HIGHER]).verbalize("Go on.", [0.5, 2.0, 1.0])
        == "The left hand is higher. The person waves."
    )
    assert AttributeVerbalizer([WAVING, *HIGHER]).verbalize("Go on.", [-0.5, -2.0, -1.0]) == ""
    said = account.verbalize("Describe the pose.", [1.0] * len(statements()))
    assert said.count(".") == UNASKED
