"""From answers to numbers: every prompt graded by geometry, every number with an interval over prompts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.distances import mpjpe, pa_mpjpe
from pose_rft.body.landmarks import NUM_POINTS
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.data.sample import Sample
from pose_rft.data.stated import stated_checks
from pose_rft.evaluation import metrics
from pose_rft.evaluation.protocol_bodies import ProtocolBodies
from pose_rft.evaluation.retrieval_judge import judge_scores
from pose_rft.posescript.checks import satisfied
from pose_rft.retrieval.model import RetrievalModel
from pose_rft.storage import package_table

MILLIMETRES = 1000.0
_WORDING: dict[str, dict[str, Any]] = package_table(__package__, "report.yaml")["measures"]
WAYS = ("mean_pose", "sampled", "best_of")  # how a policy is asked; the last about texts alone
MEASURES = tuple(_WORDING)  # columns of a row that are averaged over prompts; docs/evaluation.md has their meanings

Row = dict[str, Any]


class GradedAnswer(Protocol):
    """What grading reads of an answer: ``pose`` has ``axis_angle() -> (22, 3)`` radians, or is None if not valid."""

    @property
    def text(self) -> str: ...
    @property
    def valid(self) -> bool: ...
    @property
    def pose(self) -> Any: ...


def answered_poses(answers: Sequence[Sequence[GradedAnswer]]) -> Tensor:
    """Poses (N, K, 22, 3) axis-angle of N prompts with K answers each; NaN where an answer holds no pose."""
    poses = torch.full((len(answers), len(answers[0]), NUM_JOINTS, 3), math.nan)
    for n, group in enumerate(answers):
        for k, answer in enumerate(group):
            if answer.valid:
                poses[n, k] = torch.as_tensor(answer.pose.axis_angle())
    return poses


def grade_poses(
    samples: Sequence[Sample],
    poses: Tensor,
    reference: Tensor | None = None,
    retrieval: RetrievalModel | None = None,
    rivals: Tensor | None = None,
    protocol: ProtocolBodies | None = None,
) -> list[Row]:
    """Grade K poses per prompt on the bundled body of mean shape.

    Args:
        samples: N prompts, with checks and perhaps a recorded pose.
        poses: (N, K, 22, 3) axis-angle; a NaN pose is an invalid answer: it meets no check and has no distances.
        reference: (M, 22, 3) real poses, axis-angle, for ``nearest_mm``; None leaves it out.
        retrieval: the model for ``judge_score``; None leaves it out.
        rivals: (N, R) that model's scores of random real poses, for ``judge_preferred``; None leaves it out.
        protocol: how distances to the recorded pose are measured; None takes the bundled body's 22 joints.

    Returns:
        One row per prompt: the measures of ``MEASURES`` that apply, distances averaged over the valid poses (None if
        there are none), and ``met``: for each check, the share of the K poses that meet it.
    """
    body = load_body()
    count, num_samples = poses.shape[:2]
    points = body.points(poses.reshape(-1, NUM_JOINTS, 3)).reshape(count, num_samples, NUM_POINTS, 3)
    joints = points[:, :, :NUM_JOINTS]
    valid = joints.isfinite().flatten(2).all(dim=2)  # (N, K)
    nearest = torch.full((count, num_samples), math.nan)
    if reference is not None:
        nearest[valid] = metrics.nearest_pose_distance(joints[valid], body.joints(reference))
    scores = None if retrieval is None else judge_scores(retrieval, [sample.prompt for sample in samples], poses)
    return [
        {
            **_checks_met(sample.checks, points[n]),
            "valid": float(valid[n].float().mean()),
            **({} if scores is None else {"judge_score": _mean(scores[n][valid[n]])}),
            **({} if scores is None or rivals is None else {"judge_preferred": _preferred(scores[n], rivals[n])}),
            **(
                _distances(sample, joints[n][valid[n]])
                if protocol is None
                else _protocol_distances(sample, poses[n][valid[n]], protocol)
            ),
            **({} if reference is None else {"nearest_mm": _mean_mm(nearest[n][valid[n]])}),
            **({} if num_samples < 2 else {"diversity_mm": _diversity_mm(joints[n][valid[n]])}),
        }
        for n, sample in enumerate(samples)
    ]


def words_held(answers: Sequence[Sequence[GradedAnswer]], poses: Tensor) -> list[float | None]:
    """Of each prompt the share of what its answers state of the body that their own poses do; None if they state none.

    Args:
        answers, poses: as ``answered_poses`` takes and gives them.
    """
    body = load_body()
    shares = []
    for group, own in zip(answers, poses, strict=True):
        stated = [stated_checks(answer.text) if answer.valid else () for answer in group]
        pairs = [(checks, pose) for checks, pose in zip(stated, own, strict=True) if checks]
        held = [satisfied(checks, body.points(pose[None])).float().mean() for checks, pose in pairs]
        shares.append(float(torch.stack(held).mean()) if held else None)
    return shares


def _checks_met(checks: Sequence[str], points: Tensor) -> Row:
    """points: (K, 32, 3)."""
    if not checks:
        return {}
    met = satisfied(checks, points).float()  # (K, C)
    return {
        "satisfaction": float(met.mean()),
        "kept": float(met.all(dim=1).float().mean()),
        "met": met.mean(dim=0).tolist(),
    }


def _distances(sample: Sample, joints: Tensor) -> Row:
    """To the recorded pose; joints: (V, 22, 3) of the valid answers."""
    if sample.pose is None:
        return {}
    target = load_body().joints(torch.as_tensor(sample.pose, dtype=joints.dtype)).expand_as(joints)
    error = mpjpe(joints, target)
    return {
        "mpjpe_mm": _mean_mm(error),
        "heading_mpjpe_mm": _mean_mm(mpjpe(metrics.heading_aligned(joints), metrics.heading_aligned(target))),
        "pa_mpjpe_mm": _mean_mm(pa_mpjpe(joints, target)) if len(joints) else None,
        "best_mpjpe_mm": _mean_mm(error.amin().reshape(1)) if len(joints) else None,
    }


def _protocol_distances(sample: Sample, poses: Tensor, protocol: ProtocolBodies) -> Row:
    """To the recorded pose by a protocol; poses: (V, 22, 3) of the valid answers."""
    if sample.pose is None:
        return {}
    if not len(poses):
        return dict.fromkeys(("mpjpe_mm", "pa_mpjpe_mm", "pve_mm", "best_mpjpe_mm"))
    found = protocol.distances(sample, poses)
    return {
        **{f"{measure}_mm": _mean_mm(values) for measure, values in found.items()},
        "best_mpjpe_mm": _mean_mm(found["mpjpe"].amin().reshape(1)),
    }


def _preferred(scores: Tensor, rivals: Tensor) -> float:
    """Share of pairs of a score (K,) and a rival's (R,) in which the score is higher; NaN never is, a tie is half."""
    ahead = scores.unsqueeze(1) - rivals  # (K, R)
    return float(((ahead > 0).float() + 0.5 * (ahead == 0)).mean())


