"""The benchmark everyday-prompts as data."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.everyday import everyday_prompts, is_everyday_prompt, words
from pose_rft.errors import UserError
from pose_rft.posescript.checks import mirrored, satisfaction, satisfied

PROMPTS = everyday_prompts("all")


def test_there_are_at_least_160_prompts_and_none_twice() -> None:
    assert len(PROMPTS) >= 160
    assert len({words(sample.prompt) for sample in PROMPTS}) == len(PROMPTS)


def test_every_prompt_has_three_to_eight_checks_that_compile() -> None:
    for sample in PROMPTS:
        assert 3 <= len(sample.checks) <= 8, sample.prompt
        for check in sample.checks:
            mirrored(check)


def test_a_third_is_for_choosing_settings_and_the_rest_is_reported() -> None:
    dev, test = everyday_prompts("dev"), everyday_prompts("test")
    assert len(dev) + len(test) == len(PROMPTS)
    assert len(dev) / len(PROMPTS) == pytest.approx(1 / 3, abs=0.01)
    assert {sample.category for sample in dev} == {sample.category for sample in test}


def test_the_rest_pose_meets_few_checks() -> None:
    rest = load_body().points(torch.zeros(1, 22, 3))
    met = [satisfaction(sample.checks, rest).item() for sample in PROMPTS]
    assert sum(met) / len(met) < 0.6  # its head, soles and balance are right
    assert [sample.prompt for sample, share in zip(PROMPTS, met, strict=True) if share == 1] == [
        "make a big T with your body"
    ]


def test_checks_look_at_what_people_see_first() -> None:
    def share(*quantities: str) -> float:
        return sum(any(q in " ".join(s.checks) for q in quantities) for s in PROMPTS) / len(PROMPTS)

    assert share("nod()", "gaze()", "height(face)", "height(head)") > 0.95
    assert share("overlap()") > 0.95
    assert share("support()") > 0.6
    assert share("sole(", "height(left_toes)") > 0.6
    assert share("gap(") > 0.3


def test_for_every_prompt_a_pose_is_known_that_meets_all_of_its_checks() -> None:
    with np.load(Path(__file__).parent / "everyday_poses.npz", allow_pickle=False) as file:
        poses = dict(zip(file["prompt"].tolist(), torch.from_numpy(file["pose"]).float(), strict=True))
    points = load_body().points(torch.stack([poses[sample.prompt] for sample in PROMPTS]))
    assert [s.prompt for s, p in zip(PROMPTS, points, strict=True) if not satisfied(s.checks, p).all()] == []


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(UserError, match="validation"):
        everyday_prompts("validation")  # type: ignore[arg-type]


def test_a_leak_is_found_whatever_its_case_punctuation_and_articles() -> None:
    assert is_everyday_prompt("Hands on the hips!")
    assert is_everyday_prompt("hands, on hips")
    assert not is_everyday_prompt("a purple cow")
    assert not is_everyday_prompt("hands on knees")
