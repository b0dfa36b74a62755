"""Training of the text-pose retrieval models, and how good they are.

Symmetric InfoNCE (van den Oord et al., 2018) with a learned temperature, as in CLIP. Two departures. A pose of the
batch that also does what a text says is no negative for it: that is so if they share text or pose, or if the pose
fulfils all checks of the text. Captions are short and poses alike, so a batch holds many such pairs. And on either side
a linear layer, thrown away after training, has to read the posecodes off the embedding: those that clearly hold, and
those that the caption states: that says far more of a pair than which of 256 it is.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize

from pose_rft.body import load_body
from pose_rft.config import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, Range, Seed, validate
from pose_rft.data.mixtures.text_to_pose import MixtureConfig
from pose_rft.data.mixtures.training import training_samples, without_image
from pose_rft.data.sample import Sample
from pose_rft.data.splits import OTHER_PART
from pose_rft.devices import pick_device
from pose_rft.errors import UserError
from pose_rft.posescript.checks import satisfied, tabulated
from pose_rft.posescript.posecodes import classify, load_posecodes
from pose_rft.retrieval.model import RetrievalModel, RetrievalSettings
from pose_rft.retrieval.ranks import rankings_agree, retrieval_ranks
from pose_rft.retrieval.words import build_vocabulary
from pose_rft.storage import atomic_file, ensure_writable

MAX_SCALE = math.log(100.0)  # CLIP's bound on the inverse temperature
RANKS = (1, 5, 10)
AtLeastTwo = Annotated[int, Range(2)]
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
        posecodes: weight of the posecodes' cross-entropy beside the contrastive loss, at first; it falls to zero
            linearly. 0 leaves them out.
        seed: of initial weights, order and noise.
    """

    settings: RetrievalSettings = field(default_factory=RetrievalSettings)
    steps: AtLeastTwo = 1500
    batch_size: AtLeastTwo = 256
    learning_rate: PositiveFloat = 3e-3
    weight_decay: NonNegativeFloat = 0.05
    forget_words: Fraction = 0.05
    pose_noise: NonNegativeFloat = 0.05
    posecodes: NonNegativeFloat = 150.0
    seed: Seed = 0

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class RetrievalConfig:
    """A run of `pose-rft retrieval train`.

    Attributes:
        output: the model's file, .safetensors.
        samples: training pairs to draw from the mixture.
        held_out: pairs to judge it by: of another seed and, if `data.part` names one part, of the other part's poses;
            of one's own data the lines of split test.
        data: what the pairs are made of; talk without a pose is left out.
        training: how to train.
        processes: that draw samples.
        device: "auto", "cpu", "cuda", ...
    """

    output: str = "runs/retrieval/reward.safetensors"
    samples: PositiveInt = 60_000
    held_out: AtLeastTwo = 1_000
    data: MixtureConfig = field(default_factory=lambda: MixtureConfig(chat=0.0))
    training: RetrievalTraining = field(default_factory=RetrievalTraining)
    processes: PositiveInt = 1
    device: str = "auto"

    def __post_init__(self) -> None:
        validate(self)


