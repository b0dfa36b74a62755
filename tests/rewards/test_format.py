"""The format reward accepts finished sentences with the pose where it was asked for."""

import pytest

from pose_rft.rewards.format import format_reward, keeps_format, plain_text
from tests.rewards.rest_pose import rest_poses


@pytest.mark.parametrize(
    "answer",
    [
        "The SMPL pose of this person is <POSE>.",
        "The SMPL pose of this person is <POSE>.<|im_end|>",
        "The SMPL pose of this person is <POSE>.</s> <pad><pad>",
        "Sure! <POSE> is what they do.\n",
        "Voilà la pose demandée : <POSE>.",
    ],
)
def test_a_sentence_around_one_pose_token_keeps_the_format(answer):
    assert keeps_format(answer, wants_pose=True)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("The SMPL pose of this person is unknown.", "no token"),
        ("The pose is <POSE> or it is <POSE>.", "two tokens"),
        ("<POSE>.", "no sentence"),
        ("Pose: <POSE>.", "too few words"),
        ("The SMPL pose of this person is <POSE>", "no end"),
        ("The SMPL pose of this person is <POSE>. It shows a", "cut off"),
        ("The SMPL pose<|im_start|> of this person is <POSE>.", "a special token inside"),
        ("", "nothing"),
    ],
)
def test_other_answers_to_a_prompt_for_a_pose_break_the_format(answer, fault):
    assert not keeps_format(answer, wants_pose=True), fault


def test_an_answer_without_a_pose_is_right_only_where_none_was_asked_for():
    assert keeps_format("Paris.<|im_end|>", wants_pose=False)
    assert not keeps_format("The pose of this person is <POSE>.", wants_pose=False)
    assert not keeps_format("...", wants_pose=False)  # no word


def test_the_reward_is_one_or_zero_per_answer():
    completions = ["The SMPL pose of this person is <POSE>.", "Yes.", "Yes."]
    grades = format_reward(["q"] * 3, completions, rest_poses(3), wants_pose=[True, True, False], answer=["", "", ""])
    assert grades == [1.0, 0.0, 1.0]


def test_closing_tokens_are_dropped_but_not_the_pose():
    assert plain_text(" Here it is: <POSE><|im_end|>\n</s>") == "Here it is: <POSE>"
