"""The benchmarks describe and compare."""

import pytest
import torch

from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.data.canonical import canonical_poses
from pose_rft.errors import UserError
from pose_rft.evaluation.benchmarks import evaluate, list_benchmarks
from pose_rft.evaluation.word_benchmarks import compare_figures, describe_figures, question_figures
from pose_rft.retrieval.model import RetrievalModel


@pytest.fixture(scope="module")
def poses():
    """(40, 22, 3) poses that people name."""
    return torch.stack([torch.from_numpy(pose) for pose in list(canonical_poses().values())[:40]])


def test_descriptions_are_true_find_facts_and_tell_their_pose(poses):
    table = describe_figures(poses, RetrievalModel.load("judge"))
    assert list(table) == ["short", "medium", "full"]
    for figures in table.values():
        assert figures["true"] == 1
        assert figures["first"] > 5 / 32  # by chance 1 in 32
    assert table["short"]["statements"] < table["full"]["statements"]
    assert table["short"]["found"] < table["full"]["found"] < 1


def test_questions_are_answered_rightly(poses):
    figures = question_figures(poses)
    assert figures["asked"] > 20
    assert figures["answered"] > 0.9
    assert figures["right"] > 0.95


def test_what_changed_is_true_and_what_was_tried_leads_no_worse():
    bent = torch.zeros(2, 22, 3)
    bent[1, JOINT_INDEX["left_elbow"], 1] = -1.5
    table = compare_figures(bent)
    assert list(table) == ["near, drawn", "near, tried", "far, drawn", "far, tried"]
    for figures in table.values():
        assert figures["statements"] > 0
        assert figures["true"] == 1
    assert table["near, tried"]["towards"] >= table["near, drawn"]["towards"]
    assert table["near, tried"]["towards"] == 1


def test_the_benchmarks_are_listed_and_others_want_a_policy():
    assert {"describe", "compare"} <= {each["name"] for each in list_benchmarks()}
    with pytest.raises(UserError, match="canonical: asks a policy"):
        evaluate("canonical", None)
