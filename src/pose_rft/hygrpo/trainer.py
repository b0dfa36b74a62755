"""The HyGRPO trainer: moves data between a policy, the rewards and the pure functions of the algorithm.

How it departs from the paper: K poses are drawn for every answer (the paper draws one), their advantage can be
normalised within the answer, ratios can be taken per joint, those of words are per token, and the Gaussian's KL is in
closed form. With ``poses_per_answer=1, pose_group="prompt", text_ratio="answer"`` it is the paper's algorithm. See
docs/hygrpo.md.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler
from transformers import TrainerCallback

from pose_rft.errors import UserError
from pose_rft.generation.packing import PackedGroups
from pose_rft.generation.random_streams import prompt_seeds
from pose_rft.hygrpo.advantages import group_advantages, per_reward_advantages
from pose_rft.hygrpo.config import HyGRPOConfig
from pose_rft.hygrpo.objective import hybrid_objective, mean_by_group, text_log_ratio, token_kl
from pose_rft.rewards.grades import Grades
from pose_rft.trainer import CheckpointTrainer


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
        num_answers: int,
        num_poses: int,
        temperature: float,
        seeds: Sequence[int],
        max_new_tokens: int,
    ) -> Rollout:
        """Sample G texts to each prompt and K actions to each text; a prompt's seed alone decides what it gets."""

    def pack(self, rollout: Any, row_tokens: int) -> PackedGroups: ...

    def __call__(self, packed: PackedGroups, temperature: float) -> Any:
        """Scores: ``.logp_text`` (N, T) and ``.pose``, an ActionDistribution of N, both as ``rollout`` samples."""

    def as_reference(self) -> AbstractContextManager[None]: ...


class GradedItems(Protocol):
    """What the rewards say of a rollout: grades of texts (B, G) and of poses (B, G, K)."""

    @property
    def text(self) -> Grades: ...
    @property
    def pose(self) -> Grades: ...
    @property
    def metrics(self) -> dict[str, float]: ...  # for the log


Grade = Callable[[int, Sequence[Any], Any], GradedItems]  # (step, samples, rollout)


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


@dataclass(frozen=True)
class GradedRollout:
    """A rollout, ready for its updates: everything flat over N = B*G answers and M = N*K poses."""

    packed: PackedGroups
    action: Tensor  # (N, K, J, D)
    text_advantages: Tensor  # (N,)
    pose_mask: Tensor  # (M,)
    pose_advantages: Tensor  # (M,)
    reference: Any  # scores of the reference policy, or None
    pose_groups: int = 1  # see hybrid_objective
    answered_weight: float = 1.0  # see CheckpointTrainer.rank_loss_weight


@dataclass(frozen=True)
class LogProbs:
    """Log-probabilities of a rollout under one policy."""

    text: Tensor  # (N, T)
    pose: Tensor  # (M,), or (M, J) of the joints

    def detach(self) -> "LogProbs":
        return LogProbs(self.text.detach(), self.pose.detach())


