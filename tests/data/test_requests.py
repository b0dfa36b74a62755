"""Requests for more than a pose, for less, and for what no pose tells, on the worked examples of the concept bank."""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.concepts.concept import has_side, load_concepts
from pose_rft.data.concepts.pools import ConceptPools
from pose_rft.data.mixtures import requests
from pose_rft.data.mixtures.follow_ups import LEFT_OPEN, about_shown, askable, question_about, truths
from pose_rft.data.mixtures.text_to_pose import MixtureConfig, text_to_pose_mixture
from pose_rft.data.sample import Sample
from pose_rft.data.stated import stated_checks
from pose_rft.posescript.captions import Caption
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.outline import outline_of_facts
from pose_rft.posescript.parsing import parse
from pose_rft.rewards.format import keeps_format

pytestmark = pytest.mark.usefixtures("examples_only")

ALONE = dict.fromkeys(
    ("captions_procedural", "captions_mocap", "phrases", "compositions", "wordings", "clips", "chat"), 0.0
)
FACTS = [
    (name, kind, fact) for name, entry in requests.FACTS.items() for kind, fact in entry.items() if kind != "called"
]
OUTLINES = (
    "The left hand is on the left hip, both legs are straight",
    "The person is squatting, both arms are stretched out in front",
)


@cache
def samples() -> tuple[Sample, ...]:
    return tuple(text_to_pose_mixture(400, 0, MixtureConfig(**ALONE, requests=1.0, concept_poses=8)))


def of_kind(kind: str) -> list[Sample]:
    return [sample for sample in samples() if sample.source.split(":")[1] == kind]


def said(*facts: str) -> Caption:
    outline = outline_of_facts(facts)
    assert outline is not None
    return outline


def test_the_four_kinds_come_about_evenly_and_only_where_asked_for() -> None:
    share = Counter(sample.source.split(":")[1] for sample in samples())
    assert share.keys() == {"mixed", "words", "shown", "unseen"}
    assert all(count == pytest.approx(100, abs=45) for count in share.values())  # five standard deviations
    usual = text_to_pose_mixture(200, 0, MixtureConfig(concept_poses=8))
    assert not any(sample.source.startswith("request") for sample in usual)


def test_answers_keep_the_format_and_hold_a_pose_only_where_one_was_asked_for() -> None:
    for sample in samples():
        wants_pose = sample.source.startswith("request:mixed")
        assert (sample.pose is not None) == wants_pose
        assert (sample.task == "chat") != wants_pose
        assert keeps_format(sample.answer, wants_pose)
        assert "{" not in sample.prompt + sample.answer


def test_the_same_seed_gives_the_same_requests() -> None:
    config = MixtureConfig(**ALONE, requests=1.0, concept_poses=8)
    once, again, other = (text_to_pose_mixture(20, seed, config) for seed in (3, 3, 4))
    assert [s.prompt for s in once] == [s.prompt for s in again] != [s.prompt for s in other]


# ---- a pose and a fact ----


def test_facts_are_about_concepts_of_the_bank_and_of_kinds_that_are_asked_for() -> None:
    known = {concept.id for concept in load_concepts()}
    assert len(requests.FACTS) >= 90
    assert requests.FACTS.keys() <= known
    assert {kind for _, kind, _ in FACTS} == requests.TABLE["kinds"].keys()
    assert not any(has_side(name) for entry in requests.FACTS.values() for name in entry["called"])


@pytest.mark.parametrize(("name", "kind", "fact"), FACTS, ids=lambda text: text[:20])
def test_a_fact_states_nothing_of_the_pose(name: str, kind: str, fact: str) -> None:
    assert keeps_format(fact, wants_pose=False)
    assert not stated_checks(fact)
    for outline in OUTLINES:
        assert stated_checks(f"{outline}: <POSE>. {fact}") == stated_checks(f"{outline}: <POSE>.") != ()


