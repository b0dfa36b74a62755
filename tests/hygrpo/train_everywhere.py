"""What test_processes.py starts, alone or under torchrun: both stages on a small model.

python train_everywhere.py sft|rft BACKBONE_OR_POLICY OUTPUT [--resume] [--shard | --unmerged]
"""

import contextlib
import sys

import numpy as np
import torch

import pose_rft.policy.policy
from pose_rft.data.sample import Sample
from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy
from pose_rft.policy.language_model import LanguageModel
from pose_rft.runs.rft import PosePhaseConfig, RftConfig, run_rft
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.sft.losses import LossWeights
from pose_rft.sft.trainer import LoopConfig, PhaseConfig

ANSWER = "Here: <POSE>."


def samples() -> list[Sample]:
    rng = np.random.default_rng(0)
    made = []
    for index in range(24):
        pose = np.zeros((22, 3), np.float32)
        pose[16:20] = rng.normal(size=(4, 3)) * 0.5
        checks = () if index % 5 == 0 else ("y(left_wrist) > y(neck)", "angle(left_elbow) < 120")
        made.append(Sample(f"pose number {index}", ANSWER, pose, checks=checks))

    return made


def mostly_pose() -> None:
    """An untrained model hardly says <POSE>: write it into all answers but every third, to have poses to learn from."""
    sample = PosePolicy.rollout

    def rollout_with_pose(self, prompts, *arguments, **settings):
        self.backbone.end_tokens = tuple(range(150))  # of 258: answers end early, and not together
        rollout = sample(self, prompts, *arguments, **settings)
        for prompt, group in zip(prompts, rollout.answer_ids, strict=True):
            for g, answer in enumerate(group):
                said = (len(prompt.prompt) + g) % 3 > 0
                group[g] = [*answer[:2], self.backbone.pose_token, 0] if said else [5, 0]
        is_said = [[self.backbone.pose_token in answer for answer in group] for group in rollout.answer_ids]
        rollout.valid = torch.tensor(is_said)
        return rollout

    PosePolicy.rollout = rollout_with_pose


def main() -> None:
    torch.set_num_threads(1)
    pose_rft.policy.policy.best_dtype = lambda device: torch.float32  # bfloat16 would hide what differs
    stage, start, output, *flags = sys.argv[1:]
    if "--unmerged" in flags:  # as processes with shards have it: other rounding, which Adam makes whole steps of
        LanguageModel.merged_adapters = lambda self: contextlib.nullcontext()
    if stage == "sft":
        head = HeadConfig(width=32, depth=1, heads=4, rank=2)
        config = SftConfig(
            policy=PolicyConfig(start, 2, head, LoraSettings(rank=2, alpha=4)),
            output_dir=output,
            head=PhaseConfig(samples=24, steps=6, batch_size=4, learning_rate=1e-3),
            joint=PhaseConfig(samples=24, steps=6, batch_size=4, learning_rate=1e-3),
            loss=LossWeights(checks=1.0),
            loop=LoopConfig(save_steps=3, row_tokens=128, logging_steps=1),
            device="cpu",
            shard="--shard" in flags,
        )
        run_sft(config, "--resume" in flags, samples())
        return
    mostly_pose()
    config = RftConfig(
        policy=start,
        output_dir=output,
        rewards=["format", "posecodes", {"name": "spatial", "weight": 0.1}],
        pose_phase=PosePhaseConfig(steps=3, prompts_per_step=4, learning_rate=1e-3),
        hygrpo=HyGRPOConfig(
            steps=4, prompts_per_step=4, answers_per_prompt=3, poses_per_answer=4, updates_per_rollout=2,
            pose_ratio="per_joint", learning_rate=1e-3, warmup_steps=1, max_new_tokens=6, save_steps=2, row_tokens=200,
        ),
        device="cpu",
        shard="--shard" in flags,
    )  # fmt: skip
    chat = Sample("what is a pose?", "words", None, task="chat")
    run_rft(config, "--resume" in flags, [*samples(), chat])


if __name__ == "__main__":
    main()
