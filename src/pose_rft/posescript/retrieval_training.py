"""Training of the text-pose retrieval model, and its recall.

Symmetric InfoNCE (van den Oord et al., 2018) with a learned temperature, as in CLIP. One departure: pairs of a batch
that share their text, or their pose, are not each other's negatives, because generated captions repeat.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.posescript.retrieval import RetrievalModel, RetrievalSettings
from pose_rft.posescript.retrieval_words import build_vocabulary

MAX_SCALE = math.log(100.0)  # CLIP's bound on the inverse temperature
RANKS = (1, 5, 10)
Report = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True)
class RetrievalTraining:
    """How to train.

    Attributes:
        settings: of the model.
        steps: optimiser steps.
        batch_size: pairs of a step; every pair has the others as negatives.
        learning_rate: peak, after a linear rise over the first 5 % of the steps; then a cosine to zero.
        weight_decay: of AdamW.
        forget_words: share of the words of a step that must be read by their n-grams.
        pose_noise: radians; standard deviation of the noise added to the axis-angle of training poses.
        seed: of initial weights, order and noise.
    """

    settings: RetrievalSettings = field(default_factory=RetrievalSettings)
    steps: int = 1500
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    forget_words: float = 0.1
    pose_noise: float = 0.03
    seed: int = 0


def contrastive_loss(text: Tensor, pose: Tensor, scale: Tensor, same: Tensor) -> Tensor:
    """Symmetric InfoNCE: every text must find its pose among the batch's poses, and every pose its text.

    Args:
        text, pose: (N, D) unit vectors; row i of one belongs to row i of the other.
        scale: () inverse temperature.
        same: (N, N) bool, pairs i and j share their text or pose and are left out as negatives.

    Returns:
        () mean of both cross-entropies, nats.
    """
    other = same & ~torch.eye(len(text), dtype=torch.bool, device=text.device)
    logits = (scale * text @ pose.T).masked_fill(other, -torch.inf)
    target = torch.arange(len(text), device=text.device)
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


def recall(text: Tensor, pose: Tensor) -> dict[str, float]:
    """Recall over the full gallery, both ways, in percent.

    Args:
        text, pose: (N, D) unit vectors; row i of one belongs to row i of the other.

    Returns:
        `text_to_pose/recall@1`, `@5`, `@10`, the same for `pose_to_text`, and `mean_recall`, the mean of the six.
        The rank of the right item is 1 + the number of better ones + half the number of equal ones, so that a
        model that gives everything the same score has the recall of chance, not 100.
    """
    scores = text @ pose.T  # (N, N)
    metrics: dict[str, float] = {}
    for way, table in (("text_to_pose", scores), ("pose_to_text", scores.T)):
        right = table.diagonal().unsqueeze(1)  # (N, 1)
        not_worse = (~(table < right)).sum(1)  # (N,), the right one included; NaN counts as better
        rank = not_worse - ((table == right).sum(1) - 1) / 2
        metrics |= {f"{way}/recall@{k}": 100 * (rank <= k).float().mean().item() for k in RANKS}
    metrics["mean_recall"] = float(np.mean(list(metrics.values())))
    return metrics


def train_retrieval(
    samples: Sequence[Sample], training: RetrievalTraining, report: Report | None = None, offsets: Tensor | None = None
) -> RetrievalModel:
    """Fit a model to pairs of prompt and pose; samples without a pose are left out.

    Args:
        samples: the training pairs.
        training: how.
        report: called after every step with (step, steps, loss), for a progress bar.
        offsets: (22, 3) bone offsets, metres; those of the bundled body unless given.

    Raises:
        UserError: fewer pairs than a batch.
    """
    pairs = [(sample.prompt, sample.pose) for sample in samples if sample.pose is not None]
    if len(pairs) < training.batch_size:
        raise UserError(f"{len(pairs)} pairs of text and pose are fewer than batch_size {training.batch_size}")
    texts = [text for text, _ in pairs]
    poses = torch.from_numpy(np.stack([pose for _, pose in pairs])).float()  # (P, 22, 3)
    text_id = _identity(texts)
    pose_id = _identity([pose.tobytes() for _, pose in pairs])

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        vocabulary = build_vocabulary(texts, training.settings.vocabulary_size)
        model = RetrievalModel(training.settings, vocabulary, offsets).to(device).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=training.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _learning_rate(step, training))
        order = _batches(len(pairs), training)
        for step in range(training.steps):
            batch = next(order)  # (N,)
            noisy = poses[batch] + training.pose_noise * torch.randn(len(batch), 22, 3)
            text = normalize(model.text([texts[i] for i in batch.tolist()], training.forget_words), dim=-1)
            pose = normalize(model.pose(noisy.to(device)), dim=-1)
            same = (text_id[batch, None] == text_id[batch]) | (pose_id[batch, None] == pose_id[batch])
            loss = contrastive_loss(text, pose, model.log_scale.exp(), same.to(device))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                model.log_scale.clamp_(max=MAX_SCALE)
            if report is not None:
                report(step + 1, training.steps, loss.item())
    return model.cpu().eval()


def evaluate_retrieval(model: RetrievalModel, samples: Sequence[Sample]) -> dict[str, float]:
    """`recall` of a model on held-out samples; those without a pose are left out."""
    pairs = [(sample.prompt, sample.pose) for sample in samples if sample.pose is not None]
    poses = torch.from_numpy(np.stack([pose for _, pose in pairs])).float()
    return recall(model.embed_text([text for text, _ in pairs]), model.embed_pose(poses.to(model.log_scale.device)))


def _identity(things: Sequence[str | bytes]) -> Tensor:
    """(P,) a number per distinct thing."""
    number: dict[str | bytes, int] = {}
    return torch.tensor([number.setdefault(thing, len(number)) for thing in things])


def _learning_rate(step: int, training: RetrievalTraining) -> float:
    rise = max(1, training.steps // 20)
    if step < rise:
        return training.learning_rate * (step + 1) / rise
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, training.steps - rise)))


def _batches(pairs: int, training: RetrievalTraining) -> Iterator[Tensor]:
    """Endless batches of indices, (batch_size,), a new order every epoch."""
    while True:
        for batch in torch.randperm(pairs).split(training.batch_size):
            if len(batch) == training.batch_size:
                yield batch
