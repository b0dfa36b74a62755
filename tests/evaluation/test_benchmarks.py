"""Benchmarks asked of policies whose answers are known."""

import json
import math
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.evaluation.benchmarks import (
    evaluate,
    evaluate_samples,
    list_benchmarks,
    load_benchmark,
    results_table,
    save_result,
)

REST = torch.zeros(22, 3)
ARM_DOWN = REST.clone()
ARM_DOWN[16, 2] = -math.pi / 2
SAMPLES = [
    Sample("left arm down", "", checks=("angle(left_shoulder) < 20",), category="arms"),
    Sample("arms level", "", checks=("angle(left_shoulder) > 70", "angle(right_shoulder) > 70")),
]


def test_mean_pose_and_samples_are_asked_for_and_graded_apart(fake_policy: Any) -> None:
    policy = fake_policy(lambda prompt, sample, temperature: ARM_DOWN if temperature == 0 else REST)
    result = evaluate_samples(SAMPLES, policy, num_samples=3, temperature=0.7, seed=5)
    assert [call[1:] for call in policy.calls] == [(1, 0.0, 5), (3, 0.7, 5)]
    assert result["mean_pose"]["satisfaction"]["mean"] == 0.75  # 1 and 1/2
    assert result["sampled"]["satisfaction"]["mean"] == 0.5  # 0 and 1
    assert result["references"]["rest pose"]["satisfaction"]["mean"] == 0.5
    arms = result["categories"]["arms"]
    assert arms["prompts"] == 1
    assert {way: found["mean"] for way, found in arms["kept"].items()} == {
        "mean_pose": 1,
        "sampled": 0,
        "rest pose": 0,
    }


def test_batches_change_neither_order_nor_number_of_rows(fake_policy: Any) -> None:
    policy = fake_policy(lambda prompt, sample, temperature: ARM_DOWN if "down" in prompt else REST)
    result = evaluate_samples(SAMPLES, policy, num_samples=1, batch_size=1)
    assert [row["prompt"] for row in result["rows"]] == ["left arm down", "arms level"]
    assert result["mean_pose"]["kept"]["mean"] == 1.0


def test_a_policy_that_never_poses_gets_zero_and_not_an_error(fake_policy: Any) -> None:
    result = evaluate_samples(SAMPLES, fake_policy(lambda *_: None), reference=REST[None], num_samples=2)
    assert result["sampled"]["satisfaction"]["mean"] == 0
    assert result["sampled"]["valid"]["mean"] == 0
    assert "nearest_mm" not in result["sampled"]
    json.dumps(result, allow_nan=False)


def test_real_poses_add_a_reference_row_and_naturalness(fake_policy: Any) -> None:
    reference = torch.stack([REST, ARM_DOWN])
    result = evaluate_samples(SAMPLES, fake_policy(lambda *_: REST), reference=reference, num_samples=1)
    assert result["mean_pose"]["nearest_mm"]["mean"] == pytest.approx(0, abs=1e-3)
    # Half of the random poses are the rest pose (0 and 1 of the checks), half hang the arm (1 and 1/2): 5/8.
    assert result["references"]["random real poses"]["satisfaction"]["mean"] == pytest.approx(5 / 8, abs=0.1)


def test_everyday_prompts_reports_the_test_split(fake_policy: Any) -> None:
    asked, _ = load_benchmark("everyday-prompts")
    assert len(asked) == 153
    assert len({sample.category for sample in asked}) >= 10
    result = evaluate("everyday-prompts", fake_policy(lambda *_: REST), num_samples=1, limit=10)
    assert list(result["categories"]) == list(dict.fromkeys(sample.category for sample in asked[:10]))
    assert result["mean_pose"]["satisfaction"] == result["references"]["rest pose"]["satisfaction"]


def test_wordings_come_with_what_is_right_in_each_category_first(fake_policy: Any) -> None:
    result = evaluate("wordings", fake_policy(lambda *_: REST), split="dev", num_samples=1)
    assert result["prompts"] == 175
    assert [found["prompts"] for found in result["categories"].values()] == [25] * 7
    labels = [str(cell) for cell in results_table(result).columns[0].cells]
    assert labels[0] == "kept: negation"
    assert labels[6:8] == ["kept: long", "kept"]


def test_a_limit_asks_the_first_prompts(fake_policy: Any) -> None:
    policy = fake_policy(lambda *_: REST)
    assert evaluate("everyday-prompts", policy, limit=2, num_samples=1)["prompts"] == 2
    with pytest.raises(UserError, match="limit"):
        evaluate("everyday-prompts", policy, limit=0)


def test_an_unknown_benchmark_is_answered_with_the_list(fake_policy: Any) -> None:
    with pytest.raises(
        UserError, match="everyday-prompts, canonical, wordings, speculative-poses, captions, foreign-captions"
    ):
        evaluate("yesterday-prompts", fake_policy(lambda *_: REST))
    assert [benchmark["name"] for benchmark in list_benchmarks()] == [
        "everyday-prompts",
        "canonical",
        "wordings",
        "speculative-poses",
        "captions",
        "foreign-captions",
        "renders",
        "reasoned-poses",
        "requests",
        "general",
        "edits",
        "describe",
        "compare",
    ]


def test_the_terminal_table_shows_what_was_measured_with_its_interval(fake_policy: Any) -> None:
    policy = fake_policy(lambda *_: REST)
    result = evaluate_samples(SAMPLES, policy, reference=ARM_DOWN[None], num_samples=1, temperature=0.7)
    console = Console(file=StringIO(), width=160)
    console.print(results_table(result))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "judged: 2 prompts, samples at temperature 0.7," in text
    assert "satisfaction" in text
    assert "50.0 % (0.0 to 100.0)" in text  # two prompts, one met: a bootstrap draws 0, 1/2 or 1
    assert "random real poses" in text
    assert "mpjpe_mm" not in text


def test_a_result_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    save_result({"score": 1}, path)
    with pytest.raises(ValueError, match="JSON"):
        save_result({"score": math.nan}, path)
    assert json.loads(path.read_text()) == {"score": 1}
    with pytest.raises(UserError, match="cannot be written"):
        save_result({}, path / "below" / "a-file.json")


def test_a_category_has_no_figure_for_what_none_of_its_prompts_measures(fake_policy: Any, tmp_path: Any) -> None:
    asked = Sample("sit", "", checks=("lean() < 90",), category="typed")
    recorded = Sample("a caption", "", pose=REST.numpy(), category="captions")
    result = evaluate_samples([asked, recorded], fake_policy(lambda *_: REST), num_samples=1)
    assert set(result["categories"]["typed"]) == {"prompts", "satisfaction", "kept"}
    assert set(result["categories"]["captions"]) == {"prompts", "heading_mpjpe_mm"}
    save_result(result, tmp_path / "result.json")
