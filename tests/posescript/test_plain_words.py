"""What people type: numbers, everyday words and typing errors are read as checks of the pose, or not at all."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_rft.body import load_body
from pose_rft.body.skeleton import mirror_pose
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.procedural import sample_poses
from pose_rft.data.keyboard import slipped
from pose_rft.posescript.amounts import Amount, angle_at, length_at
from pose_rft.posescript.checks import compile_check, satisfied
from pose_rft.posescript.facts import Fact, said_loosely
from pose_rft.posescript.lexicon import plain_words, synonyms, tokens_of
from pose_rft.posescript.parsing import parse
from pose_rft.posescript.posecodes import exchange_sides, load_posecodes
from pose_rft.posescript.spelling import corrected


def sentences(name: str) -> dict:
    return yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))


READINGS = [(text, read) for texts in sentences("readings.yaml").values() for text, read in texts.items()]
NON_READINGS = [text for texts in sentences("non_readings.yaml").values() for text in texts]


@pytest.mark.parametrize(("text", "read"), READINGS)
def test_plain_words_are_read_as_what_they_state(text, read):
    assert [each.posecode or each.check for each in parse(text).statements] == read


@pytest.mark.parametrize("text", NON_READINGS)
def test_what_states_nothing_of_a_pose_is_not_read(text):
    assert parse(text).statements == ()


@pytest.fixture(scope="module")
def poses() -> torch.Tensor:
    """(N, 22, 3) axis-angle: two poses of every twelfth concept."""
    return torch.cat([torch.from_numpy(sample_poses(each.spec, 2, seed=3)) for each in load_concepts()[::12]])


def test_a_text_with_the_sides_exchanged_is_true_of_the_mirrored_poses(poses):
    points, twins = load_body().points(poses), load_body().points(mirror_pose(poses))
    spelt = [text for kind, texts in sentences("readings.yaml").items() if kind != "typing_errors" for text in texts]
    for text in (text.lower() for text in spelt if "L arm" not in text):
        here, there = parse(text).checks, parse(exchange_sides(text)).checks
        assert torch.equal(satisfied(here, points).sum(dim=1), satisfied(there, twins).sum(dim=1)), text


def test_every_plain_word_has_a_check_of_the_language():
    for sides in plain_words():
        for words in sides:
            fact = words.fact.of_amount(60.0) if "{N}" in words.fact.check else words.fact
            compile_check(fact.check)
            compile_check(fact.aim or fact.check)


def test_what_is_said_loosely_is_true_wherever_the_posecode_is(poses):
    joints, codes = load_body().joints(poses), load_posecodes()
    strict = satisfied([code.check for code in codes], joints)
    loose = satisfied([said_loosely(code).check for code in codes], joints)
    wrong = {code.id for code, missed in zip(codes, (strict & ~loose).any(dim=0).tolist(), strict=True) if missed}
    assert wrong == set()


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("45 degrees", 45), ("45°", 45), ("about 45 deg", 45), ("45-degree angle", 45), ("a 45 degree angle", 45),
        ("ninety degrees", 90), ("forty five degrees", 45), ("a hundred and twenty degrees", 120),
        ("a right angle", 90), ("half a right angle", 45), ("62.5 degrees", 62.5), ("45deg", 45),
    ],
)  # fmt: skip
def test_angles_are_read_in_digits_and_words(text, degrees):
    tokens = [*tokens_of(text), "."]
    assert angle_at(tokens, 0) == Amount(len(tokens) - 1, degrees)


@pytest.mark.parametrize(
    ("text", "metres"),
    [("60 cm", 0.6), ("60cm", 0.6), ("1.5 m", 1.5), ("half a metre", 0.5), ("a meter", 1), ("two feet", 0.6096),
     ("20 inches", 0.508), ("around 30 centimetres", 0.3)],
)  # fmt: skip
def test_lengths_are_read_in_metres(text, metres):
    tokens = [*tokens_of(text), "."]
    amount = length_at(tokens, 0)
    assert amount == Amount(len(tokens) - 1, pytest.approx(metres))


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 180).filter(lambda degrees: degrees != 90))  # that is a posecode, a right angle
def test_an_angle_that_is_stated_is_the_angle_that_is_checked(degrees):
    (bend,) = parse(f"the left elbow is bent by {180 - degrees} degrees").checks
    assert bend == f"abs(angle(left_elbow) - {degrees}) < 15"


@pytest.mark.parametrize(
    "word", ["elbows", "shoulder", "stretched", "straight", "overhead", "forward", "behind", "kneeling"]
)
def test_one_slip_in_a_word_of_bodies_is_mended(word):
    rng = np.random.default_rng(0)
    mended = [next(iter(corrected([slipped(word, rng)]))) for _ in range(40)]
    assert sum(each == word for each in mended) >= 30


@pytest.mark.parametrize(
    "word", ["farm", "wait", "band", "land", "light", "fight", "food", "phone", "west", "rise", "thing", "five"]
)
def test_english_words_that_look_like_slips_stay_what_they_are(word):
    assert list(corrected([word])) == [word]


def facts() -> list[Fact]:
    """Of all plain words without an amount, and of all posecodes as people say them."""
    plain = [words.fact for sides in plain_words() for words in sides if "{" not in words.fact.check]
    codes = (*load_posecodes(), *synonyms())
    return [*dict.fromkeys(plain), *(said_loosely(code, in_captions=False) for code in codes)]


def test_what_is_aimed_at_is_no_looser_than_what_people_mean(poses):
    points = load_body().points(poses)
    wrong = []
    for fact in facts():
        aimed, meant = satisfied([fact.aim or fact.check, fact.check], points).T
        wrong += [fact] * bool((aimed & ~meant).any())
    assert wrong == []


def test_the_aim_of_the_other_side_is_that_of_the_mirrored_pose(poses):
    points, twins = load_body().points(poses), load_body().points(mirror_pose(poses))
    (left,), (right,) = (parse(f"the {side} hand is on the hip").statements for side in ("left", "right"))
    assert torch.equal(satisfied([left.aim], points), satisfied([right.aim], twins))


def test_an_amount_is_aimed_at_more_closely_than_it_is_checked():
    (bend,) = parse("the left elbow is bent by 60 degrees").statements
    assert bend == ("abs(angle(left_elbow) - 120) < 15", "", "abs(angle(left_elbow) - 120) + 6.0 < 15")


def test_captions_are_aimed_at_as_strictly_as_they_state():
    (caption,), (person,) = (parse(text).statements for text in ("The left knee is straight.", "left leg extended"))
    assert caption.posecode == person.posecode == "left_knee.straight"
    assert caption.aim == "angle(left_knee) > 155"
    assert person.aim == "angle(left_knee) > 158"
