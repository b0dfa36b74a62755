"""Supervised fine-tuning of poses and words: the pose head on cached hidden states, then adapters and head together.

The frozen language model's hidden states of a caption never change, so the head, which has most to learn, is warmed up
on states that were computed once; only then is the language model touched. Neither phase spends work on padding:
captions of one length go together in the first, and the second packs many into a row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler
from transformers import TrainerCallback, TrainingArguments

from pose_rft.body import BodyModel, load_body
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.config import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Seed, validate
from pose_rft.data.mixtures.weighted import WeightedMixture
from pose_rft.data.sample import Sample, sample_name
from pose_rft.generation.packing import PackedGroups
from pose_rft.policy import PosePolicy
from pose_rft.policy.hidden_state_cache import CachedHead, HiddenStateCache, pack_samples
from pose_rft.policy.mixture import PoseDistribution
from pose_rft.sft.losses import LossWeights, cross_entropy, pose_losses
from pose_rft.trainer import CheckpointTrainer, check_tracker, training_arguments


@dataclass(frozen=True)
class PhaseConfig:
    """One phase of supervised training.

    Attributes:
        samples: how many of the mixture's samples it takes (they are repeated if ``steps`` needs more).
        steps: updates; 0 skips the phase.
        batch_size: samples in an update, divided among the processes of a run.
        learning_rate: peak; warm-up over 3 % of the steps, then cosine to a tenth.
        weight_decay: AdamW's.
    """

    samples: PositiveInt = 20_000
    steps: NonNegativeInt = 1_000
    batch_size: PositiveInt = 128
    learning_rate: PositiveFloat = 5e-4
    weight_decay: NonNegativeFloat = 0.01

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class LoopConfig:
    """The training loop of all phases.

    Attributes:
        row_tokens: tokens in a row of the packed layout.
        max_grad_norm: gradients are clipped to this norm; 0 does not clip.
        seed: of the order of samples.
        save_steps: updates between checkpoints.
        keep_checkpoints: older ones are deleted.
        logging_steps: updates between log lines.
        workers: processes that lay batches out; 0 does it in the training process, as pictures on a GPU do.
        report_to: transformers' integrations: "none", "tensorboard", "wandb", "trackio".
    """

    row_tokens: PositiveInt = 512
    max_grad_norm: NonNegativeFloat = 1.0
    seed: Seed = 0
    save_steps: PositiveInt = 500
    keep_checkpoints: PositiveInt = 2
    logging_steps: PositiveInt = 10
    workers: NonNegativeInt = 0
    report_to: str = "none"

    def __post_init__(self) -> None:
        validate(self)
        check_tracker(self.report_to)

    def training_arguments(self, phase: PhaseConfig, output_dir: str, device: str) -> TrainingArguments:
        return training_arguments(
            output_dir,
            device,
            max_steps=phase.steps,
            per_device_train_batch_size=phase.batch_size,
            learning_rate=phase.learning_rate,
            lr_scheduler_type="cosine_with_min_lr",
            lr_scheduler_kwargs={"min_lr_rate": 0.1},
            warmup_steps=max(1, round(0.03 * phase.steps)),
            weight_decay=phase.weight_decay,
            max_grad_norm=self.max_grad_norm,
            seed=self.seed,
            save_steps=self.save_steps,
            save_total_limit=self.keep_checkpoints,
            logging_steps=self.logging_steps,
            report_to=self.report_to,
            dataloader_num_workers=self.workers,
        )


class LengthBatches(Sampler[list[int]]):
    """Endless batches of samples of nearly one length, in random order.

    Args:
        pool: batches that are sorted by length together.
        part: what a process takes of a batch; one too small to be shared out is left out.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch: int,
        seed: int,
        pool: int = 32,
        part: Callable[[list[int]], list[int]] = list,
    ) -> None:
        self.lengths, self.batch, self.seed, self.pool, self.part = np.asarray(lengths), batch, seed, pool, part

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng(self.seed)
        while True:
            order = rng.permutation(len(self.lengths))
            batches: list[list[int]] = []
            for start in range(0, len(order), self.batch * self.pool):
                part = order[start : start + self.batch * self.pool]
                part = part[np.argsort(self.lengths[part], kind="stable")]
                batches += [part[i : i + self.batch].tolist() for i in range(0, len(part), self.batch)]
            for index in rng.permutation(len(batches)):
                if own := self.part(batches[index]):
                    yield own

    def __len__(self) -> int:
        return 2**31 - 1  # one endless epoch: the run ends by its number of steps


Checks = Sequence[Sequence[str]]


class SupervisedTrainer(CheckpointTrainer):
    """The pose losses, for both phases that train the head; on the bundled body, or on ``body``."""

    def __init__(
        self,
        policy: PosePolicy,
        model: nn.Module,
        phase: PhaseConfig,
        loop: LoopConfig,
        weights: LossWeights,
        output_dir: str,
        callbacks: list[TrainerCallback] | None = None,
        body: BodyModel | None = None,
    ) -> None:
        self.policy, self.phase, self.loop, self.weights = policy, phase, loop, weights
        self.body = body or load_body()
        super().__init__(
            model=model,
            args=loop.training_arguments(phase, output_dir, policy.device.type),
            train_dataset=[],
            callbacks=callbacks,
        )

    def pose_loss(
        self, predicted: PoseDistribution, poses: Tensor, checks: Checks, given: Tensor | None = None
    ) -> Tensor:
        stated = checks if self.weights.checks or self.weights.sampled_checks else None
        sampled = self.weights.sampled_checks > 0
        pose_weight = self.rank_loss_weight(len(poses))
        check_weight = (
            self.rank_loss_weight(sum(bool(statements) for statements in checks)) if stated is not None else 0.0
        )
        if not len(poses):
            return predicted.total() * 0.0
        aligned = self.weights.aligned > 0
        points_of = self.body.points_from_rotations
        given = given if self.weights.turns else None
        losses = pose_losses(self.policy.head, points_of, predicted, poses, stated, sampled, aligned, given)
        self.record({f"loss/{name}": loss for name, loss in losses.items()})
        return sum(
            getattr(self.weights, name) * loss * (check_weight if "checks" in name else pose_weight)
            for name, loss in losses.items()
        )