def _check_actions(samples: Sequence[Any], rollout: Rollout) -> None:
    finite = rollout.action.flatten(1).isfinite().all(dim=1)  # (B,)
    if not finite.all():
        prompt = samples[int((~finite).nonzero()[0])].prompt
        raise FloatingPointError(f"the policy's poses are not finite (prompt {prompt[:80]!r})")


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
        self._rollout: GradedRollout | None = None
        self._old: LogProbs | None = None
        super().__init__(
            model=policy,
            args=config.training_arguments(output_dir, next(policy.parameters()).device.type),
            train_dataset=samples,
            callbacks=callbacks,
        )
        if config.prompts_per_step % self.args.world_size:
            raise UserError(
                f"prompts_per_step is {config.prompts_per_step}, which {self.args.world_size} processes cannot "
                "divide evenly; choose a multiple"
            )

    def get_train_dataloader(self) -> DataLoader[Any]:
        config = self.config
        batches = RepeatedBatches(
            len(self.samples), config.prompts_per_step, config.updates_per_rollout, config.seed, self.rank_slice
        )
        return DataLoader(
            self.samples,  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=lambda samples: {"samples": samples},
        )

    @property
    def is_last_update(self) -> bool:
        """Whether the present update is the last one of its rollout."""
        return bool((self.state.global_step + 1) % self.config.updates_per_rollout == 0)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
        if self.state.global_step % self.config.updates_per_rollout == 0:
            self._rollout, self._old = self.collect(inputs["samples"]), None
        assert self._rollout is not None  # checkpoints fall between rollouts, so a resumed run starts with one
        loss, logp = self.loss(model, self._rollout, self._old)
        if self._old is None:  # the first update is on-policy: its own values are the sampling policy's
            self._old = logp.detach()
        return loss

    # ---- one rollout ----

    def collect(self, samples: Sequence[Any]) -> GradedRollout:
        """Act, grade, and turn grades into advantages."""
        config = self.config
        policy: HybridPolicy = self.accelerator.unwrap_model(self.model)
        step = self.state.global_step // config.updates_per_rollout
        first = self.args.process_index * len(samples)  # of the whole batch's prompts
        rollout = policy.rollout(
            samples,
            num_answers=config.answers_per_prompt,
            num_poses=config.poses_per_answer,
            temperature=config.temperature,
            seeds=prompt_seeds(config.seed, step, range(first, first + len(samples))),
            max_new_tokens=config.max_new_tokens,
        )
        _check_actions(samples, rollout)
        graded = self.grade(step, samples, rollout)
        device = rollout.action.device
        text, pose = graded.text.to(device), graded.pose.to(device).where(rollout.valid[:, :, None])
        if config.text_sees_pose_rewards:
            text = text.beside(pose.of_answers())
        prompts, answers = rollout.valid.shape
        text_advantages = self.advantages(text, prompts)
        pose_advantages = self.advantages(pose, prompts if config.pose_group == "prompt" else prompts * answers)

        packed = policy.pack(rollout, config.row_tokens).to(device)
        reference = None
        if config.beta_text or config.beta_pose:
            with policy.as_reference():
                reference = policy(packed, config.temperature)
        pose_mask = pose.graded.flatten()
        lengths = [len(answer) for group in rollout.answer_ids for answer in group]
        self.record(
            graded.metrics
            | {
                "valid_share": rollout.valid.float().mean().item(),
                "text/length": sum(lengths) / len(lengths),
                "text/reward": text.total.mean().item(),
                "pose/reward": pose.total[pose.graded].mean().item() if pose_mask.any() else float("nan"),
            }
        )
        return GradedRollout(
            packed=packed,
            action=rollout.action.flatten(0, 1),
            text_advantages=text_advantages.flatten() * config.text_coefficient,
            pose_mask=pose_mask,
            pose_advantages=pose_advantages.flatten() * config.pose_coefficient * self.pose_weight(pose_mask, prompts),
            reference=reference,
            pose_groups=prompts if config.pose_average == "prompt" else 1,
            answered_weight=self.pose_weight(packed.has_action, prompts),
        )

    def advantages(self, grades: Grades, groups: int) -> Tensor:
        """Advantages (groups, items of a group), of items that stand group by group."""
        config, total = self.config, grades.total.reshape(groups, -1)
        if config.advantage_scale == "per_reward":
            values = grades.values.reshape(-1, *total.shape)
            return per_reward_advantages(values, grades.weights, config.std_floor)
        return group_advantages(total, grades.graded.reshape(total.shape), config.advantage_scale, config.std_floor)

    def pose_weight(self, mask: Tensor, prompts: int) -> float:
        """Weight of this process's mean over what is true in ``mask``, the same number of places for each prompt."""
        by_prompt = mask.reshape(prompts, -1)
        return self.rank_loss_weight(
            (by_prompt.any(dim=1) if self.config.pose_average == "prompt" else by_prompt).sum()
        )

    # ---- one update ----

    def loss(self, model: Any, rollout: GradedRollout, old: LogProbs | None) -> tuple[Tensor, LogProbs]:
        """Minus the objective, plus the two KL terms.

        Args:
            old: of the policy that made the rollout; None if ``model`` still is that policy.

        Returns:
            A scalar, and the log-probabilities under ``model``, with their gradient.
        """
        config = self.config
        scores = model(rollout.packed, config.temperature)
        text_mask = rollout.packed.target_mask
        logp_pose = scores.pose.log_prob(rollout.action).flatten(0, 1)  # (M, J)
        if config.pose_ratio == "joint":
            logp_pose = logp_pose.sum(dim=-1)
        elif logp_pose.shape[-1] == 1:
            raise UserError("pose_ratio: per_joint: a mixture's likelihood is no product over joints; take joint")
        logp = LogProbs(scores.logp_text, logp_pose)
        if old is None:
            old = logp.detach()
        objective, metrics = hybrid_objective(
            logp.text,
            old.text,
            text_mask if config.text_coefficient else torch.zeros_like(text_mask),
            rollout.text_advantages,
            logp.pose,
            old.pose,
            rollout.pose_mask if config.pose_coefficient else torch.zeros_like(rollout.pose_mask),
            rollout.pose_advantages,
            config.epsilon,
            config.text_ratio,
            rollout.pose_groups,
        )
        loss = -objective
        if not self.is_last_update:
            metrics = {}  # ratios have gone farthest in the last one
        if rollout.reference is not None:
            log_ratio = None
            if config.unbiased_kl:
                log_ratio = text_log_ratio(logp.text, old.text, text_mask, config.text_ratio)
            text_kl = token_kl(logp.text, rollout.reference.logp_text, text_mask, log_ratio)
            pose_kl = scores.pose.kl(rollout.reference.pose)  # (N,)
            pose_kl = mean_by_group(pose_kl, rollout.packed.has_action, rollout.pose_groups) * rollout.answered_weight
            loss = loss + config.beta_text * text_kl + config.beta_pose * pose_kl
            metrics |= {"text/kl": text_kl.item(), "pose/kl": pose_kl.item()}
        self.record(metrics | {"objective": objective.item()})
        if self.args.world_size > 1:  # every process must have a gradient for every weight that the pass touched
            loss = loss + 0.0 * (scores.logp_text.sum() + scores.pose.total())
        return loss, logp
