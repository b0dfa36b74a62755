"""The policy whose words are fixed: the same poses as the whole policy, trained by the same trainer."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.hygrpo import HyGRPOConfig, HyGRPOTrainer
from pose_rft.policy import PosePolicy
from pose_rft.policy.hidden_state_cache import cache_hidden_states, pack_samples
from pose_rft.policy.pose_only import PoseOnlyPolicy
from pose_rft.rewards import Grades
from pose_rft.runs.rft import PosePhaseConfig, RftConfig, run_rft

RAISED = ("y(left_wrist) > y(head)",)
SAMPLES = [
    Sample(prompt, f"{words} <POSE>.", np.zeros((22, 3), np.float32), checks=RAISED)
    for prompt, words in (("wave", "Here:"), ("raise your left hand", "It is"), ("hi!", "So:"), ("a greeting", ""))
]


@pytest.fixture
def fixed(tiny_policy):
    return PoseOnlyPolicy(tiny_policy, SAMPLES, cache_hidden_states(tiny_policy, SAMPLES, progress=False))


def test_its_poses_are_those_of_the_whole_policy(tiny_policy, fixed):
    rollout = fixed.rollout([fixed.prompts[2], fixed.prompts[0]], num_poses=3)
    assert rollout.texts == [["So: <POSE>."], ["Here: <POSE>."]]
    assert rollout.action.shape == (2, 1, 3, 22, 6)
    scores = fixed(fixed.pack(rollout))
    whole = tiny_policy(pack_samples(tiny_policy, [SAMPLES[2], SAMPLES[0]], 64)).pose
    torch.testing.assert_close(scores.pose.mean, whole.mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores.pose.scale_tril, whole.scale_tril, atol=1e-4, rtol=1e-4)


def test_the_reference_stays_what_the_head_was(fixed):
    layout = fixed.pack(fixed.rollout([fixed.prompts[0]]))
    start = fixed(layout).pose.mean.detach()
    with torch.no_grad():
        fixed.policy.head.mean.bias.add_(1.0)
    assert not torch.allclose(fixed(layout).pose.mean, start)
    with fixed.as_reference():
        torch.testing.assert_close(fixed(layout).pose.mean, start)
    assert fixed(layout).pose.mean.requires_grad


def test_more_than_one_answer_makes_no_sense(fixed):
    with pytest.raises(ValueError, match="fixed"):
        fixed.rollout([fixed.prompts[0]], num_answers=2)


def test_the_trainer_moves_the_head_alone_and_towards_reward(fixed, tmp_path):
    def grade(step, samples, rollout):
        pose = -rollout.action[..., 0, 0].square()
        return SimpleNamespace(
            text=Grades.of_one(pose[..., 0] * 0), pose=Grades.of_one(pose), metrics={"reward": pose.mean().item()}
        )

    adapters = {n: p.detach().clone() for n, p in fixed.policy.language_model.named_parameters() if p.requires_grad}
    config = HyGRPOConfig(
        steps=40, prompts_per_step=4, answers_per_prompt=1, poses_per_answer=8, learning_rate=3e-3, beta_text=0.0
    )
    trainer = HyGRPOTrainer(fixed, config, fixed.prompts, grade, str(tmp_path))
    trainer.train()
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.2
    assert all(
        torch.equal(p, adapters[n]) for n, p in fixed.policy.language_model.named_parameters() if p.requires_grad
    )


@pytest.mark.parametrize("interrupted", ["states", "pose phase", "both phases"])
def test_a_run_that_opens_with_the_pose_phase_resumes_bit_for_bit(tiny_policy, tmp_path, interrupted):
    tiny_policy.save_pretrained(tmp_path / "start")

    def run(name, resume=False):
        config = RftConfig(
            policy=str(tmp_path / "start"),
            output_dir=str(tmp_path / name),
            rewards=["format", "posecodes"],
            pose_phase=PosePhaseConfig(steps=4, prompts_per_step=3),
            hygrpo=HyGRPOConfig(steps=4, prompts_per_step=2, poses_per_answer=4, max_new_tokens=4, save_steps=2),
            device="cpu",
        )
        return run_rft(config, resume, SAMPLES)

    whole, history = run("whole")
    assert [entry["step"] for entry in history if "objective" in entry] == list(range(1, 9))
    broken = tmp_path / "broken"
    shutil.copytree(tmp_path / "whole", broken)
    shutil.rmtree(broken / "policy")
    shutil.rmtree(broken / "checkpoint-4")
    if interrupted != "both phases":
        shutil.rmtree(broken / "checkpoint-2")
        shutil.rmtree(broken / "pose_phase" / "checkpoint-4")
    if interrupted == "states":
        shutil.rmtree(broken / "pose_phase")
        start = PosePolicy.from_pretrained(tmp_path / "start")
        cache_hidden_states(start, SAMPLES, 512, file=broken / "states.safetensors", progress=False)
    resumed, again = run("broken", resume=True)
    assert [entry["step"] for entry in again if "objective" in entry] == list(range(1, 9))
    assert all((tmp_path / name / "report.html").stat().st_size > 10_000 for name in ("whole", "broken"))
    for (name, a), b in zip(whole.trainable().items(), resumed.trainable().values(), strict=True):
        assert torch.equal(a, b), name


def test_an_opening_phase_without_anything_to_grade_is_refused(tiny_policy, tmp_path):
    tiny_policy.save_pretrained(tmp_path / "start")
    config = RftConfig(
        policy=str(tmp_path / "start"),
        output_dir=str(tmp_path / "run"),
        pose_phase=PosePhaseConfig(steps=1),
        device="cpu",
    )
    with pytest.raises(UserError, match="no training prompt has a pose and checks"):
        run_rft(config, samples=[Sample("hello", "Hello.", None, task="chat")])
