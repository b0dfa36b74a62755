"""A policy judged on one's own data: by its checks, and by the distance to its poses."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.progress import track

from pose_rft.body.pose_files import Up
from pose_rft.data.everyday import Split
from pose_rft.data.readers.own_data import OwnData, records_named
from pose_rft.data.readers.pairs import SPLITS
from pose_rft.data.readers.published import PublishedRows
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.evaluation.asking import Answering
from pose_rft.evaluation.benchmarks import JUDGE, check_limit, evaluate_samples, real_poses
from pose_rft.evaluation.protocol_bodies import ProtocolBodies
from pose_rft.evaluation.protocols import PoseProtocol, Protocol
from pose_rft.policy.selection import CANDIDATES
from pose_rft.retrieval.model import RetrievalModel
from pose_rft.terminal import errors


def evaluate_own_data(
    source: str | Path,
    policy: Answering,
    *,
    poses: Path | None = None,
    up: Up | None = None,
    split: Split = "test",
    limit: int | None = None,
    num_samples: int = 8,
    temperature: float = 1.0,
    seed: int = 0,
    best_of: int = CANDIDATES,
    settle: bool = True,
    show_progress: bool = False,
    protocol: Protocol | None = None,
    smpl: Path | None = None,
) -> dict[str, Any]:
    """Judge a policy on a file of pairs (docs/your_data.md), or on a published data set (docs/readers.md).

    Args:
        source: what ``records_named`` takes.
        poses: real poses to compare answers with, as for written benchmarks.
        split: "test" takes all lines where none is of that split, but of a published data set.
        protocol: how distances to recorded poses are measured; None takes the bundled body's 22 joints.
        smpl: folder with the user's SMPL models and regressor, for protocols that need them.
        others: as for ``benchmarks.evaluate``.

    Returns:
        The result of ``evaluate_samples``, with the source's name as ``benchmark``, ``protocol``, and ``left_out``:
        lines that have neither a pose nor checks, of which nothing can be measured. ``categories`` are the tasks if
        there are several.
        Where there are photographs, answers are not chosen from many, and the judge, a model of texts, says nothing.

    Raises:
        UserError: a source that cannot be read, a broken line, nothing that can be measured, or as
            ``ProtocolBodies.load``.
    """
    check_limit(limit)
    bodies = ProtocolBodies.load(protocol, smpl) if isinstance(protocol, PoseProtocol) else None
    samples, left_out = judged_samples(source, split, show_progress)
    samples = samples[:limit]
    if bodies is not None:
        bodies.check(samples)
    pictured = any(sample.image is not None for sample in samples)
    result = evaluate_samples(
        samples,
        policy,
        reference=real_poses(poses, up),
        num_samples=num_samples,
        temperature=temperature,
        seed=seed,
        best_of=1 if pictured else best_of,
        settle=settle,
        show_progress=show_progress,
        retrieval=None if pictured else RetrievalModel.load(JUDGE),
        protocol=bodies,
    )
    settings: dict[str, Any] = {"split": split, "poses": str(poses) if poses else None, "left_out": left_out}
    settings |= {"protocol": asdict(protocol) if protocol else None, "smpl": str(smpl) if smpl else None}
    return {"benchmark": str(source), **settings, **result}


def judged_samples(source: str | Path, split: Split, show_progress: bool = False) -> tuple[list[Sample], int]:
    """The samples of a source of which something can be measured, and how many others there are."""
    records, use = records_named(source), split
    if split != "all" and not (records.splits == SPLITS.index(split)).any():
        if isinstance(records, PublishedRows):
            raise UserError(f"{source}: has no lines of split {split}; give --split all for those that it has")
        use = "all" if split == "test" else split
    data = OwnData(records, use)
    rows = track(range(len(data)), "Reading the data", console=errors, transient=True, disable=not show_progress)
    samples = [data.sample(row) for row in rows]
    judged = [sample for sample in samples if sample.pose is not None or sample.checks]
    if not judged:
        raise UserError(f"{source}: no line of split {split} has a pose or checks, so that nothing can be measured")
    return _by_task(judged), len(samples) - len(judged)


def _by_task(samples: Sequence[Sample]) -> list[Sample]:
    """With the task as category, if there are several."""
    several = len({sample.task for sample in samples}) > 1
    return [replace(sample, category=sample.task if several else "") for sample in samples]
