"""The benchmark everyday-prompts as data."""

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.everyday import everyday_prompts, is_everyday_prompt, words
from pose_rft.errors import UserError
from pose_rft.posescript.checks import mirrored, satisfaction

PROMPTS = everyday_prompts("all")


def test_there_are_at_least_160_prompts_and_none_twice() -> None:
    assert len(PROMPTS) >= 160
    assert len({words(sample.prompt) for sample in PROMPTS}) == len(PROMPTS)


def test_every_prompt_has_two_to_five_checks_that_compile() -> None:
    for sample in PROMPTS:
        assert 2 <= len(sample.checks) <= 5, sample.prompt
        for check in sample.checks:
            mirrored(check)


def test_a_third_is_for_choosing_settings_and_the_rest_is_reported() -> None:
    dev, test = everyday_prompts("dev"), everyday_prompts("test")
    assert len(dev) + len(test) == len(PROMPTS)
    assert len(dev) / len(PROMPTS) == pytest.approx(1 / 3, abs=0.01)
    assert {sample.category for sample in dev} == {sample.category for sample in test}


def test_the_rest_pose_meets_few_checks() -> None:
    rest = load_body().joints(torch.zeros(1, 22, 3))
    met = [satisfaction(sample.checks, rest).item() for sample in PROMPTS]
    assert sum(met) / len(met) < 0.25
    assert [sample.prompt for sample, share in zip(PROMPTS, met, strict=True) if share == 1] == [
        "make a big T with your body"
    ]


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(UserError, match="validation"):
        everyday_prompts("validation")  # type: ignore[arg-type]


def test_a_leak_is_found_whatever_its_case_punctuation_and_articles() -> None:
    assert is_everyday_prompt("Hands on the hips!")
    assert is_everyday_prompt("hands, on hips")
    assert not is_everyday_prompt("a purple cow")
    assert not is_everyday_prompt("hands on knees")
