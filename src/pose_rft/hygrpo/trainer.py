"""The HyGRPO trainer: moves data between a policy, the rewards and the pure functions of the algorithm.

How it departs from the paper: K poses are drawn for every answer (the paper draws one), their advantage can be
normalised within the answer, ratios can be taken per joint, and the Gaussian's KL is in closed form. With
``poses_per_answer=1, pose_group="prompt", ratio="joint"`` it is the paper's algorithm. See docs/hygrpo.md.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler
from transformers import TrainerCallback, TrainingArguments

from pose_rft.errors import UserError
from pose_rft.generation.packing import PackedGroups
from pose_rft.generation.random_streams import prompt_seeds
from pose_rft.hygrpo.advantages import AdvantageScale, group_advantages
from pose_rft.hygrpo.objective import hybrid_objective, token_kl
from pose_rft.trainer import CheckpointTrainer, check_tracker


class ActionDistribution(Protocol):
    """Distributions of N continuous actions."""

    def log_prob(self, action: Tensor) -> Tensor:
        """(N, K, J, D) -> (N, K, J), terms that add up to the log-likelihood of an action."""

    def kl(self, other: Any) -> Tensor:
        """(N,) divergence from another set of N distributions."""


class Rollout(Protocol):
    """G answers to each of B prompts and K actions to each answer."""

    texts: list[list[str]]  # B x G
    answer_ids: list[list[list[int]]]  # B x G token lists
    valid: Tensor  # (B, G) bool
    action: Tensor  # (B, G, K, J, D)


class HybridPolicy(Protocol):
    """All that the trainer needs of a policy; ``pose_rft.policy.PosePolicy`` is one."""

    def rollout(
        self,
        prompts: Sequence[Any],
        answers: int,
        poses: int,
        temperature: float,
        seeds: Sequence[int],
        max_new_tokens: int,
    ) -> Rollout:
        """Sample answers to training prompts; a prompt's seed alone decides what is sampled for it."""

    def pack(self, rollout: Any, row_tokens: int) -> PackedGroups: ...

    def __call__(self, packed: PackedGroups) -> Any:
        """Scores: ``.logp_text`` (N, T) and ``.pose``, an ActionDistribution of N."""

    def as_reference(self) -> AbstractContextManager[None]: ...


class Grades(Protocol):
    """What the rewards say of a rollout."""

    @property
    def text(self) -> Tensor:
        """(B, G)"""

    @property
    def pose(self) -> Tensor:
        """(B, G, K)"""

    @property
    def text_graded(self) -> Tensor:
        """(B, G) bool"""

    @property
    def pose_graded(self) -> Tensor:
        """(B, G, K) bool"""

    @property
    def metrics(self) -> dict[str, float]:
        """Names and values for the log."""


Grade = Callable[[int, Sequence[Any], Any], Grades]  # (step, samples, rollout)


@dataclass
class HyGRPOConfig:
    """Settings of the algorithm and of its training loop.

    Attributes:
        steps: rollouts; 0 leaves a run with its opening phase alone.
        prompts_per_step: B, prompts in one rollout, shared out among the processes of a run.
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
        advantage_scale: "std" (GRPO) or "none" (Dr. GRPO).
        ratio: "joint", one likelihood ratio over the whole pose (the paper's), or "per_joint".
        temperature: of sampling, words and pose.
        max_new_tokens: longest answer.
        row_tokens: tokens in a row of the packed layout.
        max_grad_norm: gradient clipping.
        seed: of prompts' order and of all sampling.
        save_steps: updates between checkpoints (rounded up to whole rollouts).
        keep_checkpoints: older ones are deleted.
        report_to: transformers' integrations: "none", "tensorboard", "wandb", "trackio".
    """

    steps: int = 100
    prompts_per_step: int = 16
    answers_per_prompt: int = 4
    poses_per_answer: int = 16
    updates_per_rollout: int = 1
    learning_rate: float = 1e-4
    warmup_steps: int = 5
    schedule: Literal["linear", "constant"] = "linear"
    epsilon: float = 0.2
    beta_text: float = 0.04
    unbiased_kl: bool = False
    beta_pose: float = 0.02
    text_coefficient: float = 1.0
    pose_coefficient: float = 1.0
    text_sees_pose_rewards: bool = False
    pose_group: Literal["answer", "prompt"] = "answer"
    advantage_scale: AdvantageScale = "std"
    ratio: Literal["joint", "per_joint"] = "joint"
    temperature: float = 1.0
    max_new_tokens: int = 32
    row_tokens: int = 512
    max_grad_norm: float = 1.0
    seed: int = 0
    save_steps: int = 50
    keep_checkpoints: int = 2
    report_to: str = "none"

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise UserError(f"hygrpo.steps must be at least 0, not {self.steps}")
        for name in ("prompts_per_step", "answers_per_prompt", "poses_per_answer", "updates_per_rollout"):
            if getattr(self, name) < 1:
                raise UserError(f"hygrpo.{name} must be at least 1, not {getattr(self, name)}")
        if self.schedule not in ("linear", "constant"):
            raise UserError(f"hygrpo.schedule: {self.schedule!r} is unknown; choose linear or constant")
        if self.temperature <= 0:
            raise UserError(
                f"hygrpo.temperature must be above 0, not {self.temperature}: without chance, no exploration"
            )
        if self.pose_coefficient and self.poses_per_answer == 1 and self.pose_group == "answer":
            raise UserError("hygrpo: one pose per answer has no group of its own; set pose_group: prompt")
        check_tracker(self.report_to)

    def training_arguments(self, output_dir: str, device: str) -> TrainingArguments:
        updates = self.updates_per_rollout
        return TrainingArguments(
            output_dir=output_dir,
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
            logging_steps=1,
            report_to=self.report_to,
            remove_unused_columns=False,
            use_cpu=device == "cpu",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )


