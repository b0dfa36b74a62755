"""The benchmark reasoned-poses."""

from typing import Any

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.speculative import speculative_poses, speculative_prompts
from pose_rft.errors import UserError
from pose_rft.evaluation.benchmarks import evaluate
from pose_rft.evaluation.reasoning_benchmark import QUESTION, SIZE, TABLE, people_baselines, reasoned_poses
from pose_rft.posescript.checks import satisfied
from pose_rft.storage import package_table

ROWS = package_table("pose_rft.evaluation", TABLE)


def test_who_stands_beside_does_not_do_what_is_said() -> None:
    poses, prompts = speculative_poses(), {sample.prompt: sample for sample in speculative_prompts("all")}
    points = load_body().points(torch.from_numpy(np.stack([poses[row["beside"]] for row in ROWS])))
    answers = [satisfied(prompts[row["text"]].checks, p).all() for row, p in zip(ROWS, points, strict=True)]
    assert not any(answers)


def test_nearly_every_prompt_has_a_picture_and_both_sides_are_meant() -> None:
    assert len({row["text"] for row in ROWS}) == len(ROWS) >= 60
    assert {row["text"] for row in ROWS} <= {sample.prompt for sample in speculative_prompts("all")}
    assert 0.3 < np.mean([row["place"] for row in ROWS]) < 0.7


def test_the_question_does_not_say_where_the_person_is_and_the_pose_is_in_the_pictures_frame() -> None:
    sample = reasoned_poses("dev", 1)[0]
    told = next(each for each in speculative_prompts("dev") if QUESTION.format(each.prompt) == sample.prompt)
    assert sample.image.size == (SIZE, SIZE)
    assert sample.category == told.category
    upright = torch.from_numpy(speculative_poses()[told.prompt])
    assert torch.equal(torch.from_numpy(sample.pose[1:]), upright[1:])  # the camera turns the root alone
    assert not np.allclose(sample.pose[0], upright[0])


def test_the_pose_of_the_right_person_is_told_from_that_of_the_other(fake_policy: Any) -> None:
    right = {sample.prompt: torch.from_numpy(sample.pose) for sample in reasoned_poses("dev", 2)}
    result = evaluate(
        "reasoned-poses", fake_policy(lambda prompt, *_: right[prompt]), split="dev", limit=2, num_samples=1
    )
    assert result["mean_pose"]["mpjpe_mm"]["mean"] == pytest.approx(0, abs=1e-3)
    other, either = (result["references"][name]["mpjpe_mm"]["mean"] for name in ("the other person", "either person"))
    assert other > 100
    assert either == pytest.approx(other / 2, rel=1e-4)
    assert "best_of" not in result  # pictures


def test_baselines_are_the_people_of_the_picture() -> None:
    samples, baselines = reasoned_poses("dev", 2), people_baselines("dev", 2)
    for sample, other, both in zip(samples, baselines["the other person"], baselines["either person"], strict=True):
        asked = torch.from_numpy(sample.pose)
        assert any(torch.equal(asked, each) for each in both)
        assert any(torch.equal(other[0], each) for each in both)
        assert not torch.equal(asked, other[0])


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(UserError, match="validation"):
        reasoned_poses("validation")  # type: ignore[arg-type]