def train(config: RetrievalConfig) -> dict[str, float]:
    """Draw pairs, train with a progress bar, print recall and agreement on held-out pairs, and save the model.

    Returns:
        the metrics of `evaluate_retrieval`.

    Raises:
        UserError: nothing to draw from, too few pairs, or an output that cannot be written.
    """
    console = Console(stderr=True)
    ensure_writable(Path(config.output))
    seed = config.training.seed
    console.print("drawing pairs of text and pose")
    samples = training_samples(config.samples, seed, config.data, config.processes, without_image)
    unseen = replace(config.data, part=OTHER_PART[config.data.part])
    held_out = distinct(training_samples(config.held_out, seed + 1, unseen, 1, without_image, "test"))
    checkpoint = Path(config.output).absolute().with_suffix(".checkpoint.safetensors")
    if checkpoint.is_file():
        console.print(f"going on from {checkpoint}", highlight=False)
    columns = (TextColumn("retrieval"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"))
    with Progress(*columns, TimeRemainingColumn(), TextColumn("loss {task.fields[loss]:.3f}"), console=console) as bar:
        task = bar.add_task("", total=config.training.steps, loss=math.nan)
        model = train_retrieval(
            samples,
            config.training,
            report=lambda step, _, loss: bar.update(task, completed=step, loss=loss),
            device=pick_device(config.device),
            checkpoint=checkpoint,
        )
    path = model.save(config.output)
    metrics = evaluate_retrieval(RetrievalModel.load(path), held_out)
    checkpoint.unlink(missing_ok=True)
    for name, value in metrics.items():
        console.print(f"{name} {value:.3g}", highlight=False)
    console.print(f"{len(held_out)} held-out pairs. Written to {path}", highlight=False)
    return metrics


def train_retrieval(
    samples: Sequence[Sample],
    training: RetrievalTraining,
    report: Report | None = None,
    device: str | torch.device = "cpu",
    checkpoint: Path | None = None,
    save_steps: int = 500,
) -> RetrievalModel:
    """Fit a model to pairs of prompt and pose; samples without a pose are left out.

    Args:
        samples: the training pairs.
        training: how.
        report: called after every step with (step, steps, loss), for a progress bar.
        device: where to train. The model comes back on the CPU, in evaluation mode.
        checkpoint: a file that is written every ``save_steps`` steps and gone on from, to the same end, where it is
            there and of the same pairs and training.

    Raises:
        UserError: fewer pairs than a batch, or a checkpoint of another run.
    """
    pairs = [sample for sample in samples if sample.pose is not None]
    if len(pairs) < training.batch_size:
        raise UserError(f"{len(pairs)} pairs of text and pose are fewer than batch_size {training.batch_size}")
    poses = stacked_poses(pairs).to(device)  # (P, 22, 3)
    body = load_body()
    points = body.points(poses)  # (P, 32, 3)
    text_id = _identity([pair.prompt for pair in pairs]).to(device)  # (P,)
    pose_id = _identity([pose.tobytes() for pose in poses.cpu().numpy()]).to(device)

    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        vocabulary = build_vocabulary([pair.prompt for pair in pairs], training.settings.vocabulary_size)
        model = RetrievalModel(training.settings, vocabulary).to(device).train()
        codes = PosecodeReader(pairs, training.settings.width).to(device)
        learned = nn.ModuleDict({"model": model, "codes": codes})
        optimizer = torch.optim.AdamW(
            learned.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
        )
        done, owner = 0, _fingerprint(pairs, training) if checkpoint is not None else ""
        if checkpoint is not None and checkpoint.is_file():
            done = _go_on(checkpoint, learned, optimizer, owner)
        for step, batch in enumerate(_batches(len(pairs), training)):  # (N,)
            if step < done:
                continue
            torch.manual_seed(training.seed * 1_000_003 + step)  # so that a resumed run draws the same
            chosen = [pairs[i] for i in batch.tolist()]
            batch = batch.to(device)
            noisy = poses[batch] + training.pose_noise * torch.randn(len(batch), 22, 3).to(device)
            text = model.text([pair.prompt for pair in chosen], training.forget_words)
            pose = model.pose(noisy)
            fits = (text_id[batch, None] == text_id[batch]) | (pose_id[batch, None] == pose_id[batch])
            fits |= shares([pair.checks for pair in chosen], points[batch]) == 1  # NaN where a text has no checks
            loss = contrastive_loss(normalize(text, dim=-1), normalize(pose, dim=-1), model.log_scale.exp(), fits)
            if training.posecodes:
                read = codes(text, pose, batch, classify(body.points(noisy), clearly=True))
                loss = loss + training.posecodes * (1 - step / training.steps) * read
            if not loss.isfinite():
                raise UserError(
                    f"retrieval training: the loss is {loss.item()} at step {step + 1}; lower learning_rate"
                )
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(step, training)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learned.parameters(), 1.0)
            optimizer.step()
            with torch.no_grad():
                model.log_scale.clamp_(max=MAX_SCALE)
            if report is not None:
                report(step + 1, training.steps, loss.item())
            if checkpoint is not None and (step + 1) % save_steps == 0:
                _save_checkpoint(checkpoint, step + 1, learned, optimizer, owner)
    return model.cpu().eval()


def _fingerprint(pairs: Sequence[Sample], training: RetrievalTraining) -> str:
    """What a checkpoint belongs to."""
    digest = sha256(repr(training).encode())
    for pair in pairs:
        digest.update(pair.prompt.encode())
        digest.update(pair.pose.tobytes() if pair.pose is not None else b"")
    return digest.hexdigest()


def _save_checkpoint(path: Path, step: int, learned: nn.Module, optimizer: torch.optim.Optimizer, of: str) -> None:
    tensors = {f"weights.{name}": value for name, value in learned.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in moments.items()}
    with atomic_file(path) as part:
        save_file({name: value.contiguous() for name, value in tensors.items()}, part, {"step": str(step), "of": of})


def _go_on(path: Path, learned: nn.Module, optimizer: torch.optim.Optimizer, of: str) -> int:
    """Read a checkpoint into a model and its optimiser; how many steps it has behind it."""
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        step, owner = int(metadata["step"]), metadata["of"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path} is no checkpoint of a retrieval model's training; remove it") from error
    if owner != of:
        raise UserError(f"{path} is of other pairs or another training; remove it or choose another output")
    weights = {name.removeprefix("weights."): t for name, t in tensors.items() if name.startswith("weights.")}
    learned.load_state_dict(weights)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, moment = name.split(".")
            moments.setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
    return step


class PosecodeReader(nn.Module):
    """Reads posecodes off embeddings: a teacher of both encoders, gone after training.

    Args:
        pairs: the P training pairs.
        width: D of the embeddings.
    """

    stated: Tensor
    is_caption: Tensor

    def __init__(self, pairs: Sequence[Sample], width: int) -> None:
        super().__init__()
        column = {code.check: number for number, code in enumerate(load_posecodes())}
        stated = torch.zeros(len(pairs), len(column), dtype=torch.bool)
        is_caption = torch.tensor([bool(p.checks) and all(check in column for check in p.checks) for p in pairs])
        for row in is_caption.nonzero()[:, 0].tolist():
            stated[row, [column[check] for check in pairs[row].checks]] = True
        self.register_buffer("stated", stated, persistent=False)
        self.register_buffer("is_caption", is_caption, persistent=False)
        self.of_pose, self.of_text = nn.Linear(width, len(column)), nn.Linear(width, len(column))

    def forward(self, text: Tensor, pose: Tensor, batch: Tensor, holds: Tensor) -> Tensor:
        """Cross-entropy per posecode, of poses and of those texts that are captions made by rule.

        Args:
            text, pose: (N, D) embeddings.
            batch: (N,) which pairs they are of.
            holds: (N, C) bool, the posecodes that clearly hold for the poses.
        """
        of_pose = binary_cross_entropy_with_logits(self.of_pose(pose), holds.to(pose))
        captions = self.is_caption[batch]
        if not captions.any():
            return of_pose
        stated = self.stated[batch][captions].to(text)
        return of_pose + binary_cross_entropy_with_logits(self.of_text(text[captions]), stated)


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


def shares(checks: Sequence[Sequence[str]], points: Tensor) -> Tensor:
    """(T, N) share of the checks of text t that pose n fulfils, NaN where a text has none.

    Args:
        checks: the checks of T texts.
        points: (N, 32, 3) joints and landmarks, metres; joints alone will do for checks that ask for no more.
    """
    different, stated = tabulated(checks)
    held = satisfied(different, points).float()  # (N, C)
    stated = stated.clamp(max=1).to(held)
    return (stated @ held.T) / stated.sum(1, keepdim=True)


def evaluate_retrieval(model: RetrievalModel, samples: Sequence[Sample]) -> dict[str, float]:
    """How good a model is on held-out samples; those without a pose are left out.

    Returns:
        `recall`, and `agreement`: how well the model ranks poses by what a text states, the mean over texts of the rank
        correlation of score and share of the checks.
    """
    pairs = [sample for sample in samples if sample.pose is not None]
    poses = stacked_poses(pairs)
    device = model.log_scale.device
    text, pose = model.embed_text([pair.prompt for pair in pairs]), model.embed_pose(poses.to(device))
    share = shares([pair.checks for pair in pairs], load_body().points(poses).to(device))
    return recall(text, pose) | {"agreement": rankings_agree(text @ pose.T, share)}


def recall(text: Tensor, pose: Tensor) -> dict[str, float]:
    """Recall over the full gallery, both ways, in percent.

    Args:
        text, pose: (N, D) unit vectors; row i of one belongs to row i of the other.

    Returns:
        `text_to_pose/recall@1`, `@5`, `@10`, the same for `pose_to_text`, and `mean_recall`, the mean of the six.
    """
    scores = text @ pose.T  # (N, N)
    metrics: dict[str, float] = {}
    for way, table in (("text_to_pose", scores), ("pose_to_text", scores.T)):
        ranks = retrieval_ranks(table)
        metrics |= {f"{way}/recall@{k}": 100 * (ranks <= k).float().mean().item() for k in RANKS}
    metrics["mean_recall"] = float(np.mean(list(metrics.values())))
    return metrics


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


def _learning_rate(step: int, training: RetrievalTraining) -> float:
    rise = max(1, training.steps // 10)  # shorter, and the two sides collapse onto each other at first
    if step < rise:
        return training.learning_rate * (step + 1) / rise
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, training.steps - rise)))


def _batches(pairs: int, training: RetrievalTraining) -> Iterator[Tensor]:
    """A batch of indices for every step, (batch_size,), a new order every epoch."""
    generator, step = torch.Generator().manual_seed(training.seed), 0
    while True:
        for batch in torch.randperm(pairs, generator=generator).split(training.batch_size):
            if step == training.steps:
                return
            if len(batch) == training.batch_size:
                step += 1
                yield batch
