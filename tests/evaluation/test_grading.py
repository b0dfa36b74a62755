"""Rows and summaries, on poses whose grades can be told by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.distances import mpjpe
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.data.sample import Sample
from pose_rft.evaluation.grading import answered_poses, column, compare, grade_poses, summarise, words_held

REST = torch.zeros(22, 3)
ARM_DOWN = REST.clone()
ARM_DOWN[16, 2] = -math.pi / 2  # the left arm hangs: +x turns to -y
INVALID = torch.full((22, 3), math.nan)
DOWN, LEVEL = "angle(left_shoulder) < 20", "70 < angle(right_shoulder) < 110"


def sample(*checks: str, pose: np.ndarray | None = None) -> Sample:
    return Sample(prompt=" and ".join(checks), answer="", checks=checks, pose=pose)


def test_satisfaction_is_the_share_of_checks_over_all_samples() -> None:
    # Rest meets only LEVEL (1/2), the hanging arm meets both (2/2): (0.5 + 1) / 2.
    (row,) = grade_poses([sample(DOWN, LEVEL)], torch.stack([REST, ARM_DOWN])[None])
    assert row["satisfaction"] == 0.75
    assert row["kept"] == 0.5
    assert row["met"] == [0.5, 1.0]


def test_an_answer_without_a_pose_meets_nothing_and_has_no_distance() -> None:
    (row,) = grade_poses([sample(LEVEL, pose=REST.numpy())], torch.stack([REST, INVALID])[None])
    assert row["satisfaction"] == 0.5
    assert row["valid"] == 0.5
    assert row["mpjpe_mm"] == 0  # of the one valid pose, which is the recorded one
    assert row["diversity_mm"] is None
    (nothing,) = grade_poses([sample(LEVEL, pose=REST.numpy())], INVALID[None, None], REST[None])
    assert (nothing["satisfaction"], nothing["mpjpe_mm"], nothing["nearest_mm"]) == (0, None, None)


def test_checks_of_head_and_soles_are_graded_and_not_met_by_an_answer_without_a_pose() -> None:
    nodding = REST.clone()
    nodding[JOINT_INDEX["head"], 0] = 0.6  # 34 degrees
    checks = ("nod() > 30", "sole(left_ankle) < 5", "support() < 0.05", "overlap() < 0.05")
    (row,) = grade_poses([sample(*checks)], torch.stack([REST, nodding, INVALID, nodding])[None])
    assert row["met"] == [0.5, 0.75, 0.75, 0.75]


def test_distances_are_those_of_the_metrics_in_millimetres() -> None:
    joints = load_body().joints(torch.stack([ARM_DOWN, REST]))
    expected = 1000 * mpjpe(joints[:1], joints[1:]).item()
    (row,) = grade_poses([sample(LEVEL, pose=REST.numpy())], torch.stack([ARM_DOWN, REST])[None], REST[None])
    assert row["mpjpe_mm"] == pytest.approx(expected / 2)
    assert row["best_mpjpe_mm"] == 0
    assert row["diversity_mm"] == pytest.approx(expected)
    assert row["nearest_mm"] == pytest.approx(expected / 2, abs=1e-3)


def test_what_answers_say_is_graded_on_their_own_poses() -> None:
    rest = SimpleNamespace(axis_angle=lambda: np.zeros((22, 3)))
    answers = [
        [SimpleNamespace(text=f"{said}: <POSE>.", valid=True, pose=rest) for said in group]
        for group in (["The arms are spread out like wings", "Both knees are bent"], ["The pose is"] * 2)
    ]
    assert words_held(answers, answered_poses(answers)) == [0.5, None]


def test_a_summary_holds_only_what_was_measured() -> None:
    summary = summarise(grade_poses([sample(LEVEL), sample(DOWN, LEVEL)], torch.stack([REST, REST])[:, None]))
    assert set(summary) == {"satisfaction", "kept", "valid", "checks_met"}
    assert summary["satisfaction"]["mean"] == 0.75  # prompts weigh the same: (1 + 1/2) / 2
    assert summary["checks_met"] == pytest.approx(2 / 3)  # checks weigh the same: two of three


def test_a_missing_value_is_not_a_zero() -> None:
    assert np.isnan(column([{"mpjpe_mm": None}, {}, {"mpjpe_mm": 3.0}], "mpjpe_mm")).tolist() == [True, True, False]


def test_a_comparison_is_paired_by_prompt() -> None:
    before = [{"prompt": "a", "satisfaction": 0.0}, {"prompt": "b", "satisfaction": 0.5}]
    after = [{"prompt": "a", "satisfaction": 0.25}, {"prompt": "b", "satisfaction": 0.75}]
    assert compare(before, after)["satisfaction"] == {"mean": 0.25, "low": 0.25, "high": 0.25, "n": 2}
    with pytest.raises(ValueError, match="different prompts"):
        compare(before, after[::-1])