class RepeatedBatches(Sampler[list[int]]):
    """Endless shuffled batches of indices, each given out once per update of its rollout.

    Args:
        part: what a process takes of a batch.
    """

    def __init__(
        self, size: int, batch: int, repeats: int, seed: int, part: Callable[[list[int]], list[int]] = list
    ) -> None:
        self.size, self.batch, self.repeats, self.seed, self.part = size, batch, repeats, seed, part

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed)
        pending: list[int] = []
        while True:
            while len(pending) < self.batch:
                pending += torch.randperm(self.size, generator=generator).tolist()
            indices, pending = pending[: self.batch], pending[self.batch :]
            for _ in range(self.repeats):
                yield self.part(indices)

    def __len__(self) -> int:
        return 2**31 - 1  # one endless epoch: the run ends by its number of steps


@dataclass
class GradedRollout:
    """A rollout, ready for its updates: everything flat over N = B*G answers and M = N*K poses."""

    packed: PackedGroups
    action: Tensor  # (N, K, J, D)
    text_advantages: Tensor  # (N,)
    pose_mask: Tensor  # (M,)
    pose_advantages: Tensor  # (M,)
    reference: Any  # scores of the reference policy, or None
    answered_share: float = 1.0  # see CheckpointTrainer.rank_loss_weight
    old_logp_text: Tensor | None = None  # (N, T)
    old_logp_pose: Tensor | None = None  # (M,) or (M, J)


