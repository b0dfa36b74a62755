"""Training the classifier of attributes: which statements hold of a person in a picture, by the pose head's features.

The truth is read off the poses that were drawn, by the same posecodes as questions and their answers.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader
from transformers import TrainerCallback

from pose_rft.body import load_body
from pose_rft.data.questions.attributes import rows_by_topic
from pose_rft.data.questions.questions import KINDS, ask
from pose_rft.data.questions.statements import statement_truths, statements
from pose_rft.data.rendering.truths import upright
from pose_rft.data.sample import Sample
from pose_rft.devices import kept_at
from pose_rft.policy import PosePolicy
from pose_rft.policy.hidden_state_cache import CachedModule
from pose_rft.policy.input_embeddings import gather_images
from pose_rft.posescript.measurements import Measurements
from pose_rft.sft.trainer import LengthBatches, LoopConfig, PhaseConfig
from pose_rft.trainer import CheckpointTrainer
from pose_rft.vision.encoded_images import EncodedImages

BATCH = 128  # pictures whose features are computed at once
HEAVIEST = 20.0  # weight of the truths of a statement that next to never holds, or next to always


def truths_of(samples: Sequence[Sample]) -> Tensor:
    """(N, F) int8 of encoded pictures: whether each of ``questions.statements`` holds, -1 where that is not clear."""
    points, standing = _points(samples)
    return torch.from_numpy(statement_truths(standing, Measurements(points).front[:, 2]))


def answers_of(samples: Sequence[Sample]) -> Counter[tuple[str, str]]:
    """How often a question is about what and has which truth, over one about each encoded picture."""
    questions = ask(_points(samples)[1], 0, [kind for kind in KINDS if kind != "describe"])
    return Counter((question.topic, question.truth) for question in questions)


def _points(samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
    """(N, 32, 3) joints and landmarks in the crops' frames, and upright."""
    people = [sample.person for sample in samples if sample.person is not None]
    poses = torch.from_numpy(np.stack([person.pose for person in people]).astype(np.float32))
    points = load_body().points(poses)
    standing = upright(points.numpy(), np.stack([person.up for person in people]))
    return points, torch.from_numpy(standing.astype(np.float32))


def weights_as_asked(truths: Tensor, answers: Counter[tuple[str, str]]) -> tuple[Tensor, Tensor]:
    """(F,) weights of each statement where it holds, and where it fails, for (N, F) truths.

    Clear truths weigh 1 in the mean, and those of one thing as often as it is the answer to a question: an attribute's
    logit is what somebody who asks should believe, who hears yes as often as no. Where sides are compared, all
    statements weigh what the true one does; their failing alone says nothing.
    """
    holds, fails = ((truths == value).sum(dim=0) for value in (1, 0))
    weight_if_true, weight_if_false = torch.zeros(2, truths.shape[1])
    for about, rows in rows_by_topic(statements()).items():
        if alone := len(rows) == 1:
            each, names = torch.cat([holds[rows], fails[rows]]), ["yes", "no"]
        else:
            each, names = holds[rows], [statements()[row].truth for row in rows]
        wanted = torch.tensor([1 + answers[about, name] for name in names])  # one of each, for what is hardly asked
        weights = (wanted / wanted.sum() * each.sum() / each.clamp(min=1)).clamp(max=HEAVIEST)
        weight_if_true[rows] = weights[: len(rows)]
        if alone:
            weight_if_false[rows] = weights[1]
    return weight_if_true, weight_if_false


class CachedAttributeClassifier(CachedModule[Tensor]):
    """Rows of features (N, 22, W) -> logits (N, F)."""

    def forward(self, rows: Tensor) -> Tensor:
        assert self.policy.image_branch is not None
        assert self.policy.image_branch.attribute_classifier is not None
        return self.policy.image_branch.attribute_classifier(
            self.cache[rows.to(self.cache.device)].to(self.policy.device)
        )


class AttributeTrainer(CheckpointTrainer):
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
        assert policy.image_branch is not None
        encoded = gather_images([sample.image for sample in samples if isinstance(sample.image, EncodedImages)])
        assert encoded is not None
        parts = torch.arange(len(encoded)).split(BATCH)
        # The head stands still: its features of a picture are the same at every step.
        features = torch.cat(
            [policy.image_branch.joint_features(encoded.rows(rows).to(policy.device)).cpu() for rows in parts]
        )
        self.truths = truths_of(samples)
        self.weight_if_true, self.weight_if_false = weights_as_asked(self.truths, answers_of(samples))
        about = np.array([statement.topic for statement in statements()])
        self.same_topic = torch.from_numpy(about[:, None] == about).float()
        super().__init__(
            model=CachedAttributeClassifier(policy, features.to(kept_at([features], policy.device))),
            args=loop.training_arguments(phase, output_dir, policy.device.type),
            train_dataset=[],
            callbacks=callbacks,
        )

    def get_train_dataloader(self) -> DataLoader:
        count = len(self.truths)
        batches = LengthBatches([0] * count, self.phase.batch_size, self.loop.seed, pool=1, part=self.rank_slice)
        return DataLoader(
            range(count),  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=lambda rows: {"rows": torch.tensor(rows)},
        )

    def compute_loss(self, model: nn.Module, inputs: dict[str, Tensor], *_: Any, **__: Any) -> Tensor:
        rows = inputs["rows"].cpu()
        logits = model(rows)
        truths = self.truths[rows]
        weight = ((truths > 0) * self.weight_if_true) @ self.same_topic + (truths == 0) * self.weight_if_false
        truths, weight = truths.to(logits.device), weight.to(logits.device)
        losses = binary_cross_entropy_with_logits(logits, truths.clamp(min=0).float(), weight, reduction="sum")
        right = ((logits > 0) == (truths > 0)).float() * weight
        self.record({"loss/attributes": losses / weight.sum(), "right": right.sum() / weight.sum()})
        return losses / weight.sum() * self.rank_loss_weight(weight.sum())
