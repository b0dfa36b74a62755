"""What must be said with an answer."""

import numpy as np
import pytest
import torch
from PIL import Image

from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.everyday import everyday_prompts
from pose_rft.data.mixtures.chat import written_pairs
from pose_rft.data.questions.attributes import Attribute, AttributeVerbalizer
from pose_rft.policy import Answer
from pose_rft.policy.notes import (
    NO_PICTURE,
    NO_WORDS,
    ONE_PERSON,
    ONLY_PEOPLE,
    Note,
    asked_joints,
    is_question,
    note_of_photograph,
    note_of_words,
    unseen_parts,
)
from pose_rft.vision.blazepose import COMMON_JOINTS, NUM_LANDMARKS
from pose_rft.vision.encoded_images import EncodedImages
from pose_rft.vision.image_encoder import NUMBERS, EncodedPerson

LEFT, RIGHT, MIDDLE = (10.0, 50.0, 90.0, 250.0), (310.0, 50.0, 390.0, 250.0), (160.0, 50.0, 240.0, 250.0)
LEGS = ("left_knee", "right_knee", "left_ankle", "right_ankle")


def somebody(people=(LEFT,), box=None, unseen=()) -> EncodedPerson:
    """A person in a photograph of 400 x 300."""
    points = torch.zeros(1, NUM_LANDMARKS, NUMBERS)
    points[0, :, 4] = 1.0  # presence
    for name in unseen:
        points[0, COMMON_JOINTS[name], 4] = 0.01
    return EncodedPerson(
        EncodedImages(torch.zeros(1, 1, 1), points),
        torch.eye(3),
        torch.zeros(12, 2),
        torch.ones(12),
        Image.new("RGB", (400, 300)),
        people=list(people),
        box=box or people[0],
    )


VERBALIZER = AttributeVerbalizer(
    [
        Attribute("The left knee is bent.", "knee", "yes", "The left knee is not bent.", ("Is the left knee bent?",)),
        Attribute("The arms are raised.", "arms", "yes", "The arms are not raised.", ("Are both arms raised?",)),
    ]
)  # fmt: skip


def test_ordinary_prompts_need_no_note():
    noted = [sample.prompt for sample in everyday_prompts() if note_of_words(sample.prompt, True) != Note()]
    assert noted == []


def test_the_phrases_that_the_policy_learned_are_understood():
    phrases = {phrase for concept in load_concepts(twins=False) for phrase in concept.phrases}
    assert len(phrases) > 3000
    assert [phrase for phrase in phrases if note_of_words(phrase, True).text in (NO_WORDS, NO_PICTURE)] == []
    others = [phrase for phrase in phrases if note_of_words(phrase, True) != Note()]
    assert len(others) < 0.005 * len(phrases)  # "a penguin", "two men arm wrestling"


def test_talk_needs_no_picture():
    asked = [prompt for prompt, _ in written_pairs() if note_of_words(prompt, False).instead]
    assert asked == []


@pytest.mark.parametrize("prompt", [
    "two people dancing", "Two people hugging each other", "a mother and her child", "a couple kissing",
    "a man and a woman dancing tango", "a group of dancers", "three wrestlers fighting", "show me a couple dancing",
    "someone lifting another person",
])  # fmt: skip
def test_several_people_are_answered_with_one_and_that_is_said(prompt):
    assert note_of_words(prompt, True) == Note(ONE_PERSON)


@pytest.mark.parametrize("prompt", [
    "a dog", "a cat stretching", "A horse galloping", "an elephant standing on its hind legs", "the dog sits",
    "show me a lion", "two birds flying", "cats",
])  # fmt: skip
def test_animals_are_answered_with_a_person_and_that_is_said(prompt):
    assert note_of_words(prompt, True) == Note(ONLY_PEOPLE)


@pytest.mark.parametrize("prompt", [
    "downward dog", "cat pose", "a dog walker with a leash", "riding a horse", "crawling like a bear", "a bear crawl",
    "a jockey on a horse", "bird dog", "cat-cow", "feeding chickens",
])  # fmt: skip
def test_people_who_have_to_do_with_animals_are_people(prompt):
    assert note_of_words(prompt, True) == Note()


@pytest.mark.parametrize("prompt", [
    "ein Mann sitzt auf einem Stuhl", "un homme assis sur une chaise", "una mujer sentada en una silla",
    "\N{CJK UNIFIED IDEOGRAPH-4E00}\N{CJK UNIFIED IDEOGRAPH-4EBA}", "\u0447\u0435\u043b\u043e\u0432\u0435\u043a",
    "een man zit op een stoel", "asdf qwer", "asdfghjkl", "flurb the glorp", "???", "12345", "aaaaaaaa", "xkcd zzz",
    "lorem ipsum dolor sit amet",
])  # fmt: skip
def test_what_is_no_english_is_said_to_be_a_guess(prompt):
    assert note_of_words(prompt, True) == Note(NO_WORDS)


@pytest.mark.parametrize("prompt", [
    "Is the left knee bent?", "Are the legs crossed?", "Which hand is higher?", "Is the person facing the camera?",
    "Does she raise her arm?", "Are both arms above the head?", "What is the man in the picture doing?",
    "Describe the pose.",
])  # fmt: skip
def test_a_question_about_somebody_without_a_picture_is_not_answered(prompt):
    note = note_of_words(prompt, False)
    assert note.text == NO_PICTURE
    answer = note.on(Answer("Yes.", False, None, -1.0, None))
    assert (answer.text, answer.note, answer.pose) == ("I cannot say without a picture.", NO_PICTURE, None)


