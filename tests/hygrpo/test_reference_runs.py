"""Fifty rollouts of a small policy, compared with what they gave when they were last read.

Rewards, losses and KL terms are means over ten rollouts. They say that the whole algorithm still does what it did: a
mean over other poses, another floor, ratio or temperature changes them by far more than the tolerance. To write them
anew after a change that is meant to change them:

    WRITE_REFERENCE=1 pytest tests/hygrpo/test_reference_runs.py
"""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pose_rft.hygrpo import HyGRPOConfig, HyGRPOTrainer
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy, PromptInput
from pose_rft.rewards.grades import Grades

REFERENCE = Path(__file__).parent / "reference_runs.json"
SAMPLES = [PromptInput(f"pose number {i}") for i in range(5)]
STEPS, WINDOW = 50, 10
COMMON = {
    "steps": STEPS, "prompts_per_step": 3, "answers_per_prompt": 4, "warmup_steps": 2, "max_new_tokens": 4,
    "save_steps": 10_000, "temperature": 0.8,
}  # fmt: skip
RUNS = {
    "as published": (
        {"kind": "mlp", "covariance": "low_rank"},
        {
            "learning_rate": 3e-3,
            "poses_per_answer": 1,
            "pose_group": "prompt",
            "text_ratio": "answer",
            "std_floor": 0.0,
        },
    ),
    "several poses and updates": (
        {"kind": "query", "components": 2},
        {"learning_rate": 3e-4, "poses_per_answer": 6, "updates_per_rollout": 2, "unbiased_kl": True},
    ),
}
RATIOS = ("text/clip_share", "pose/clip_share", "pose/ratio_mean")
LOGGED = ("loss", "text/kl", "pose/kl", "rewards/letters", "rewards/low", "rewards/near")


def grade(step, samples, rollout):
    """Letters in the words; of a pose, its first number low (which hardly varies) and its second near 1."""
    letters = torch.tensor([[sum(c.islower() for c in text) / 6 for text in group] for group in rollout.texts])
    low, near = -0.01 * rollout.action[..., 0, 0], -(rollout.action[..., 0, 1] - 1).square()
    metrics = {"rewards/letters": letters.mean().item()}
    for name, values in (("low", low), ("near", near)):
        metrics[f"rewards/{name}"] = values[rollout.valid].mean().item()
    pose = Grades(torch.stack([low, near]), torch.tensor([1.0, 0.5]))
    return SimpleNamespace(text=Grades.of_one(letters), pose=pose, metrics=metrics)


def speak_of_poses(policy):
    """Put <POSE> into most answers of the untrained policy, more of them for some prompts than for others."""
    sample = policy.rollout

    def rollout_with_pose(prompts, *args, **kwargs):
        rollout = sample(prompts, *args, **kwargs)
        for prompt, group in zip(prompts, rollout.answer_ids, strict=True):
            silent = int(prompt.prompt[-1]) % 3
            group[:] = [
                [*answer[:3], policy.backbone.pose_token, 0] if g >= silent else [*answer[:3], 0]
                for g, answer in enumerate(group)
            ]
        rollout.texts = [[policy.backbone.text(answer) for answer in group] for group in rollout.answer_ids]
        said = [[policy.backbone.pose_token in answer for answer in group] for group in rollout.answer_ids]
        rollout.valid = torch.tensor(said)
        return rollout

    policy.rollout = rollout_with_pose
    return policy


def read_run(name: str, backbone: str, output: Path) -> dict[str, list[float]]:
    """What a run logs, as means over ten rollouts."""
    head, settings = RUNS[name]
    made_of = PolicyConfig(
        backbone, 2, HeadConfig(width=32, depth=1, heads=4, rank=2, **head), LoraSettings(rank=2, alpha=4)
    )
    policy = speak_of_poses(PosePolicy.create(made_of, dtype=torch.float32))
    policy.freeze_reference()
    trainer = HyGRPOTrainer(policy, HyGRPOConfig(**COMMON | settings), SAMPLES, grade, str(output))
    trainer.train()
    rollouts = [entry for entry in trainer.state.log_history if "objective" in entry]
    assert len(rollouts) == STEPS
    return {
        key: [
            round(sum(entry[key] for entry in rollouts[at : at + WINDOW]) / WINDOW, 6) for at in range(0, STEPS, WINDOW)
        ]
        for key in (*LOGGED, *(RATIOS if trainer.config.updates_per_rollout > 1 else ()))
    }


@pytest.mark.parametrize("name", RUNS)
def test_a_run_gives_what_it_gave(name, tiny_backbone, tmp_path):
    found = read_run(name, tiny_backbone, tmp_path)
    stored = json.loads(REFERENCE.read_text()) if REFERENCE.exists() else {}
    if os.environ.get("WRITE_REFERENCE"):
        REFERENCE.write_text(json.dumps(stored | {name: found}, indent=2) + "\n")
        return
    for key, expected in stored[name].items():
        spread = max(map(abs, expected))
        assert found[key] == pytest.approx(expected, rel=0.02, abs=0.02 * spread), key
    rewards = found["rewards/near"]
    assert rewards[-1] > rewards[0] + 0.1
