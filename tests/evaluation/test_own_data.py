"""A policy judged on one's own data."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from pose_rft.data.photographs import TWO_PEOPLE
from pose_rft.errors import UserError
from pose_rft.evaluation.own_data import evaluate_own_data, judged_samples

REST = np.zeros((22, 3))
BENT = np.zeros((22, 3))
BENT[4, 0] = 1.5  # the left knee


class Standing:
    """Answers everything with the rest pose, and notes what it was asked."""

    def __init__(self):
        self.asked = []

    def generate(self, prompts, images=None, num_samples=1, temperature=1.0, seed=0, *, best_of=None, boxes=None):
        self.asked.append((list(prompts), list(images), boxes))
        answer = SimpleNamespace(text="<POSE>", valid=True, pose=SimpleNamespace(axis_angle=lambda: REST))
        return [[answer] * num_samples for _ in prompts]


@pytest.fixture
def write(tmp_path):
    def make(*lines):
        path = tmp_path / "mine.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)))
        return path

    return make


def test_checks_and_distances_are_measured_on_the_test_lines(write):
    path = write(
        {"prompt": "stand", "pose": REST.tolist(), "checks": ["angle(left_knee) > 160"], "split": "test"},
        {"prompt": "bend", "pose": BENT.tolist(), "checks": ["angle(left_knee) < 120"], "split": "test"},
        {"prompt": "hello", "answer": "Hello.", "split": "test"},
        {"prompt": "learned", "pose": REST.tolist()},
    )
    policy = Standing()
    result = evaluate_own_data(path, policy, num_samples=2, best_of=3)
    assert result["benchmark"] == str(path)
    assert (result["prompts"], result["left_out"]) == (2, 1)
    assert {prompt for prompts, *_ in policy.asked for prompt in prompts} == {"stand", "bend"}
    assert result["mean_pose"]["satisfaction"]["mean"] == 0.5
    assert [row["mean_pose"]["mpjpe_mm"] > 1 for row in result["rows"]] == [False, True]
    assert result["best_of"]["kept"]["mean"] == 0.5
    assert "judge" in result
    json.dumps(result, allow_nan=False)


def test_without_test_lines_all_are_judged_and_without_dev_lines_dev_is_refused(write):
    path = write({"prompt": "a", "pose": REST.tolist()}, {"prompt": "b", "checks": ["lean() < 9"], "split": "train"})
    assert [each.prompt for each in judged_samples(path, "test")[0]] == ["a", "b"]
    with pytest.raises(UserError, match="no line is for dev"):
        judged_samples(path, "dev")


def test_tasks_are_categories_and_the_judge_of_texts_says_nothing_of_photographs(write):
    path = write(
        {"prompt": "a", "pose": REST.tolist(), "checks": ["lean() < 9"]},
        {"prompt": "this man", "image": str(TWO_PEOPLE), "box": [9, 9, 500, 700], "pose": BENT.tolist()},
    )
    policy = Standing()
    result = evaluate_own_data(path, policy, num_samples=1)
    assert [asked[1:] for asked in policy.asked] == [([None, TWO_PEOPLE], [None, (9, 9, 500, 700)])] * 2
    assert {name: found["prompts"] for name, found in result["categories"].items()} == {
        "text_to_pose": 1,
        "image_to_pose": 1,
    }
    assert "judge" not in result
    assert "best_of" not in result


def test_nothing_to_measure_is_said(write):
    with pytest.raises(UserError, match="no line of split test has a pose or checks"):
        evaluate_own_data(write({"prompt": "a", "answer": "b"}), Standing())
    with pytest.raises(UserError, match="line 1: prompt: is missing"):
        evaluate_own_data(write({"answer": "b"}), Standing())
