"""The semantic reward asks the retrieval model, and never a judge."""

import pytest
import torch

from pose_rft.errors import UserError
from pose_rft.retrieval.model import RetrievalModel, RetrievalSettings
from pose_rft.rewards import PoseBatch
from pose_rft.rewards.semantic import semantic_alignment
from pose_rft.rewards.spec import RewardSpec, resolve
from tests.rewards.rest_pose import rest_poses


def saved(path, role="reward"):
    torch.manual_seed(0)
    model = RetrievalModel(RetrievalSettings(role=role, width=16, pose_width=16, buckets=32), ["arms", "up"])
    return str(model.save(path / f"{role}.safetensors"))


def test_the_grade_is_the_cosine_of_prompt_and_pose(tmp_path):
    path = saved(tmp_path)
    poses = rest_poses(3)
    axis_angle = torch.randn(3, 22, 3, generator=torch.Generator().manual_seed(1)) * 0.5
    poses = PoseBatch(poses.points, axis_angle, torch.tensor([True, False, True]))
    prompts = ["arms up", "arms up", "arms down"]
    grades = semantic_alignment(prompts, ["a"] * 3, poses, model=path)
    expected = RetrievalModel.load(path).score(prompts, axis_angle)
    assert grades[1] is None
    assert [grades[0], grades[2]] == pytest.approx([expected[0].item(), expected[2].item()], abs=1e-5)


def test_a_judge_is_refused(tmp_path):
    path = saved(tmp_path, role="judge")
    with pytest.raises(UserError, match="is a judge"):
        semantic_alignment(["q"], ["a"], rest_poses(1), model=path)


def test_an_unknown_model_is_named():
    with pytest.raises(UserError, match="no retrieval model 'nowhere'"):
        semantic_alignment(["q"], ["a"], rest_poses(1), model="nowhere")


def test_a_missing_model_is_told_before_the_run():
    with pytest.raises(UserError, match="nowhere"):
        resolve(RewardSpec("semantic", options={"model": "nowhere"}))
