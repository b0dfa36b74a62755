"""Statements put together from a limb and what is said of it: any order, any degree, any place."""

from itertools import product
from pathlib import Path

import pytest
import torch
import yaml

from pose_rft.body import load_body
from pose_rft.body.skeleton import mirror_pose
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.procedural import sample_poses
from pose_rft.data.stated import stated_checks
from pose_rft.posescript.checks import compile_check, satisfied
from pose_rft.posescript.lexicon import tokens_of
from pose_rft.posescript.meanings import TOUCHING, facts_of
from pose_rft.posescript.parsing import parse
from pose_rft.posescript.phrases import Piece, grammar_table, piece_at, target_at
from pose_rft.posescript.posecodes import exchange_sides
from pose_rft.posescript.spelling import corrected

COMPOSED = yaml.safe_load(Path(__file__).with_name("composed.yaml").read_text(encoding="utf-8"))
SENTENCES = [(text, read) for texts in COMPOSED.values() for text, read in texts.items()]


@pytest.fixture(scope="module")
def poses() -> torch.Tensor:
    """(N, 22, 3) axis-angle: two poses of every twelfth concept."""
    return torch.cat([torch.from_numpy(sample_poses(each.spec, 2, seed=3)) for each in load_concepts()[::12]])


@pytest.mark.parametrize(("text", "read"), SENTENCES)
def test_pieces_in_any_order_are_read_together(text, read):
    assert [each.posecode or each.aim or each.check for each in parse(text).statements] == read


def test_a_composed_text_with_the_sides_exchanged_is_true_of_the_mirrored_poses(poses):
    points, twins = load_body().points(poses), load_body().points(mirror_pose(poses))
    for text in (text.lower() for text, _ in SENTENCES):
        here, there = parse(text).checks, parse(exchange_sides(text)).checks
        assert torch.equal(satisfied(here, points).sum(dim=1), satisfied(there, twins).sum(dim=1)), text


def test_what_a_pose_is_made_to_meet_is_no_looser_than_what_people_mean(poses):
    points = load_body().points(poses)
    for text, _ in SENTENCES:
        for each in parse(text).statements:
            if each.aim:
                aimed, meant = satisfied([each.aim, each.check], points).T
                assert not (aimed & ~meant).any(), (text, each)


def test_settling_aims_at_the_middle_of_a_meaning():
    (stated,) = parse("head turned all the way to the left").statements
    assert stated.aim != stated.check
    assert stated_checks("head turned all the way to the left") == (stated.aim,)


@pytest.mark.parametrize(
    "text",
    [
        "palms facing up and down", "both palms facing down", "more than halfway up with the left arm",
        "the left arm bends forward", "from the ankles up", "only the right one", "arms of the chair",
    ],
)  # fmt: skip
def test_words_that_only_look_like_pieces_are_not_read(text):
    assert parse(text).statements == ()


def test_the_longest_piece_is_read():
    tokens = [*tokens_of("all the way up to the height of the left shoulder"), "."]
    assert piece_at(tokens, 0) == Piece(2, ("full",))
    place = piece_at(tokens, 3)
    assert place is not None
    assert place.names == ("at:shoulder:left",)
    assert target_at([*tokens_of("the other knee"), "."], 0) == (2, "knee", "other")


def test_pieces_that_a_limb_does_not_know_say_nothing():
    assert facts_of("knee", ("left",), [Piece(1, ("bend",))])
    assert not facts_of("knee", ("left",), [Piece(1, ("bend",)), Piece(2, ("clasp_behind",))])


def test_a_bend_by_an_angle_is_the_rest_of_a_straight_joint():
    (fact,) = facts_of("elbow", ("right",), [Piece(1, ("bend",)), Piece(2, ("F",), 40.0)])
    assert fact.check == "abs(angle(right_elbow) - 140) < 15"
    compile_check(fact.check)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("arm sout", "arms out"), ("handson knees", "hands on knees"), ("onher back", "on her back"),
        ("110degres", "110 degrees"), ("reachin up", "reaching up"), ("boht arms", "both arms"),
        ("opositte shoulderr", "opposite shoulder"), ("tuch her tose", "touch her toes"), ("behnd", "behind"),
    ],
)  # fmt: skip
def test_words_that_are_run_together_or_parted_wrongly_are_mended(typed, meant):
    assert " ".join(corrected(typed.split())) == meant


@pytest.mark.parametrize("limb", sorted(TOUCHING))
def test_every_place_of_a_limb_says_something_in_the_language_of_checks(limb):
    names, sides = grammar_table()["targets"], ("", "any", "own", "other", "left", "right")
    for relation, name, side in product(("on", "near", "at", "above", "below"), names, sides):
        for fact in facts_of(limb, ("left",), [Piece(1, (f"{relation}:{name}:{side}",))]):
            compile_check(fact.check)
            compile_check(fact.aim)
