"""Models of the SMPL family from the configs of both stages to evaluation: made-up files in their format."""

import json

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.distances import mpjpe
from pose_rft.data.mixtures.text_to_pose import MixtureConfig, SourceConfig
from pose_rft.errors import UserError
from pose_rft.evaluation.own_data import evaluate_own_data
from pose_rft.evaluation.protocols import find_protocol
from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.rewards.batch import PoseBatch
from pose_rft.rewards.spatial import spatial
from pose_rft.runs.rft import RftConfig, run_rft
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.sft.trainer import LoopConfig, PhaseConfig
from tests.body.made_up_models import made_up_model

POSES = np.random.default_rng(0).normal(0, 0.3, (8, 22, 3)).astype(np.float32)


@pytest.fixture(params=["SMPL", "SMPLH", "SMPLX"])
def model(request, tmp_path) -> str:
    path = tmp_path / f"{request.param}_NEUTRAL.npz"
    np.savez(path, **made_up_model(request.param))
    return str(path)


@pytest.fixture
def pairs(tmp_path) -> str:
    path = tmp_path / "pairs.jsonl"
    lines = [{"prompt": f"pose {n}", "answer": "Done <POSE>.", "pose": pose.tolist()} for n, pose in enumerate(POSES)]
    path.write_text("\n".join(map(json.dumps, lines)))
    return str(path)


def supervised(start, pairs, output, body="cc0"):
    phase = PhaseConfig(samples=8, steps=2, batch_size=4)
    return SftConfig(
        start=str(start),
        output_dir=str(output),
        data=MixtureConfig(sources=[SourceConfig(path=pairs)]),
        body=body,
        head=phase,
        joint=phase,
        loop=LoopConfig(row_tokens=128, logging_steps=1),
        device="cpu",
    )


@pytest.mark.slow
def test_another_body_is_another_loss(trained_policy, pairs, tmp_path):
    np.savez(tmp_path / "SMPLX.npz", **made_up_model("SMPLX"))
    bundled = run_sft(supervised(trained_policy, pairs, tmp_path / "one"))
    other = run_sft(supervised(trained_policy, pairs, tmp_path / "two", str(tmp_path / "SMPLX.npz")))
    assert not torch.equal(bundled.head.mean.weight, other.head.mean.weight)


@pytest.mark.slow
def test_a_model_of_ones_own_is_used_from_the_config_to_the_evaluation(trained_policy, model, pairs, tmp_path):
    run_sft(supervised(trained_policy, pairs, tmp_path / "sft", model))
    reinforced = RftConfig(
        policy=str(tmp_path / "sft" / "policy"),
        output_dir=str(tmp_path / "rft"),
        data=MixtureConfig(sources=[SourceConfig(path=pairs)]),
        body=model,
        prompts=8,
        rewards=["format", "spatial_bounded"],
        hygrpo=HyGRPOConfig(steps=1, prompts_per_step=2, answers_per_prompt=2, poses_per_answer=4, max_new_tokens=12),
        device="cpu",
    )
    policy, history = run_rft(reinforced)
    assert any(np.isfinite(entry.get("rewards/spatial_bounded/mean", np.nan)) for entry in history)
    found = evaluate_own_data(
        pairs, policy, num_samples=1, best_of=1, settle=False, protocol=find_protocol("own-22"), smpl=model
    )
    assert found["protocol"]["name"] == "own-22"
    answers = policy.generate([f"pose {n}" for n in range(8)], temperature=0.0, settle=False)
    body = load_body(model)
    reached = torch.stack([torch.as_tensor(answer[0].pose.axis_angle()) for answer in answers])
    expected = 1000 * mpjpe(body.joints(reached), body.joints(torch.from_numpy(POSES)))
    assert found["mean_pose"]["mpjpe_mm"]["mean"] == pytest.approx(float(expected.mean()), rel=1e-3)
    assert found["mean_pose"]["pve_mm"]["mean"] > 0


def test_a_spatial_reward_measures_both_poses_on_the_body_of_the_batch(model):
    body, target = load_body(model), torch.from_numpy(POSES[:1])
    pose = torch.zeros(1, 22, 3)
    batch = PoseBatch(body.points(pose), pose, torch.tensor([True]), body)
    expected = 1 / float(mpjpe(body.joints(pose), body.joints(target)))
    assert spatial(["a"], ["b"], batch, pose=[POSES[0]]) == [pytest.approx(expected, rel=1e-4)]
    assert spatial(["a"], ["b"], batch.slice(0, 1).copy(), pose=[POSES[0]]) == [pytest.approx(expected, rel=1e-4)]


def test_a_model_that_is_not_there_is_missed_before_anything_is_written(trained_policy, pairs, tmp_path):
    with pytest.raises(UserError, match=r"none\.npz: no such body model"):
        run_sft(supervised(trained_policy, pairs, tmp_path / "sft", "none.npz"))
    assert not (tmp_path / "sft").exists()
