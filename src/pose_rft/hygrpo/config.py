"""Settings of HyGRPO and of its training loop."""

import math
from dataclasses import dataclass
from typing import Literal

from transformers import TrainingArguments

from pose_rft.config import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Seed,
    Temperature,
    refuse_unread,
    validate,
)
from pose_rft.errors import UserError
from pose_rft.hygrpo.advantages import AdvantageScale
from pose_rft.hygrpo.objective import TextRatio
from pose_rft.trainer import check_tracker, training_arguments


@dataclass(frozen=True)
class HyGRPOConfig:
    """Settings of the algorithm and of its training loop.

    Attributes:
        steps: rollouts; 0 leaves a run with its opening phase alone.
        prompts_per_step: B, prompts in one rollout, divided among the processes of a run.
        answers_per_prompt: G, texts sampled to each prompt.
        poses_per_answer: K, poses sampled to each text.
        updates_per_rollout: optimiser updates on one rollout; from the second on the ratios move and are clipped.
        learning_rate: peak, after a linear warm-up over ``warmup_steps`` updates.
        warmup_steps: updates.
        schedule: after the warm-up, "linear" to zero or "constant". The steps of a policy gradient are mostly noise,
            which only a falling rate averages out (docs/log.md).
        epsilon: clip range of the ratios.
        beta_text: weight of the token KL to the reference (starting) policy.
        unbiased_kl: weigh the token KL by the ratios, which makes its gradient that of the KL itself (DeepSeek-V3.2,
            the default of recent TRL); False is GRPO as published.
        beta_pose: weight of the Gaussian KL, in nats summed over the pose.
        text_coefficient: weight of the objective's text part; 0 turns it off.
        pose_coefficient: weight of its pose part; 0 gives GRPO on tokens alone.
        text_sees_pose_rewards: add the mean reward of an answer's poses to the answer's own (with
            ``pose_coefficient: 0``, the paper's ablation: all that GRPO on tokens could learn from).
        pose_group: normalise pose advantages over the K poses of one "answer", or over all of the "prompt".
        pose_average: average the pose part and its KL over the valid poses of each "prompt", then over prompts (the
            paper's), or over those of the "batch", where prompts whose answers hold more poses count more.
        advantage_scale: "std" divides the centred sum of the rewards by its spread in the group (GRPO); "per_reward"
            divides each reward by its own and then sums (GDPO); "none" does not divide (Dr. GRPO).
        std_floor: a spread below it counts as this one, in the units of what is divided.
        text_ratio: of the likelihood of each "token" (GRPO), of the whole "answer" (the paper's), or its geometric mean
            over the tokens, "answer_mean" (GSPO).
        pose_ratio: "joint", one likelihood ratio over the whole pose (the paper's), or "per_joint": of each joint, or
            of each token where the pose is one of tokens.
        temperature: of sampling, words and pose; likelihoods and KL terms are those of what is sampled from.
        max_new_tokens: longest answer.
        row_tokens: tokens in a row of the packed layout.
        max_grad_norm: gradients are clipped to this norm; 0 does not clip.
        seed: of prompts' order and of all sampling.
        save_steps: updates between checkpoints (rounded up to whole rollouts).
        keep_checkpoints: older ones are deleted.
        report_to: transformers' integrations: "none", "tensorboard", "wandb", "trackio".
    """

    steps: NonNegativeInt = 100
    prompts_per_step: PositiveInt = 16
    answers_per_prompt: PositiveInt = 4
    poses_per_answer: PositiveInt = 16
    updates_per_rollout: PositiveInt = 1
    learning_rate: PositiveFloat = 1e-4
    warmup_steps: NonNegativeInt = 5
    schedule: Literal["linear", "constant"] = "linear"
    epsilon: PositiveFloat = 0.2
    beta_text: NonNegativeFloat = 0.04
    unbiased_kl: bool = False
    beta_pose: NonNegativeFloat = 0.02
    text_coefficient: NonNegativeFloat = 1.0
    pose_coefficient: NonNegativeFloat = 1.0
    text_sees_pose_rewards: bool = False
    pose_group: Literal["answer", "prompt"] = "answer"
    pose_average: Literal["prompt", "batch"] = "prompt"
    advantage_scale: AdvantageScale = "std"
    std_floor: NonNegativeFloat = 0.02
    text_ratio: TextRatio = "token"
    pose_ratio: Literal["joint", "per_joint"] = "joint"
    temperature: Temperature = 1.0
    max_new_tokens: PositiveInt = 32
    row_tokens: PositiveInt = 512
    max_grad_norm: NonNegativeFloat = 1.0
    seed: Seed = 0
    save_steps: PositiveInt = 50
    keep_checkpoints: PositiveInt = 2
    report_to: str = "none"

    def __post_init__(self) -> None:
        validate(self)
        check_tracker(self.report_to)
        if not self.text_coefficient and not self.pose_coefficient:
            raise UserError("text_coefficient and pose_coefficient are both 0; there is nothing to maximise")
        if self.pose_coefficient and self.poses_per_answer == 1 and self.pose_group == "answer":
            raise UserError("poses_per_answer is 1, and one pose has no group of its own; set pose_group: prompt")
        if self.updates_per_rollout == 1:
            refuse_unread(self, ["epsilon"], "in the one update of a rollout (updates_per_rollout) all ratios are 1")
        if not self.beta_text:
            refuse_unread(self, ["unbiased_kl"], "beta_text is 0")
        if self.advantage_scale == "none":
            refuse_unread(self, ["std_floor"], "advantage_scale is none")
        if not self.text_coefficient:
            refuse_unread(self, ["text_sees_pose_rewards", "text_ratio"], "text_coefficient is 0")
        if not self.pose_coefficient:
            refuse_unread(self, ["pose_group", "pose_ratio"], "pose_coefficient is 0")
        if not self.pose_coefficient and not self.beta_pose:
            refuse_unread(self, ["pose_average"], "pose_coefficient and beta_pose are 0")

    def training_arguments(self, output_dir: str, device: str) -> TrainingArguments:
        updates = self.updates_per_rollout
        return training_arguments(
            output_dir,
            device,
            max_steps=self.steps * updates,
            per_device_train_batch_size=self.prompts_per_step,
            learning_rate=self.learning_rate,
            lr_scheduler_type="linear" if self.schedule == "linear" else "constant_with_warmup",
            warmup_steps=self.warmup_steps,
            max_grad_norm=self.max_grad_norm,
            weight_decay=0.0,
            seed=self.seed,
            save_steps=math.ceil(self.save_steps / updates) * updates,
            save_total_limit=self.keep_checkpoints,
            logging_steps=updates,  # a line for every rollout
            report_to=self.report_to,
        )