def _mean(values: Tensor) -> float | None:
    return float(values.mean()) if len(values) else None


def _mean_mm(values: Tensor) -> float | None:
    return float(values.mean()) * MILLIMETRES if len(values) else None


def _diversity_mm(joints: Tensor) -> float | None:
    return float(metrics.mean_pairwise_distance(joints)) * MILLIMETRES if len(joints) > 1 else None


def column(rows: Sequence[Row], measure: str) -> np.ndarray:
    """One measure of all rows as float64, NaN where a prompt has none."""
    return np.array([math.nan if row.get(measure) is None else row[measure] for row in rows], dtype=np.float64)


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Mean and 95 % bootstrap interval over prompts of every measure that occurs, and ``checks_met``.

    ``satisfaction`` weighs prompts equally; ``checks_met`` is the share of all checks that are met.
    """
    summary: dict[str, Any] = {}
    for measure in MEASURES:
        interval = metrics.bootstrap_interval(column(rows, measure))
        if interval.n:
            summary[measure] = asdict(interval)
    met = [share for row in rows for share in row.get("met", [])]
    if met:
        summary["checks_met"] = sum(met) / len(met)
    return summary


def by_category(
    categories: Sequence[str], graded: Mapping[str, Sequence[Row]], measures: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Of each category the number of prompts, and for every way to answer what can be measured, with intervals.

    Args:
        categories: of the N prompts; those with an empty one are left out.
        graded: ways to answer -> N rows.
        measures: those to give.
    """
    groups: dict[str, list[int]] = {}
    for n, category in enumerate(categories):
        if category:
            groups.setdefault(category, []).append(n)
    columns = {(measure, way): column(rows, measure) for measure in measures for way, rows in graded.items()}
    result: dict[str, dict[str, Any]] = {}
    for category, members in groups.items():
        result[category] = {"prompts": len(members)}
        for (measure, way), values in columns.items():
            interval = metrics.bootstrap_interval(values[members])
            if interval.n:
                result[category].setdefault(measure, {})[way] = asdict(interval)
    return result


def table_title(result: Mapping[str, Any]) -> str:
    """What stands above the figures of a result: the benchmark, how many prompts, and how samples were drawn."""
    name, temperature = result.get("benchmark", "judged"), result["settings"]["temperature"]
    return f"{name}: {result['prompts']} prompts, samples at temperature {temperature:g}, 95 % intervals over prompts"


def interval_text(measure: str, interval: Mapping[str, float] | None) -> str:
    """A measure's mean with its interval in brackets as terminals show it, or a dash."""
    if interval is None:
        return "-"
    scale, unit, digits = _written(measure)
    mean, low, high = (f"{scale * interval[key]:.{digits}f}" for key in ("mean", "low", "high"))
    return f"{mean}{unit} ({low} to {high})"


def difference_text(measure: str, interval: Mapping[str, float]) -> str:
    """A paired difference with its interval, signed; in bold where the interval leaves out 0."""
    scale, _, digits = _written(measure)
    mean, low, high = (scale * interval[key] for key in ("mean", "low", "high"))
    return signed_text(mean, low, high, digits)


def signed_text(mean: float, low: float, high: float, digits: int) -> str:
    """A difference with its interval; in bold, as Markdown has it, where the interval leaves out 0."""
    text = f"{mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
    return text if low <= 0 <= high else f"**{text}**"


def value_text(measure: str, value: float) -> str:
    """A measure without an interval, written alike."""
    scale, unit, digits = _written(measure)
    return f"{scale * value:.{digits}f}{unit}"


def _written(measure: str) -> tuple[int, str, int]:
    """Factor, unit and digits of a measure; those that reports have no words for are shares."""
    wording = _WORDING.get(measure, {})
    return (100, " %", 1) if wording.get("percent", not wording) else (1, "", wording.get("digits", 1))


def compare(before: Sequence[Row], after: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Paired differences ``after - before`` with intervals, for every measure that both have.

    Raises:
        ValueError: the rows are of different prompts.
    """
    if [row.get("prompt") for row in before] != [row.get("prompt") for row in after]:
        raise ValueError("the two results answer different prompts: evaluate both on the same benchmark and split")
    differences = {
        measure: metrics.paired_difference(column(before, measure), column(after, measure)) for measure in MEASURES
    }
    return {measure: asdict(interval) for measure, interval in differences.items() if interval.n}