class HeadTrainer(SupervisedTrainer):
    """Phase 1: only the pose head learns.

    Args:
        samples: N samples that hold a pose.
        cache: their hidden states.
    """

    def __init__(
        self, policy: PosePolicy, samples: Sequence[Sample], cache: HiddenStateCache, *args: Any, **kwargs: Any
    ) -> None:
        self.cache = cache
        self.samples = samples
        self.poses, self.checks = poses_of(samples).to(policy.device), [sample.checks for sample in samples]
        self.given = starts_of(samples).to(policy.device)
        super().__init__(policy, CachedHead(policy, cache), *args, **kwargs)

    def get_train_dataloader(self) -> DataLoader:
        lengths, batch = self.cache.lengths.tolist(), self.phase.batch_size
        batches = LengthBatches(lengths, batch, self.loop.seed, part=self.rank_slice)
        return DataLoader(
            range(len(self.cache)),  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=lambda rows: {"rows": torch.tensor(rows)},
        )

    def compute_loss(self, model: nn.Module, inputs: dict[str, Tensor], *_: Any, **__: Any) -> Tensor:
        rows = inputs["rows"].cpu()
        checks = [self.checks[row] for row in rows.tolist()]
        return self.pose_loss(model(rows), self.poses[rows], checks, self.given[rows])

    def split(self, batch: dict[str, Tensor]) -> list[tuple[str, Any]]:
        return [(sample_name(self.samples[row]), {"rows": torch.tensor([row])}) for row in batch["rows"].tolist()]


class PolicyTrainer(SupervisedTrainer):
    """Phase 3: adapters, ``<POSE>`` embedding and head learn words and poses; under a frozen head, the words alone."""

    def __init__(self, policy: PosePolicy, samples: Sequence[Sample], *args: Any, **kwargs: Any) -> None:
        self.samples = samples
        super().__init__(policy, policy, *args, **kwargs)

    def get_train_dataloader(self) -> DataLoader:
        # What is drawn from one's own data is read when it is drawn, so nobody knows its length and whether it has a
        # picture.
        unread = isinstance(self.samples, WeightedMixture)
        lengths = [0] * len(self.samples) if unread else [len(each.prompt) + len(each.answer) for each in self.samples]
        # Workers are forked from this process, and what is forked cannot use its GPU: whether prompts are shared is
        # found out here, and there pictures are read here too.
        _ = self.policy.language_model.supports_prefix_sharing
        pictured = unread or any(sample.image is not None for sample in self.samples)
        workers = 0 if pictured and self.policy.device.type != "cpu" else self.loop.workers
        # Packing needs no equal lengths; a pool of one batch keeps the order random.
        batches = LengthBatches(lengths, self.phase.batch_size, self.loop.seed, pool=1, part=self.rank_slice)
        return DataLoader(
            range(len(self.samples)),  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=self._collate,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
        )

    def _collate(self, rows: list[int]) -> dict[str, Any]:
        samples = [self.samples[row] for row in rows]
        packed = pack_samples(self.policy, samples, self.loop.row_tokens)
        checks = [sample.checks for sample in samples if sample.pose is not None]
        given = starts_of(samples)
        return {"packed": packed, "poses": poses_of(samples), "checks": checks, "given": given, "rows": rows}

    def split(self, batch: dict[str, Any]) -> list[tuple[str, Any]]:
        return [(sample_name(self.samples[row]), self._collate([row])) for row in batch["rows"]]

    def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
        packed: PackedGroups = inputs["packed"].to(self.policy.device)
        scores = model(packed)
        text = cross_entropy(scores.logp_text, packed.target_mask)
        self.record({"loss/text": text})
        loss = self.weights.text * text * self.rank_loss_weight(packed.target_mask.sum())
        if any(weight.requires_grad for head in self.policy.heads for weight in head.parameters()):
            poses = inputs["poses"].to(self.policy.device)
            given = inputs["given"].to(self.policy.device)
            loss = loss + self.pose_loss(scores.pose[packed.has_action], poses, inputs["checks"], given)
        return loss


def poses_of(samples: Sequence[Sample]) -> Tensor:
    """(N, 22, 3) axis-angle, of the N samples that hold a pose."""
    poses = [sample.pose for sample in samples if sample.pose is not None]
    return torch.from_numpy(np.stack(poses).astype(np.float32)) if poses else torch.zeros(0, 22, 3)


def starts_of(samples: Sequence[Sample]) -> Tensor:
    """(N, 22, 3) axis-angle, the first given poses of the N samples that hold a pose; NaN where there is none."""
    none = np.full((NUM_JOINTS, 3), np.nan, np.float32)
    given = [sample.poses[0] if sample.poses else none for sample in samples if sample.pose is not None]
    return torch.from_numpy(np.stack(given).astype(np.float32)) if given else torch.zeros(0, NUM_JOINTS, 3)
