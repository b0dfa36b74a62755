"""Requests: what is mentioned is wanted, what is denied is wanted otherwise, and what is doubted is neither."""

from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pose_rft.body import load_body
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.procedural import sample_poses
from pose_rft.data.stated import said, stated_checks
from pose_rft.errors import UserError
from pose_rft.posescript.captions import caption
from pose_rft.posescript.checks import denied, satisfied
from pose_rft.posescript.denial import contrary
from pose_rft.posescript.facts import said_loosely
from pose_rft.posescript.parsing import parse
from pose_rft.posescript.posecodes import load_posecodes
from pose_rft.posescript.spelling import corrected


def sentences(name: str) -> dict:
    return yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))


WANTED = [(text, read) for texts in sentences("requests.yaml").values() for text, read in texts.items()]
NOT_WANTED = [text for texts in sentences("non_requests.yaml").values() for text in texts]
PUZZLING = [
    *("left", "right", "knee", "it", "them", "is", "bent", "not", "no", "or", ","),
    *("and", "unlike", "only", "if"),
]


@pytest.mark.parametrize(("text", "wanted"), WANTED)
def test_a_request_states_what_it_mentions_and_the_contrary_of_what_it_denies(text, wanted):
    assert [each.posecode or each.check for each in parse(text, request=True).statements] == wanted


@pytest.mark.parametrize("text", NOT_WANTED)
def test_what_is_asked_supposed_compared_or_of_somebody_else_is_not_wanted(text):
    assert parse(text, request=True).statements == ()


@pytest.fixture(scope="module")
def joints() -> torch.Tensor:
    """(N, 32, 3): two poses of every twelfth concept."""
    poses = torch.cat([torch.from_numpy(sample_poses(each.spec, 2, seed=3)) for each in load_concepts()[::12]])
    return load_body().points(poses)


def test_captions_are_read_as_requests_as_they_are_read_as_captions(joints):
    for made in caption(joints[:, :22], seed=4):
        assert set(parse(made.text, request=True).posecodes) == set(made.posecodes), made.text


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("bcdfghjklmnpqrstvwxz", min_size=5, max_size=9), min_size=1, max_size=4))
def test_words_that_are_not_understood_doubt_nothing(unknown):
    assume(list(corrected(unknown)) == unknown)  # a slip of a word that is known is no unknown word
    strange = " ".join(unknown)
    for text in (
        f"{strange} the left knee is bent",
        f"the left knee is bent {strange}",
        f"a {strange} bends the left knee",
    ):
        assert parse(text, request=True).posecodes == ("left_knee.bent",)
        assert parse(text).posecodes == ()


@settings(max_examples=100, deadline=None)
@given(st.text() | st.lists(st.sampled_from(PUZZLING)).map(" ".join))
def test_any_request_can_be_read(text):
    assert 0 <= parse(text, request=True).recognised <= 1


def test_the_contrary_of_a_posecode_never_holds_with_it(joints):
    told = [(code, other) for code in load_posecodes() if (other := contrary(said_loosely(code)))]
    assert len(told) > 150
    holds = satisfied([code.check for code, _ in told], joints)
    other = satisfied([fact.check for _, fact in told], joints)
    assert {code.id for (code, _), both in zip(told, (holds & other).any(dim=0).tolist(), strict=True) if both} == set()


@pytest.mark.parametrize(
    ("check", "contrary"),
    [
        ("angle(left_knee) < 110", "angle(left_knee) >= 110"),
        ("y(left_wrist) > 1 and lean() < 60", "y(left_wrist) <= 1"),
        ("y(left_wrist) > 1 or y(right_wrist) > 1", "y(left_wrist) <= 1 and y(right_wrist) <= 1"),
    ],
)
def test_who_denies_a_check_denies_its_gist(check, contrary):
    assert denied(check) == contrary


@pytest.mark.parametrize("check", ["80 < angle(left_knee) < 110", "either_side(angle(left_knee) < 110)", "angle("])
def test_of_a_range_and_of_either_side_there_is_no_contrary(check):
    with pytest.raises(UserError):
        denied(check)


def test_prompts_are_read_as_requests_and_answers_strictly():
    text = "the gnome's left knee is bent"
    assert stated_checks(text) == ()
    assert stated_checks(text, request=True) == said(text).checks == ("angle(left_knee) < 135",)
    assert said("a pose", text).checks == ()
