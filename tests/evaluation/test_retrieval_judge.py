"""The judge grades answers as sets, and nobody else may."""

import json
import math
from typing import Any

import pytest
import torch

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.evaluation.benchmarks import evaluate_samples, results_table
from pose_rft.evaluation.retrieval_judge import judge_answers, judge_scores
from pose_rft.retrieval.model import RetrievalModel, RetrievalSettings


class Literally(RetrievalModel):
    """A judge for tests: a text is the number of a joint, and a pose is the direction of that joint's turn."""

    def __init__(self) -> None:
        super().__init__(RetrievalSettings(role="judge", width=8, heads=2, pose_width=8, pose_blocks=1), ["a"])

    def embed_text(self, texts: Any, batch_size: int = 0) -> torch.Tensor:
        return torch.stack([torch.eye(8)[int(text)] for text in texts])

    def embed_pose(self, axis_angle: torch.Tensor, batch_size: int = 0) -> torch.Tensor:
        return torch.nn.functional.normalize(axis_angle[:, 1:9, 0] + 1e-9, dim=-1)


def pose_of(number: int) -> torch.Tensor:
    pose = torch.zeros(22, 3)
    pose[1 + number, 0] = 1.0
    return pose


PROMPTS = [str(number) for number in range(8)]
RIGHT = torch.stack([pose_of(number) for number in range(8)]).unsqueeze(1)  # (8, 1, 22, 3)


def test_right_answers_are_all_found_and_score_one():
    figures = judge_answers(Literally(), PROMPTS, RIGHT, RIGHT[:, 0])
    assert figures["mean_recall"]["mean"] == 1
    assert figures["fid_judge"] == pytest.approx(0, abs=1e-6)
    assert figures["fid_joints_cm2"] == pytest.approx(0, abs=1e-4)
    assert figures["diversity_judge"] == pytest.approx(math.sqrt(2), abs=1e-5)  # any two are orthogonal
    assert judge_scores(Literally(), PROMPTS, RIGHT).flatten().tolist() == pytest.approx([1.0] * 8, abs=1e-5)


def test_answers_to_each_other_s_prompts_are_not():
    figures = judge_answers(Literally(), PROMPTS, RIGHT.roll(1, dims=0), RIGHT[:, 0])
    assert figures["text_to_pose/recall@1"]["mean"] == 0
    assert figures["fid_judge"] == pytest.approx(0, abs=1e-6)  # the set is the same, and that is all it looks at


def test_several_samples_are_averaged():
    both = torch.cat([RIGHT, RIGHT.roll(1, dims=0)], dim=1)
    figures = judge_answers(Literally(), PROMPTS, both)
    assert figures["text_to_pose/recall@1"]["mean"] == 0.5
    assert "fid_judge" not in figures


def test_answers_without_a_pose_are_neither_found_nor_an_error():
    some = RIGHT.clone()
    some[:2] = math.nan
    figures = judge_answers(Literally(), PROMPTS, some, RIGHT[:, 0])
    assert figures["text_to_pose/recall@10"]["mean"] == 6 / 8
    none = judge_answers(Literally(), PROMPTS, torch.full_like(RIGHT, math.nan), RIGHT[:, 0])
    assert none["mean_recall"]["mean"] == 0
    assert none["fid_judge"] is none["fid_joints_cm2"] is none["diversity_judge"] is None
    assert judge_scores(Literally(), PROMPTS, torch.full_like(RIGHT, math.nan)).isnan().all()


def test_a_benchmark_s_result_holds_the_judge_s_figures_and_the_table_shows_them(fake_policy: Any) -> None:
    samples = [Sample(prompt, "", pose=pose_of(int(prompt)).numpy()) for prompt in PROMPTS]
    policy = fake_policy(lambda prompt, *_: pose_of(int(prompt)))
    result = evaluate_samples(samples, policy, num_samples=2, reference=RIGHT[:, 0], retrieval=Literally())
    json.dumps(result, allow_nan=False)
    assert result["mean_pose"]["judge_score"]["mean"] == pytest.approx(1, abs=1e-5)
    assert set(result["judge"]) == {"mean_pose", "sampled", "rest pose", "random real poses", "recorded poses"}
    assert result["judge"]["sampled"]["mean_recall"]["mean"] == 1
    table = results_table(result)
    rows = dict(zip(table.columns[0].cells, table.columns[1].cells, strict=True))
    assert rows["judge: mean_recall"] == "100.0 % (100.0 to 100.0)"
    assert rows["judge_score"] == "1.000 (1.000 to 1.000)"
    assert "fid_judge" in rows


def test_without_a_judge_nothing_changes(fake_policy: Any) -> None:
    result = evaluate_samples(
        [Sample("0", "", pose=pose_of(0).numpy())], fake_policy(lambda *_: pose_of(0)), num_samples=1
    )
    assert "judge" not in result
    assert "judge_score" not in result["mean_pose"]


def test_a_model_that_rewards_must_not_grade(fake_policy: Any) -> None:
    reward = RetrievalModel(RetrievalSettings(width=8, heads=2, pose_width=8, pose_blocks=1), ["a"])
    with pytest.raises(UserError, match="must not grade answers"):
        evaluate_samples([], fake_policy(lambda *_: None), retrieval=reward)