def test_mixed_answers_show_the_pose_first_and_say_what_is_true_of_it() -> None:
    facts = {fact for _, _, fact in FACTS}
    drawn = of_kind("mixed")
    told = [sample.answer.partition("<POSE>.")[2].strip() for sample in drawn]
    assert {fact for fact in told if fact} <= facts
    assert 0 < np.mean([not fact for fact in told]) < 0.3  # "and nothing else"
    for sample in drawn:
        assert sample.pose is not None
        points = load_body().points(torch.from_numpy(sample.pose)[None])
        assert satisfied(stated_checks(sample.answer), points).float().mean() >= 0.75
        assert satisfied(sample.checks, points).all()


def test_a_twin_shares_what_does_not_hang_on_the_name() -> None:
    tree, twin = (next(c for c in load_concepts() if c.id == name) for name in ("tree_pose", "tree_pose~mirrored"))
    assert "sanskrit" in requests.facts_of(tree)
    assert requests.facts_of(twin).keys() <= requests.OF_THE_BODY


# ---- words and no pose ----


def test_a_twin_that_descriptions_alone_speak_of_is_not_wished_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = ConceptPools(8, 0)
    first = pools.concepts[0]
    described = replace(first, id=f"{first.id}~mirrored", doing=(), name=(), who=(), with_=(), told=("like that",))
    monkeypatch.setitem(requests.FACTS, first.id, {"called": ["that"], "muscles": "The legs work."})
    monkeypatch.setattr(pools, "concepts", [described])
    monkeypatch.setattr(pools, "weights", np.ones(1))
    assert requests.facts_of(described)
    assert requests.draw_mixed(pools, np.random.default_rng(0)) is None


def test_words_alone_say_what_the_body_does_or_a_fact() -> None:
    facts = {fact for _, _, fact in FACTS}
    drawn = of_kind("words")
    assert any(sample.answer in facts for sample in drawn)
    assert all(sample.answer in facts or stated_checks(sample.answer) for sample in drawn)


# ---- about the pose that was shown ----


def test_what_is_asked_is_read_back_as_what_is_meant() -> None:
    for asked in askable():
        assert set(parse(f"{asked.noun} {asked.verb} {asked.be}.").posecodes) == set(asked.ids)


def test_the_prompt_holds_what_was_said() -> None:
    assert about_shown("Both legs are straight:", "Is the left knee bent?") == (
        "You showed this pose: Both legs are straight. Is the left knee bent?"
    )
    assert all(sample.prompt.startswith("You showed this pose: ") for sample in of_kind("shown"))


def test_truth_is_decided_by_what_was_said() -> None:
    found = truths(said("left_hand.on_hip", "left_knee.straight", "right_knee.straight").posecodes)
    ids = {truth: {asked.ids for asked in found[truth]} for truth in found}
    assert ("left_hand.on_hip",) in ids["yes"]
    assert ("left_knee.straight", "right_knee.straight") in ids["yes"]
    assert ("left_knee.bent",) in ids["no"]
    assert ("left_elbow.straight",) in ids["no"]
    assert ("right_elbow.bent",) in ids["open"]
    assert not ids["yes"] & ids["no"]
    assert not ids["yes"] & ids["open"]


def test_answers_say_what_was_said_and_nothing_else() -> None:
    outline = said("left_hand.on_hip", "right_knee.fully_bent", "left_knee.fully_bent")
    rng = np.random.default_rng(0)
    answers = Counter(
        answer.split()[0] for _, answer in filter(None, (question_about(outline, rng) for _ in range(300)))
    )
    assert {"Yes,", "No,", "I", "Both", "The"} <= answers.keys()
    for question, answer in filter(None, (question_about(outline, rng) for _ in range(300))):
        if answer == LEFT_OPEN:
            continue
        stated = set(parse(answer.removeprefix("Yes, ").removeprefix("No, ").removeprefix("Neither: ")).posecodes)
        assert stated, (question, answer)
        known = {*outline.posecodes, "left_knee.bent", "right_knee.bent"}  # sharply bent is bent
        assert stated <= known, (question, answer)


# ---- what no pose tells ----


def test_what_no_pose_tells_is_answered_with_what_is_known() -> None:
    assert all(sample.answer in requests.TABLE["unseen"] for sample in of_kind("unseen"))
    assert not any(stated_checks(answer) for answer in requests.TABLE["unseen"])
