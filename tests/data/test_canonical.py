"""The benchmark canonical as data: what it asks, that it can be answered, and that no training says its words."""

import re
from functools import cache

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.canonical import canonical_poses, canonical_prompts, is_canonical_prompt
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.everyday import everyday_prompts, words
from pose_rft.errors import UserError
from pose_rft.posescript.checks import mirrored, satisfied

PROMPTS = canonical_prompts("all")


@cache
def training_phrases() -> set[str]:
    """The phrases of the concept bank."""
    return {phrase for c in load_concepts() for phrases in (c.doing, c.name, c.who, c.with_) for phrase in phrases}


def in_words(text: str) -> str:
    """Without case and punctuation, but with articles."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def test_there_are_at_least_240_prompts_and_none_twice() -> None:
    assert len(PROMPTS) >= 240
    assert len({words(sample.prompt) for sample in PROMPTS}) == len(PROMPTS)


def test_at_least_160_are_reported_and_a_quarter_to_a_third_is_for_choosing_settings() -> None:
    dev, test = canonical_prompts("dev"), canonical_prompts("test")
    assert len(dev) + len(test) == len(PROMPTS)
    assert len(test) >= 160
    assert 0.25 <= len(dev) / len(PROMPTS) <= 1 / 3


def test_more_than_half_of_either_split_describe_a_pose_without_its_name() -> None:
    for split in ("dev", "test"):
        described, every = canonical_prompts(split, "described"), canonical_prompts(split)
        assert 0.5 < len(described) / len(every) < 0.6
        assert len(described) + len(canonical_prompts(split, "named")) == len(every)


def test_every_check_compiles_and_none_stands_twice_in_a_prompt() -> None:
    for sample in PROMPTS:
        assert len(sample.checks) >= 4, sample.prompt
        assert len(set(sample.checks)) == len(sample.checks), sample.prompt
        for check in sample.checks:
            mirrored(check)


def test_every_prompt_has_a_pose_that_meets_all_of_its_checks() -> None:
    poses = canonical_poses()
    assert list(poses) == [sample.prompt for sample in PROMPTS]
    for sample in PROMPTS:
        points = load_body().points(torch.from_numpy(poses[sample.prompt])[None])
        met = satisfied(sample.checks, points)[0]
        assert met.all(), (sample.prompt, [c for c, holds in zip(sample.checks, met, strict=True) if not holds])


def test_the_rest_pose_answers_only_those_prompts_that_ask_for_a_t_pose() -> None:
    rest = load_body().points(torch.zeros(1, 22, 3))
    met = [sample.prompt for sample in PROMPTS if satisfied(sample.checks, rest).all()]
    assert met == ["T-pose", "Christ the Redeemer statue", "lateral raise", "Titanic bow pose, arms spread"]


def test_no_prompt_holds_a_training_phrase_of_four_words_or_more() -> None:
    for said in (in_words, words):  # with articles and without
        trained = {said(phrase) for phrase in training_phrases()}
        for sample in PROMPTS:
            spoken = said(sample.prompt).split()
            runs = [" ".join(spoken[a:b]) for b in range(len(spoken) + 1) for a in range(b - 3)]
            assert trained.isdisjoint(runs), sample.prompt


def test_only_names_are_training_phrases_and_no_other_benchmark_asks_the_same() -> None:
    trained, everyday = ({words(text) for text in texts} for texts in (training_phrases(), _everyday()))
    for sample in PROMPTS:
        assert sample.category == "named" or words(sample.prompt) not in trained, sample.prompt
        assert words(sample.prompt) not in everyday, sample.prompt


def _everyday() -> list[str]:
    return [sample.prompt for sample in everyday_prompts("all")]


def test_unknown_splits_and_kinds_are_named() -> None:
    with pytest.raises(UserError, match="validation"):
        canonical_prompts("validation")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="famous"):
        canonical_prompts("test", "famous")  # type: ignore[arg-type]


def test_a_leak_is_found_whatever_its_case_punctuation_and_articles() -> None:
    assert is_canonical_prompt("The T-Pose!")
    assert is_canonical_prompt("a dab")
    assert not is_canonical_prompt("a purple cow")
