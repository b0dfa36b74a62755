"""The benchmark foreign-captions, and the answers that training poses alone give."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pose_rft.body.skeleton import mean_pose
from pose_rft.data import foreign
from pose_rft.data.foreign import DescribedPose, Description
from pose_rft.data.mocap.clips import facing_forward
from pose_rft.data.splits import is_held_out
from pose_rft.errors import UserError
from pose_rft.evaluation.baselines import nearest_poses
from pose_rft.evaluation.benchmarks import evaluate
from pose_rft.retrieval.model import RetrievalModel

HELD_OUT = next(name for name in map(str, range(100)) if is_held_out(name))
TRAINED = next(name for name in map(str, range(100)) if not is_held_out(name))
PROMPT = "somebody with the left arm straight up"


def test_the_average_of_two_opposite_turns_is_none_and_weights_pull_it() -> None:
    poses = torch.zeros(2, 22, 3)
    poses[:, 16, 2] = torch.tensor([0.6, -0.6])
    assert mean_pose(poses).abs().max() < 1e-6
    assert mean_pose(poses, torch.tensor([1.0, 0.0]))[16, 2].item() == pytest.approx(0.6, abs=1e-5)


def test_the_nearest_pose_is_the_one_that_the_retrieval_model_scores_highest() -> None:
    retrieval = RetrievalModel.load("reward")
    poses = torch.randn(20, 22, 3, generator=torch.Generator().manual_seed(0)) * 0.3
    (found,) = nearest_poses(retrieval, [PROMPT], poses)
    best = max(poses, key=lambda pose: retrieval.score([PROMPT], pose[None]).item())
    assert torch.equal(found, best)


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    entry = DescribedPose("a_poses.npz", HELD_OUT, 0, "test", (Description(PROMPT, "body", "short"),))
    monkeypatch.setattr(foreign, "described_poses", lambda: (entry,))
    pose = torch.randn(5, 22, 3, generator=torch.Generator().manual_seed(1)) * 0.4
    np.savez(tmp_path / "a_poses.npz", pose=pose.numpy(), sequence=np.array([HELD_OUT] + [TRAINED] * 4))
    return tmp_path


def test_an_answer_is_measured_without_its_heading_and_beside_training_poses(
    recordings: Path, fake_policy: Any
) -> None:
    recorded = torch.from_numpy(np.load(recordings / "a_poses.npz")["pose"])[:1]
    turned = facing_forward(recorded)[0].clone()
    turned[0] = recorded[0, 0]  # the same pose, facing as in the studio
    result = evaluate("foreign-captions", fake_policy(lambda *_: turned), poses=recordings, num_samples=1)
    assert result["mean_pose"]["heading_mpjpe_mm"]["mean"] == pytest.approx(0, abs=0.1)
    assert result["mean_pose"]["mpjpe_mm"]["mean"] > 1
    assert result["references"]["average training pose"]["heading_mpjpe_mm"]["mean"] > 1
    assert 0 <= result["references"]["nearest training pose"]["judge_preferred"]["mean"] <= 1
    assert "judge_preferred" not in result["references"]["random real poses"]
    assert result["categories"]["body, short"]["prompts"] == 1


def test_an_answer_without_a_pose_is_never_preferred(recordings: Path, fake_policy: Any) -> None:
    result = evaluate("foreign-captions", fake_policy(lambda *_: None), poses=recordings, num_samples=2)
    assert result["sampled"]["judge_preferred"]["mean"] == 0
    assert "heading_mpjpe_mm" not in result["sampled"]


def test_missing_recordings_are_said_before_the_policy_is_asked(tmp_path: Path, fake_policy: Any) -> None:
    np.savez(tmp_path / "other.npz", pose=np.zeros((1, 22, 3), np.float32), sequence=np.array([HELD_OUT]))
    policy = fake_policy(lambda *_: None)
    with pytest.raises(UserError, match="foreign-captions describes poses of"):
        evaluate("foreign-captions", policy, poses=tmp_path)
    assert policy.calls == []
