"""Training of the text-pose retrieval model, and how good it is.

Symmetric InfoNCE (van den Oord et al., 2018) with a learned temperature, as in CLIP. One departure: a pose of the batch
that also does what a text says is no negative for it. That is so if they share text or pose, or if the pose fulfils all
checks of the text. Captions are short and poses alike, so a batch holds many such pairs.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from pose_rft.body import load_body
from pose_rft.data.mixtures import MixtureConfig, text_to_pose_mixture
from pose_rft.data.sample import Sample
from pose_rft.devices import pick_device
from pose_rft.errors import UserError
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.retrieval import RetrievalModel, RetrievalSettings
from pose_rft.posescript.retrieval_words import build_vocabulary

MAX_SCALE = math.log(100.0)  # CLIP's bound on the inverse temperature
RANKS = (1, 5, 10)
Report = Callable[[int, int, float], None]


@dataclass(frozen=True)
class RetrievalTraining:
    """How to train.

    Attributes:
        settings: of the model.
        steps: optimiser steps.
        batch_size: pairs of a step; every pair has the others as negatives.
        learning_rate: peak, after a linear rise over the first tenth of the steps; then a cosine to zero.
        weight_decay: of AdamW.
        forget_words: share of the words that must be read by their n-grams.
        pose_noise: radians; standard deviation of the noise added to the axis-angle of training poses.
        seed: of initial weights, order and noise.
    """

    settings: RetrievalSettings = field(default_factory=RetrievalSettings)
    steps: int = 1500
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    forget_words: float = 0.05
    pose_noise: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class RetrievalConfig:
    """A run of `pose-rft retrieval train`.

    Attributes:
        output: the model's file, .safetensors.
        samples: training pairs to draw from the mixture.
        held_out: pairs of another seed to judge it by.
        data: what the pairs are made of; talk without a pose is left out.
        training: how to train.
        processes: that draw samples.
        device: "auto", "cpu", "cuda", ...
    """

    output: str = "runs/retrieval/reward.safetensors"
    samples: int = 60_000
    held_out: int = 1_000
    data: MixtureConfig = field(default_factory=lambda: MixtureConfig(chat=0.0))
    training: RetrievalTraining = field(default_factory=RetrievalTraining)
    processes: int = 1
    device: str = "auto"

    def __post_init__(self) -> None:
        if min(self.held_out, self.training.steps, self.training.batch_size) < 2:
            raise UserError("held_out, training.steps and training.batch_size must be at least 2")


def train(config: RetrievalConfig) -> dict[str, float]:
    """Draw pairs, train with a progress bar, print recall and agreement on held-out pairs, and save the model.

    Returns:
        the metrics of `evaluate_retrieval`.

    Raises:
        UserError: nothing to draw from, too few pairs, or an output that cannot be written.
    """
    console = Console(stderr=True)
    folder = Path(config.output).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)  # an output that cannot be written is told before minutes of work
    except OSError as error:
        raise UserError(f"{config.output}: cannot be written ({error.strerror}); choose another output") from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"{config.output}: its folder cannot be written to; choose another output")
    seed = config.training.seed
    console.print("drawing pairs of text and pose")
    samples = text_to_pose_mixture(config.samples, seed, config.data, config.processes)
    held_out = distinct(text_to_pose_mixture(config.held_out, seed + 1, config.data))
    columns = (TextColumn("retrieval"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"))
    with Progress(*columns, TimeRemainingColumn(), TextColumn("loss {task.fields[loss]:.3f}"), console=console) as bar:
        task = bar.add_task("", total=config.training.steps, loss=math.nan)
        model = train_retrieval(
            samples,
            config.training,
            report=lambda step, _, loss: bar.update(task, completed=step, loss=loss),
            device=pick_device(config.device),
        )
    path = model.save(config.output)
    metrics = evaluate_retrieval(RetrievalModel.load(path), held_out)
    for name, value in metrics.items():
        console.print(f"{name} {value:.3g}", highlight=False)
    console.print(f"{len(held_out)} held-out pairs. Written to {path}", highlight=False)
    return metrics


def train_retrieval(
    samples: Sequence[Sample],
    training: RetrievalTraining,
    report: Report | None = None,
    device: str | torch.device = "cpu",
) -> RetrievalModel:
    """Fit a model to pairs of prompt and pose; samples without a pose are left out.

    Args:
        samples: the training pairs.
        training: how.
        report: called after every step with (step, steps, loss), for a progress bar.
        device: where to train. The model comes back on the CPU, in evaluation mode.

    Raises:
        UserError: fewer pairs than a batch.
    """
    pairs = [sample for sample in samples if sample.pose is not None]
    if len(pairs) < training.batch_size:
        raise UserError(f"{len(pairs)} pairs of text and pose are fewer than batch_size {training.batch_size}")
    poses = stacked_poses(pairs).to(device)  # (P, 22, 3)
    joints = load_body().joints(poses)  # (P, 22, 3)
    text_id = _identity([pair.prompt for pair in pairs]).to(device)  # (P,)
    pose_id = _identity([pose.tobytes() for pose in poses.cpu().numpy()]).to(device)

    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        vocabulary = build_vocabulary([pair.prompt for pair in pairs], training.settings.vocabulary_size)
        model = RetrievalModel(training.settings, vocabulary).to(device).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=training.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _learning_rate(step, training))
        batches = _batches(len(pairs), training)
        for step in range(training.steps):
            batch = next(batches)  # (N,)
            chosen = [pairs[i] for i in batch.tolist()]
            batch = batch.to(device)
            noisy = poses[batch] + training.pose_noise * torch.randn(len(batch), 22, 3).to(device)
            text = normalize(model.text([pair.prompt for pair in chosen], training.forget_words), dim=-1)
            pose = normalize(model.pose(noisy), dim=-1)
            fits = (text_id[batch, None] == text_id[batch]) | (pose_id[batch, None] == pose_id[batch])
            fits |= shares([pair.checks for pair in chosen], joints[batch]) == 1  # NaN where a text has no checks
            loss = contrastive_loss(text, pose, model.log_scale.exp(), fits)
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


def contrastive_loss(text: Tensor, pose: Tensor, scale: Tensor, fits: Tensor) -> Tensor:
    """Symmetric InfoNCE: every text must find its pose among the batch's poses, and every pose its text.

    Args:
        text, pose: (N, D) unit vectors; row i of one belongs to row i of the other.
        scale: () inverse temperature.
        fits: (N, N) bool, text i is also true of pose j: no negative.

    Returns:
        () mean of both cross-entropies, nats.
    """
    other = fits & ~torch.eye(len(text), dtype=torch.bool, device=text.device)
    logits = (scale * text @ pose.T).masked_fill(other, -torch.inf)
    target = torch.arange(len(text), device=text.device)
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


def shares(checks: Sequence[Sequence[str]], joints: Tensor) -> Tensor:
    """(T, N) share of the checks of text t that pose n fulfils, NaN where a text has none.

    Args:
        checks: the checks of T texts.
        joints: (N, 22, 3) metres.
    """
    column = {check: number for number, check in enumerate(dict.fromkeys(c for each in checks for c in each))}
    stated = torch.zeros(len(checks), len(column))  # (T, C)
    for row, each in enumerate(checks):
        for check in each:
            stated[row, column[check]] = 1
    held = satisfied(list(column), joints).float()  # (N, C)
    stated = stated.to(held)
    return (stated @ held.T) / stated.sum(1, keepdim=True)


def evaluate_retrieval(model: RetrievalModel, samples: Sequence[Sample]) -> dict[str, float]:
    """`recall` and `agreement` of a model on held-out samples; those without a pose are left out."""
    pairs = [sample for sample in samples if sample.pose is not None]
    poses = stacked_poses(pairs)
    device = model.log_scale.device
    text, pose = model.embed_text([pair.prompt for pair in pairs]), model.embed_pose(poses.to(device))
    share = shares([pair.checks for pair in pairs], load_body().joints(poses).to(device))
    return recall(text, pose) | {"agreement": agreement(text @ pose.T, share)}


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


def agreement(scores: Tensor, share: Tensor) -> float:
    """How well a model ranks poses by what the text states: the mean over texts of Spearman's rank correlation.

    Args:
        scores: (T, N) of text t and pose n.
        share: (T, N) of the text's checks that the pose fulfils; rows that are NaN or constant are left out.

    Returns:
        -1 to 1; NaN if no row is left.
    """
    rows = [
        np.corrcoef(_ranks(score), _ranks(truth))[0, 1]
        for score, truth in zip(scores.cpu().numpy(), share.cpu().numpy(), strict=True)
        if truth.min() < truth.max()  # false for NaN
    ]
    return float(np.mean(rows)) if rows else math.nan


def distinct(samples: Sequence[Sample]) -> list[Sample]:
    """The samples with a pose, the first of each text and the first of each pose."""
    texts: set[str] = set()
    poses: set[bytes] = set()
    kept = []
    for sample in samples:
        if sample.pose is None or sample.prompt in texts or sample.pose.tobytes() in poses:
            continue
        texts.add(sample.prompt)
        poses.add(sample.pose.tobytes())
        kept.append(sample)
    return kept


def stacked_poses(samples: Sequence[Sample]) -> Tensor:
    """(P, 22, 3) float32 poses of samples that all have one."""
    return torch.from_numpy(np.stack([sample.pose for sample in samples if sample.pose is not None])).float()


def _identity(things: Sequence[str | bytes]) -> Tensor:
    """(P,) a number per distinct thing."""
    number: dict[str | bytes, int] = {}
    return torch.tensor([number.setdefault(thing, len(number)) for thing in things])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, the mean rank where values are equal."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[group]


def _learning_rate(step: int, training: RetrievalTraining) -> float:
    rise = max(1, training.steps // 10)  # shorter, and the two sides collapse onto each other at first
    if step < rise:
        return training.learning_rate * (step + 1) / rise
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, training.steps - rise)))


def _batches(pairs: int, training: RetrievalTraining) -> Iterator[Tensor]:
    """Endless batches of indices, (batch_size,), a new order every epoch."""
    while True:
        for batch in torch.randperm(pairs).split(training.batch_size):
            if len(batch) == training.batch_size:
                yield batch