class HyGRPOTrainer(CheckpointTrainer):
    """Maximises HyGRPO's objective.

    Args:
        policy: a HybridPolicy module whose reference has been frozen.
        samples: training prompts: any objects with a ``prompt``.
        grade: gives the rewards of a rollout.
    """

    def __init__(
        self,
        policy: nn.Module,
        config: HyGRPOConfig,
        samples: Sequence[Any],
        grade: Grade,
        output_dir: str,
        callbacks: list[TrainerCallback] | None = None,
    ) -> None:
        if not samples:
            raise UserError("rft: there is no training prompt")
        self.config, self.samples, self.grade = config, samples, grade
        self._current: GradedRollout | None = None
        super().__init__(
            model=policy,
            args=config.training_arguments(output_dir, next(policy.parameters()).device.type),
            train_dataset=samples,
            callbacks=callbacks,
        )
        if config.prompts_per_step % self.args.world_size:
            raise UserError(
                f"prompts_per_step is {config.prompts_per_step}, which {self.args.world_size} processes cannot share "
                "out evenly; choose a multiple"
            )

    def get_train_dataloader(self) -> DataLoader:
        config = self.config
        batches = RepeatedBatches(
            len(self.samples), config.prompts_per_step, config.updates_per_rollout, config.seed, self.rank_slice
        )
        return DataLoader(
            self.samples,  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=lambda samples: {"samples": samples},
        )

    def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
        update = self.state.global_step % self.config.updates_per_rollout
        if update == 0:
            self._current = self.collect(inputs["samples"])
        assert self._current is not None  # checkpoints fall between rollouts, so a resumed run starts with one
        return self.loss(model, self._current)

    # ---- one rollout ----

    def collect(self, samples: Sequence[Any]) -> GradedRollout:
        """Act, grade, and turn grades into advantages."""
        config = self.config
        policy: HybridPolicy = self.accelerator.unwrap_model(self.model)
        step = self.state.global_step // config.updates_per_rollout
        first = self.args.process_index * len(samples)  # of the whole batch's prompts
        rollout = policy.rollout(
            samples,
            config.answers_per_prompt,
            config.poses_per_answer,
            config.temperature,
            prompt_seeds(config.seed, step, range(first, first + len(samples))),
            max_new_tokens=config.max_new_tokens,
        )
        grades = self.grade(step, samples, rollout)
        device = rollout.action.device
        valid = rollout.valid[:, :, None] & grades.pose_graded.to(device)  # (B, G, K)
        text, text_graded, pose = grades.text.to(device), grades.text_graded.to(device), grades.pose.to(device)
        if config.text_sees_pose_rewards:
            text = text + torch.where(valid, pose, 0.0).mean(dim=2)
            text_graded = text_graded | valid.any(dim=2)
        rows = valid.shape[0] * valid.shape[1] if config.pose_group == "answer" else valid.shape[0]
        text_advantages = group_advantages(text, text_graded, config.advantage_scale)
        pose_advantages = group_advantages(pose.reshape(rows, -1), valid.reshape(rows, -1), config.advantage_scale)

        packed = policy.pack(rollout, config.row_tokens).to(device)
        reference = None
        if config.beta_text or config.beta_pose:
            with policy.as_reference():
                reference = policy(packed)
        lengths = [len(answer) for group in rollout.answer_ids for answer in group]
        self.record(
            grades.metrics
            | {
                "valid_share": rollout.valid.float().mean().item(),
                "text/length": sum(lengths) / len(lengths),
                "text/reward": text.mean().item(),
                "pose/reward": pose[valid].mean().item() if valid.any() else float("nan"),
            }
        )
        return GradedRollout(
            packed=packed,
            action=rollout.action.flatten(0, 1),
            text_advantages=text_advantages.flatten() * config.text_coefficient,
            pose_mask=valid.flatten(),
            pose_advantages=pose_advantages.flatten() * config.pose_coefficient * self.rank_loss_weight(valid.sum()),
            reference=reference,
            answered_share=self.rank_loss_weight(packed.has_action.sum()),
        )

    # ---- one update ----

    def loss(self, model: Any, batch: GradedRollout) -> Tensor:
        """Minus the objective, plus the two KL terms."""
        config = self.config
        scores = model(batch.packed)
        text_mask = batch.packed.target_mask
        logp_pose = scores.pose.log_prob(batch.action).flatten(0, 1)  # (M, J)
        if config.ratio == "joint":
            logp_pose = logp_pose.sum(dim=-1)
        if batch.old_logp_text is None or batch.old_logp_pose is None:
            # The first update is on-policy; its own values are the sampling policy's.
            batch.old_logp_text, batch.old_logp_pose = scores.logp_text.detach(), logp_pose.detach()
        objective, metrics = hybrid_objective(
            scores.logp_text,
            batch.old_logp_text,
            text_mask if config.text_coefficient else torch.zeros_like(text_mask),
            batch.text_advantages,
            logp_pose,
            batch.old_logp_pose,
            batch.pose_mask if config.pose_coefficient else torch.zeros_like(batch.pose_mask),
            batch.pose_advantages,
            config.epsilon,
        )
        loss = -objective
        if batch.reference is not None:
            answered = batch.packed.has_action
            old = batch.old_logp_text if config.unbiased_kl else None
            text_kl = token_kl(scores.logp_text, batch.reference.logp_text, text_mask, old)
            pose_kl = torch.where(answered, scores.pose.kl(batch.reference.pose), 0.0).sum() / answered.sum().clamp(1)
            pose_kl = pose_kl * batch.answered_share
            loss = loss + config.beta_text * text_kl + config.beta_pose * pose_kl
            metrics |= {"text/kl": text_kl.item(), "pose/kl": pose_kl.item()}
        self.record(metrics | {"objective": objective.item()})
        if self.args.world_size > 1:  # every process must have a gradient for every weight that the pass touched
            loss = loss + 0.0 * (scores.logp_text.sum() + scores.pose.mean.sum() + scores.pose.scale_tril.sum())
        return loss
