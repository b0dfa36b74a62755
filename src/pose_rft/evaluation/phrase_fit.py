"""Phrase fit: how well mean poses do what phrases of the training ask.

It says whether training fits what it trains on, not how good a policy is: that is what the benchmarks are for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.distances import mpjpe
from pose_rft.body.skeleton import NUM_JOINTS, mirror_pose
from pose_rft.data.sample import Sample
from pose_rft.evaluation.grading import MILLIMETRES
from pose_rft.evaluation.metrics import Interval, bootstrap_interval
from pose_rft.posescript.checks import compile_check, satisfied

PHRASES = 64  # that a run is measured by: some seconds of two CPU cores
PHRASE = "phrase:"  # how the source of a training phrase begins; the concept follows


@dataclass(frozen=True)
class TaughtPhrase:
    """A phrase with what a policy learns it from.

    Attributes:
        sample: with the phrase as its prompt.
        targets: (M, 22, 3) axis-angle, poses that it was learned with; of both sides where it names none.
    """

    sample: Sample
    targets: np.ndarray


@dataclass(frozen=True)
class PhraseFit:
    """How well phrases are done.

    Attributes:
        phrases: how many there were.
        satisfaction: share of a phrase's checks that are met; of phrases that have checks, as the next.
        kept: share of the phrases of which all checks are met.
        nearest_mm: from the pose to the nearest target, mean over the joints, pelvis on pelvis.
    """

    phrases: int
    satisfaction: Interval
    kept: Interval
    nearest_mm: Interval

    def __str__(self) -> str:
        """In a line, as the terminal shows it."""
        return (
            f"{self.phrases} training phrases: {self.satisfaction.mean:.1%} of their checks met, "
            f"{self.kept.mean:.1%} kept, {self.nearest_mm.mean:.0f} mm to the nearest target"
        )


def taught_phrases(samples: Sequence[Sample], count: int = PHRASES) -> list[TaughtPhrase]:
    """The first different phrases among training samples, at most ``count``; their targets are the samples' own poses.

    Phrases without checks and those asked about a picture are left out. The same samples give the same phrases.
    """
    texts = [sample for sample in samples if sample.source.startswith(PHRASE) and sample.image is None]
    asked: dict[str, Sample] = {}
    for sample in texts:
        if len(asked) < count and sample.checks:
            asked.setdefault(sample.prompt, sample)
    poses: dict[str, list[np.ndarray]] = {sample.source: [] for sample in asked.values()}
    for sample in texts:
        if sample.source in poses and sample.pose is not None:
            poses[sample.source].append(sample.pose)
    return [TaughtPhrase(sample, _targets(np.stack(poses[sample.source]), sample.checks)) for sample in asked.values()]


def _targets(poses: np.ndarray, checks: Sequence[str]) -> np.ndarray:
    """Poses of a concept, and their mirror images where its words name no side."""
    if not any(compile_check(check).sides for check in checks):
        return poses
    return np.concatenate([poses, mirror_pose(torch.from_numpy(poses)).numpy()])


def phrase_fit(phrases: Sequence[TaughtPhrase], poses: Tensor) -> PhraseFit:
    """Measure the poses (N, 22, 3), axis-angle, that a policy gives to N phrases, at least one."""
    pairs = list(zip(phrases, load_body().points(poses), strict=True))  # points: (32, 3)
    met = [satisfied(phrase.sample.checks, points)[0] for phrase, points in pairs if phrase.sample.checks]
    apart = [_nearest(points[:NUM_JOINTS], torch.from_numpy(phrase.targets)) for phrase, points in pairs]
    return PhraseFit(
        phrases=len(phrases),
        satisfaction=bootstrap_interval([float(each.float().mean()) for each in met]),
        kept=bootstrap_interval([float(each.all()) for each in met]),
        nearest_mm=bootstrap_interval([MILLIMETRES * each for each in apart]),
    )


def _nearest(joints: Tensor, poses: Tensor) -> float:
    """Metres from a body (22, 3) to the nearest of poses (M, 22, 3), pelvis on pelvis."""
    targets = load_body().joints(poses)
    return float(mpjpe(joints.expand_as(targets), targets).min())
