"""The trainer on a small model: it learns, it resumes exactly, it stops on NaN."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pose_rft.errors import UserError
from pose_rft.hygrpo import HyGRPOConfig, HyGRPOTrainer
from pose_rft.policy import PromptInput
from pose_rft.rewards import Grades
from pose_rft.trainer import NonFiniteError

SAMPLES = [PromptInput(f"pose number {i}") for i in range(6)]


def grade(step, samples, rollout):
    """Rewards low first coordinates of the action and answers with many letters e."""
    text = torch.tensor([[answer.count("e") / 8 for answer in group] for group in rollout.texts])
    pose = -rollout.action[..., 0, 0].square()
    metrics = {"rewards/toy/mean": pose.mean().item()}
    return SimpleNamespace(text=Grades.of_one(text), pose=Grades.of_one(pose), metrics=metrics)


def always_pose(policy):
    """Make the small policy say <POSE> in most answers, so that its pose part has something to learn."""
    sample = policy.rollout

    def rollout_with_pose(*args, **kwargs):
        rollout = sample(*args, **kwargs)
        token = policy.backbone.pose_token
        rollout.answer_ids = [[[*answer[:2], token, 0] for answer in group] for group in rollout.answer_ids]
        rollout.valid[:] = True
        return rollout

    policy.rollout = rollout_with_pose
    return policy


def config(**changes):
    settings = {
        "steps": 4, "prompts_per_step": 2, "answers_per_prompt": 2, "poses_per_answer": 4, "max_new_tokens": 6,
        "warmup_steps": 1, "save_steps": 2, "learning_rate": 1e-3,
    }  # fmt: skip
    return HyGRPOConfig(**(settings | changes))


def run(policy, directory, resume=None, grade=grade, **changes):
    policy.freeze_reference()
    trainer = HyGRPOTrainer(always_pose(policy), config(**changes), SAMPLES, grade, str(directory))
    trainer.train(resume_from_checkpoint=resume)
    return trainer


@pytest.fixture
def make_policy(tiny_backbone):
    from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy

    head = HeadConfig(width=32, depth=1, heads=4, rank=2)
    lora = LoraSettings(rank=2, alpha=4)
    return lambda: PosePolicy.create(PolicyConfig(tiny_backbone, 2, head, lora), dtype=torch.float32)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"updates_per_rollout": 2, "pose_ratio": "per_joint"},
        {"pose_group": "prompt", "beta_text": 0.0, "beta_pose": 0.0, "advantage_scale": "none"},
        {"advantage_scale": "per_reward", "text_sees_pose_rewards": True, "text_ratio": "answer", "temperature": 0.8},
    ],
    ids=["default", "several updates", "prompt groups", "reward by reward"],
)
def test_pose_reward_rises(make_policy, tmp_path, changes):
    trainer = run(make_policy(), tmp_path, steps=25, learning_rate=3e-3, **changes)
    rewards = [entry["rewards/toy/mean"] for entry in trainer.state.log_history if "rewards/toy/mean" in entry]
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.1


def test_tokens_only_leaves_the_pose_head_alone(make_policy, tmp_path):
    policy = make_policy()
    before = {name: p.detach().clone() for name, p in policy.head.named_parameters()}
    run(policy, tmp_path, pose_coefficient=0.0, text_sees_pose_rewards=True, beta_pose=0.0)
    assert all(torch.equal(p, before[name]) for name, p in policy.head.named_parameters())


@pytest.mark.parametrize("updates", [1, 2])
def test_a_resumed_run_ends_with_the_same_weights_bit_for_bit(make_policy, tmp_path, updates):
    whole, broken = make_policy(), make_policy()
    changes = {"updates_per_rollout": updates, "save_steps": 2 * updates}
    run(whole, tmp_path / "whole", **changes)
    run(make_policy(), tmp_path / "broken", **changes)
    last = tmp_path / "broken" / f"checkpoint-{4 * updates}"
    shutil.rmtree(last)
    run(broken, tmp_path / "broken", resume=str(tmp_path / "broken" / f"checkpoint-{2 * updates}"), **changes)
    for (name, a), b in zip(whole.trainable().items(), broken.trainable().values(), strict=True):
        assert torch.equal(a, b), name


def test_checkpoints_hold_no_pickle_and_nothing_unfinished(make_policy, tmp_path):
    run(make_policy(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-4"]
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors"}
    state = json.loads((tmp_path / "checkpoint-4" / "trainer_state.json").read_text())
    assert state["global_step"] == 4


def test_the_reference_is_where_training_started(make_policy, tmp_path):
    policy = make_policy()
    trainer = run(policy, tmp_path, learning_rate=1e-2, steps=6)
    kl = [entry["pose/kl"] for entry in trainer.state.log_history if "pose/kl" in entry]
    assert kl[0] == pytest.approx(0, abs=1e-4)
    assert kl[-1] > 0.01
    fresh = make_policy()
    with policy.as_reference():
        assert all(
            torch.equal(a, b) for a, b in zip(policy.trainable().values(), fresh.trainable().values(), strict=True)
        )


def test_a_loss_that_is_not_finite_stops_the_run_by_name(make_policy, tmp_path):
    def poison(policy):
        with torch.no_grad():
            policy.head.mean.bias.fill_(float("inf"))

    policy = make_policy()
    policy.freeze_reference()
    poison(policy)
    trainer = HyGRPOTrainer(always_pose(policy), config(), SAMPLES, grade, str(tmp_path))
    with pytest.raises(NonFiniteError, match=r"step 1: the policy's poses are not finite \(prompt 'pose number"):
        trainer.train()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", -1),
        ("temperature", 0.0),
        ("poses_per_answer", 1),
        ("answers_per_prompt", 0),
        ("schedule", "cosine"),
        ("epsilon", -0.2),
        ("epsilon", 0.3),  # with one update for each rollout
        ("text_coefficient", float("nan")),
        ("std_floor", -0.1),
        ("text_ratio", "joint"),
    ],
)
def test_settings_that_cannot_work_are_refused(field, value):
    with pytest.raises(UserError, match=f"^{field}"):
        config(**{field: value})


@pytest.mark.parametrize(
    ("off", "unread"),
    [
        ("beta_text", {"unbiased_kl": True}),
        ("text_coefficient", {"text_sees_pose_rewards": True}),
        ("text_coefficient", {"text_ratio": "answer"}),
        ("pose_coefficient", {"pose_group": "prompt"}),
        ("pose_coefficient", {"pose_ratio": "per_joint"}),
        ("pose_coefficient", {"text_coefficient": 0.0}),
    ],
)
def test_settings_that_nothing_would_read_are_refused(off, unread):
    config(**unread)
    with pytest.raises(UserError, match=off):
        config(**unread, **{off: 0.0})


def test_ratios_are_logged_of_the_last_update_of_each_rollout(make_policy, tmp_path):
    """The ratios of the first update are 1; those of the second are not, once the weights have moved."""
    changes = {"steps": 3, "warmup_steps": 0, "learning_rate": 1e-2}
    once = run(make_policy(), tmp_path / "once", **changes)
    twice = run(make_policy(), tmp_path / "twice", updates_per_rollout=2, **changes)

    def logged(trainer, name):
        return [(entry["step"], entry[name]) for entry in trainer.state.log_history if name in entry]

    assert logged(once, "pose/ratio_mean") == [(1, 1.0), (2, 1.0), (3, 1.0)]
    assert logged(once, "pose/clip_share") == [(1, 0.0), (2, 0.0), (3, 0.0)]
    assert [step for step, _ in logged(twice, "rewards/toy/mean")] == [2, 4, 6]  # a line for each rollout
    assert [step for step, _ in logged(twice, "pose/clip_share")] == [2, 4, 6]
    assert all(share > 0.05 for _, share in logged(twice, "pose/clip_share"))
    assert all(ratio != 1.0 for _, ratio in logged(twice, "pose/ratio_mean"))
    assert all(ratio != 1.0 for _, ratio in logged(twice, "text/ratio_mean"))


def test_ratios_of_a_later_update_are_those_to_the_policy_that_sampled(make_policy, tmp_path):
    """At a temperature, from two policies that are both at hand: what the trainer logs is their ratio."""
    policy, before = always_pose(make_policy()), make_policy()
    policy.freeze_reference()
    settings = config(temperature=0.7, updates_per_rollout=2, beta_text=0.0, beta_pose=0.0)
    trainer = HyGRPOTrainer(policy, settings, SAMPLES, grade, str(tmp_path))
    trainer.state.global_step = 1
    rollout = trainer.collect(SAMPLES[:2])
    _, old = trainer.loss(policy, rollout, None)
    with torch.no_grad():
        for parameter in policy.head.mean.parameters():
            parameter.add_(0.05)
    trainer._metrics.clear()
    trainer.loss(policy, rollout, old.detach())

    def logp(of):
        scores = of(rollout.packed, 0.7)
        return scores.pose.log_prob(rollout.action).sum(dim=-1).flatten()

    expected = torch.exp(logp(policy) - logp(before)).mean().item()
    assert trainer._metrics["pose/ratio_mean"][0].item() == pytest.approx(expected, rel=1e-4)
    assert expected != pytest.approx(1.0, abs=1e-3)


def test_no_prompts_is_an_error(make_policy, tmp_path):
    with pytest.raises(UserError, match="no training prompt"):
        HyGRPOTrainer(make_policy(), config(), [], grade, str(Path(tmp_path)))
