"""A prompt in ordinary capitals, spelt right, and no longer than what it says of a body."""

import pytest

from pose_rft.policy import PosePolicy
from pose_rft.policy.plain_prompt import plain_prompt

KNOWN = "standing on one leg with the arms up is fine she trained her pet what capital of france hands line protect"
LONG = (
    "My cousin paints shop signs and has asked me for help. The last one shows a baker. {} His cat sat on the drawing, "
    "which took us an hour to clean. I will bring you a loaf of bread for it."
)


def plainly(text: str) -> str:
    return plain_prompt(text, KNOWN.split().__contains__)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("STANDING ON ONE LEG", "Standing on one leg"),
        ("sTANDING oN oNE lEG", "Standing on one leg"),
        ("A Boxer Throws A Punch", "A boxer throws a punch"),
        ("satnding on oen leg", "standing on one leg"),
        ("Haands up", "Hands up"),
        ("both armms abvoe the haed", "both arms above the head"),
        ("A T-pose", "A T-pose"),
        ("Warrior II", "Warrior II"),
        ("A man in a USA shirt waves", "A man in a USA shirt waves"),
    ],
)
def test_capitals_and_slips_are_mended(typed: str, read: str) -> None:
    assert plainly(typed) == read


@pytest.mark.parametrize(
    "text", ["She trained her pet.", "Is it fine to protect it?", "What is the capitol of France?", "Wat is adduction?"]
)
def test_what_says_nothing_of_a_body_keeps_its_words(text: str) -> None:
    assert plainly(text) == text


def test_a_word_that_the_language_model_knows_is_no_slip() -> None:
    assert plainly("a fine lady standing on one leg") == "a fine lady standing on one leg"


def test_of_a_long_text_only_what_it_says_of_a_body_is_read() -> None:
    stated = "His left arm is raised and his right hand is on his hip."
    assert plainly(LONG.format(stated)) == stated


def test_of_a_long_text_the_name_of_a_pose_and_what_is_asked_are_read() -> None:
    stated = "Show him in mountain pose. His hands are together. Tell me which muscles he needs."
    assert plainly(LONG.format(stated)) == stated


def test_a_long_text_that_states_nothing_is_read_whole() -> None:
    assert plainly(LONG.format("He is proud of his rolls.")) == LONG.format("He is proud of his rolls.")


def test_the_default_policy_answers_slips_and_capitals_as_it_answers_the_words() -> None:
    policy = PosePolicy.from_pretrained("default")
    said = ["stand on one leg", "satnd on oen leg", "STAND ON ONE LEG"]
    right, slips, capitals = (answers[0].pose.joints() for answers in policy.generate(said, temperature=0, words=False))
    assert abs(right - slips).max() < 1e-3
    assert abs(right - capitals).max() < 0.1  # "Stand" begins with a capital
