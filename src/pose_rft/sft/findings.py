"""Training the classifier of findings: which statements hold of a person in a picture, by the pose head's features.

The truth is read off the poses that were drawn, by the same posecodes as questions and their answers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader
from transformers import TrainerCallback

from pose_rft.body import load_body
from pose_rft.data.questions import statement_truths
from pose_rft.data.renders import upright
from pose_rft.data.sample import Sample
from pose_rft.policy import PosePolicy
from pose_rft.policy.prompts import gather
from pose_rft.policy.sight import Seen
from pose_rft.policy.states import OnCache
from pose_rft.posescript.measurements import Measurements
from pose_rft.sft.trainer import LengthBatches, LoopConfig, PhaseConfig
from pose_rft.training import CheckpointTrainer

BATCH = 128  # pictures whose features are computed at once
HEAVIEST = 20.0  # weight of the truths of a statement that next to never holds, or next to always


def truths_of(samples: Sequence[Sample]) -> Tensor:
    """(N, F) int8 of encoded pictures: whether each of ``questions.statements`` holds, -1 where that is not clear."""
    poses = torch.from_numpy(np.stack([sample.extra["pose"] for sample in samples]).astype(np.float32))
    joints = load_body().joints(poses)
    standing = upright(joints.numpy(), np.stack([sample.extra["up"] for sample in samples]))
    front = Measurements(joints).front[:, 2]
    return torch.from_numpy(statement_truths(torch.from_numpy(standing.astype(np.float32)), front))


def balanced_weights(truths: Tensor) -> Tensor:
    """(2, F) for (N, F) truths: weights of a statement that fails and of one that holds, each half of what is clear.

    So a finding holds "more likely than not" for somebody who is asked about it, who hears yes as often as no.
    """
    counts = torch.stack([(truths == value).sum(dim=0) for value in (0, 1)]).double()
    return (counts.sum(dim=0) / (2 * counts.clamp(min=1))).clamp(max=HEAVIEST).float()


class FindingsOnFeatures(OnCache[Tensor]):
    """Rows of features (N, 22, W) -> logits (N, F)."""

    def forward(self, rows: Tensor) -> Tensor:
        assert self.policy.sight is not None
        assert self.policy.sight.findings is not None
        return self.policy.sight.findings(self.cache[rows].to(self.policy.device))


class FindingsTrainer(CheckpointTrainer):
    """Only the classifier learns.

    Args:
        samples: N encoded pictures.
    """

    def __init__(
        self,
        policy: PosePolicy,
        samples: Sequence[Sample],
        phase: PhaseConfig,
        loop: LoopConfig,
        output_dir: str,
        callbacks: list[TrainerCallback] | None = None,
    ) -> None:
        self.phase, self.loop = phase, loop
        assert policy.sight is not None
        seen = gather([sample.image for sample in samples if isinstance(sample.image, Seen)])
        assert seen is not None
        parts = torch.arange(len(seen)).split(BATCH)
        # The head stands still: its features of a picture are the same at every step.
        features = [policy.sight.joint_features(seen.rows(rows).to(policy.device)).cpu() for rows in parts]
        self.truths = truths_of(samples)
        self.weights = balanced_weights(self.truths)
        super().__init__(
            model=FindingsOnFeatures(policy, torch.cat(features)),
            args=loop.training_arguments(phase, output_dir, policy.device.type),
            train_dataset=[],
            callbacks=callbacks,
        )

    def get_train_dataloader(self) -> DataLoader:
        count = len(self.truths)
        batches = LengthBatches([0] * count, self.phase.batch_size, self.loop.seed, pool=1, part=self.own_part)
        return DataLoader(
            range(count),  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=lambda rows: {"rows": torch.tensor(rows)},
        )

    def compute_loss(self, model: nn.Module, inputs: dict[str, Tensor], *_: Any, **__: Any) -> Tensor:
        rows = inputs["rows"].cpu()
        logits = model(rows)
        truths = self.truths[rows].to(logits.device)
        weights = self.weights.to(logits.device)
        weight = torch.where(truths < 0, 0.0, torch.where(truths > 0, weights[1], weights[0]))
        losses = binary_cross_entropy_with_logits(logits, truths.clamp(min=0).float(), weight, reduction="sum")
        right = ((logits > 0) == (truths > 0)).float() * weight
        self.record({"loss/findings": losses / weight.sum(), "right": right.sum() / weight.sum()})
        return losses / weight.sum() * self.share(weight.sum())
