"""The benchmark wordings as data."""

from collections import Counter

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.everyday import is_everyday_prompt, words
from pose_rft.data.wordings import CATEGORIES, is_wording_prompt, wording_prompts
from pose_rft.errors import UserError
from pose_rft.posescript.checks import mirrored, satisfied

PROMPTS = wording_prompts("all")


def test_each_category_has_25_prompts_for_choosing_settings_and_50_that_are_reported() -> None:
    for split, size in (("dev", 25), ("test", 50)):
        assert Counter(sample.category for sample in wording_prompts(split)) == dict.fromkeys(CATEGORIES, size)


def test_no_prompt_occurs_twice_or_in_everyday_prompts() -> None:
    assert len({words(sample.prompt) for sample in PROMPTS}) == len(PROMPTS)
    assert [sample.prompt for sample in PROMPTS if is_everyday_prompt(sample.prompt)] == []


def test_every_check_compiles_and_can_be_mirrored() -> None:
    for sample in PROMPTS:
        assert sample.checks, sample.prompt
        for check in sample.checks:
            mirrored(check)


def test_long_prompts_have_40_to_120_words() -> None:
    for sample in wording_prompts("all", "long"):
        assert 40 <= len(sample.prompt.split()) <= 120, sample.prompt


def test_hardly_any_prompt_is_answered_by_the_rest_pose() -> None:
    rest = load_body().joints(torch.zeros(1, 22, 3))
    assert sum(bool(satisfied(sample.checks, rest).all()) for sample in PROMPTS) < 0.07 * len(PROMPTS)


def test_one_category_can_be_had_alone_and_an_unknown_one_is_named() -> None:
    assert {sample.category for sample in wording_prompts("test", "typos")} == {"typos"}
    with pytest.raises(UserError, match="spelling"):
        wording_prompts(category="spelling")
    with pytest.raises(UserError, match="validation"):
        wording_prompts("validation")  # type: ignore[arg-type]


def test_a_leak_is_found_whatever_its_case_and_punctuation() -> None:
    assert all(is_wording_prompt(sample.prompt.upper() + "!") for sample in PROMPTS)
    assert not is_wording_prompt("a purple cow")