@pytest.mark.parametrize("prompt", [
    "Is the knee a hinge joint?", "How do I bend the knee?", "Which muscle raises the arm?", "Is running healthy?",
    "Can you show me a squat?", "A person sits. Is the left knee bent?", "Should the knees be bent in a squat?",
])  # fmt: skip
def test_questions_that_need_no_picture_are_answered(prompt):
    assert note_of_words(prompt, False) == Note()


def test_a_pose_of_a_picture_that_did_not_come_is_said_to_be_made_up():
    assert note_of_words("What is the pose of the person in this photo?", True) == Note(NO_PICTURE)
    assert note_of_words("Give me the pose of the person on the left.", True) == Note(NO_PICTURE)


def test_only_one_person_found_is_said_where_one_of_several_is_meant():
    note = note_of_photograph("What is the pose of the person on the left?", somebody([RIGHT]), None)
    assert note == Note(
        "Only one person was found, on the right of the picture: the answer is about that one, who may not be the "
        "person on the left."
    )


def test_who_was_taken_of_several_is_said_unless_the_prompt_says_it():
    three = [LEFT, MIDDLE, RIGHT]
    for box, which in (
        (LEFT, "the one on the left"),
        (MIDDLE, "the second from the left"),
        (RIGHT, "the one on the right"),
    ):
        note = note_of_photograph("What is the pose?", somebody(three, box), None)
        assert note == Note(f"3 people were found: the answer is about the largest, {which}.")
    assert note_of_photograph("the person on the right", somebody(three, RIGHT), None) == Note()
    assert note_of_photograph("What is the pose?", somebody([LEFT]), None) == Note()
    two = note_of_photograph("the one in the middle", somebody([LEFT, RIGHT]), None)
    assert two == Note("2 people were found, nobody in the middle: the answer is about the one on the left.")


def test_a_box_around_nobody_is_said_to_be_taken_for_a_person():
    assert note_of_photograph("pose?", somebody([LEFT]), None, LEFT) == Note()
    taken = note_of_photograph("pose?", somebody([LEFT], (100.0, 0.0, 150.0, 50.0)), None, (100.0, 0.0, 150.0, 50.0))
    assert taken == Note("Nobody was found in the box: it was taken for a person.")


@pytest.mark.parametrize(("question", "parts", "are"), [
    ("Is the left knee bent?", "left leg", "is"), ("Are the legs crossed?", "legs", "are"),
    ("Which foot is higher?", "feet", "are"), ("Is her right ankle in front?", "right foot", "is"),
])  # fmt: skip
def test_what_is_outside_the_picture_cannot_be_seen(question, parts, are):
    note = note_of_photograph(question, somebody(unseen=LEGS), VERBALIZER)
    outside = f"The {parts} of this person {are} outside the picture."
    assert note == Note(outside, "That cannot be seen in this picture.")


def test_what_is_in_the_picture_is_answered():
    assert note_of_photograph("Are both arms raised?", somebody(unseen=LEGS), VERBALIZER) == Note()
    assert note_of_photograph("Is the left knee bent?", somebody(), VERBALIZER) == Note()


def test_a_pose_of_somebody_who_is_cut_off_is_said_to_be_a_guess_there():
    note = note_of_photograph("What is the pose?", somebody(unseen=LEGS), None)
    assert note == Note("The legs are outside the picture: there the pose is a guess.")


@pytest.mark.parametrize("question", [
    "What colour is the shirt?", "Does the person wear a hat?", "Is she smiling?", "Is the person standing?",
    "How old is he?", "Is it raining?", "What is he holding?", "Is the man walking?",
])  # fmt: skip
def test_what_is_not_said_of_pictures_is_not_answered(question):
    note = note_of_photograph(question, somebody(), VERBALIZER)
    assert note.instead == "I cannot tell that from the picture."
    assert "I see only how the body is held" in note.text
    assert note_of_photograph(question, somebody(), None) == Note()  # a model with eyes of its own may know


def test_how_many_people_were_found_is_said():
    for people, said in (([LEFT], "1 person was found."), ([LEFT, RIGHT], "2 people were found.")):
        note = note_of_photograph("How many people are in the picture?", somebody(people), VERBALIZER)
        assert note.instead == said


def test_questions_are_told_from_wishes():
    assert all(map(is_question, ("Is the left knee bent?", "which hand is higher", "Yes or no: are the legs crossed?")))
    assert not any(map(is_question, ("Can you show me a squat?", "a boxer", "What is the pose?", "Describe the pose.")))


def test_joints_and_parts_have_each_others_names():
    assert asked_joints("Is the left knee bent?") == {"left_knee"}
    assert asked_joints("Are both hands above the left knee?") == {"left_wrist", "right_wrist", "left_knee"}
    assert asked_joints("Is she smiling?") == frozenset()
    assert unseen_parts(frozenset(LEGS)) == "legs"
    assert unseen_parts(frozenset({"left_ankle", "right_wrist", "left_wrist"})) == "left foot and hands"


def test_a_note_beside_an_answer_changes_nothing_else():
    answer = Answer("Yes <POSE>.", True, None, -1.0, -2.0)
    noted = Note("A note.").on(answer)
    assert (noted.text, noted.valid, noted.logp_pose, noted.note) == ("Yes <POSE>.", True, -2.0, "A note.")
    assert np.isclose(noted.logp_text, -1.0)
