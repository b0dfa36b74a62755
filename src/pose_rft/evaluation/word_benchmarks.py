"""The benchmarks describe and compare: are given poses put in words truly, tellingly, and so that it can be followed?

No policy is asked. Whether a statement is true is decided by a geometry of its own (``pose_rft.evaluation.figure``).
"""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import torch
from rich.progress import track
from rich.table import Table
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.pose_files import Up
from pose_rft.data.mocap.clips import drawing_weights, facing_forward
from pose_rft.data.questions.questions import ask
from pose_rft.data.questions.reading import is_right
from pose_rft.evaluation.caption_benchmark import procedural_poses, recorded_poses, spread
from pose_rft.evaluation.figure import Figure
from pose_rft.policy.describing import (
    CANDIDATES,
    answer_about,
    describe_pose,
    instructions_between,
    leading,
    way_led,
)
from pose_rft.posescript.captions import Style
from pose_rft.posescript.edits.comparisons import read_comparison
from pose_rft.posescript.edits.edit import Edited, edit_pose
from pose_rft.posescript.edits.instructions import EditInstruction
from pose_rft.posescript.entailment import follows
from pose_rft.posescript.posecodes import load_posecodes
from pose_rft.retrieval.model import RetrievalModel

DESCRIBE, COMPARE = "describe", "compare"
POSES = {DESCRIBE: 300, COMPARE: 100}
GALLERY, RIVALS = 32, 64  # poses that the judge finds one among; others of which the nearest makes a near pair
STYLES: tuple[Style, ...] = tuple(style for style in get_args(Style) if style != "any")


def evaluate_words(
    benchmark: str,
    judge: RetrievalModel,
    poses: Path | None = None,
    up: Up | None = None,
    limit: int | None = None,
    seed: int = 0,
    show_progress: bool = False,
) -> dict[str, Any]:
    """Judge what is said of given poses.

    Args:
        benchmark: ``DESCRIBE`` or ``COMPARE``.
        judge: finds poses by their descriptions.
        poses: recordings, of which those are taken that training keeps out; None for fresh procedural poses.
        limit: poses, or pairs of each kind.
        others: see ``pose_rft.evaluation.benchmarks.evaluate``.

    Returns:
        What ``json.dumps`` takes: ``ways``, of each its figures; for ``DESCRIBE`` ``questions`` too.

    Raises:
        UserError: poses that cannot be read.
    """
    started = time.monotonic()
    count = limit or POSES[benchmark]
    if poses is None:
        given, weights = procedural_poses(), None
    else:
        held_out, _ = recorded_poses(poses, up)
        given, weights = torch.from_numpy(held_out.pose), drawing_weights(held_out)
    taken = facing_forward(given[spread(len(given), count, weights)])
    if benchmark == DESCRIBE:
        found = {"ways": describe_figures(taken, judge, seed), "questions": question_figures(taken, seed)}
    else:
        found = {"ways": compare_figures(taken, seed, show_progress)}
    return {
        "version": version("pose-rft"),
        "count": len(taken),
        "seconds": round(time.monotonic() - started, 1),
        **found,
    }


# ---- describe ----


def describe_figures(poses: Tensor, judge: RetrievalModel, seed: int = 0) -> dict[str, dict[str, float]]:
    """For each style of descriptions of poses (N, 22, 3): number of ``statements`` and share of ``true`` ones; the
    share of all facts that clearly hold which are stated or follow (``found``); how often the judge ranks the pose
    ``first`` among ``GALLERY`` by the description, and its ``median_rank``."""
    figures = [Figure(joints) for joints in load_body().joints(poses).numpy()]
    facts = [[code.id for code in load_posecodes() if figure.fulfils(code.clearly)] for figure in figures]
    embedded = judge.embed_pose(poses)
    galleries = _galleries(len(poses), seed)
    table: dict[str, dict[str, float]] = {}
    for style in STYLES:
        said = [describe_pose(pose, 1, style, seed + n)[0] for n, pose in enumerate(poses)]
        held = [figure.fulfils(check) for figure, one in zip(figures, said, strict=True) for check in one.checks]
        shares = [
            statistics.fmean(follows(one.posecodes, fact) is True for fact in known)
            for one, known in zip(said, facts, strict=True)
            if known
        ]
        scores = (embedded[galleries] @ judge.embed_text([one.text for one in said]).unsqueeze(2)).squeeze(2)
        ranks = 1 + (scores[:, 1:] >= scores[:, :1]).sum(dim=1)
        table[style] = {
            "statements": len(held),
            "true": statistics.fmean(held),
            "found": statistics.fmean(shares),
            "first": float((ranks == 1).float().mean()),
            "median_rank": float(ranks.float().quantile(0.5)),
        }
    return table


def _galleries(count: int, seed: int) -> Tensor:
    """(N, G) rows: every pose, and others that are drawn."""
    generator = torch.Generator().manual_seed(seed)
    rows = [(n + 1 + torch.randperm(count - 1, generator=generator)[: GALLERY - 1]) % count for n in range(count)]
    return torch.cat([torch.arange(count)[:, None], torch.stack(rows)], dim=1)


def question_figures(poses: Tensor, seed: int = 0) -> dict[str, float]:
    """Questions about poses (N, 22, 3) whose answer is yes, no or a side: how many, and shares ``answered`` and, of
    these, ``right``."""
    asked = ask(load_body().joints(poses), seed, ("yes_no", "which"))
    pairs = [(answer_about(pose, each.text), each.truth) for pose, each in zip(poses, asked, strict=True) if each.truth]
    answered = [bool(is_right(answer, truth)) for answer, truth in pairs if answer is not None]
    return {"asked": len(pairs), "answered": len(answered) / len(pairs), "right": statistics.fmean(answered)}


# ---- compare ----


def compare_figures(poses: Tensor, seed: int = 0, show_progress: bool = False) -> dict[str, dict[str, float]]:
    """For pairs of near and of far poses (N, 22, 3): what is said, the first instruction that comes to mind
    (``drawn``) and the one that was tried (``tried``), judged by following it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for n in track(range(len(poses)), description="Comparing", disable=not show_progress):
        for kind, other in _pair_of(n, poses, seed).items():
            made = instructions_between(poses[n], other, CANDIDATES, "full", seed + n)
            tried, edited = leading(poses[n], other, made)
            first = edited if tried is made[0] else edit_pose(poses[n], made[0].text)
            for way, said, after in ((f"{kind}, drawn", made[0], first), (f"{kind}, tried", tried, edited)):
                found.setdefault(way, []).append(_followed(poses[n], other, said, after))
    return {way: _compare_row(some) for way, some in found.items()}


def _pair_of(n: int, poses: Tensor, seed: int) -> dict[str, Tensor]:
    """A pose to go to from pose n: the nearest of some others, and any."""
    generator = torch.Generator().manual_seed(seed + n)
    others = ((n + 1 + torch.randperm(len(poses) - 1, generator=generator)) % len(poses))[:RIVALS]
    joints = load_body().joints(poses[torch.cat([torch.tensor([n]), others])])
    joints = joints - joints[:, :1]
    nearest = others[(joints[1:] - joints[0]).norm(dim=-1).mean(dim=1).argmin()]
    return {"near": poses[nearest], "far": poses[others[0]]}


def _followed(before: Tensor, after: Tensor, said: EditInstruction, edited: Edited) -> dict[str, Any]:
    figures = [Figure(joints) for joints in load_body().joints(torch.stack([before, after])).numpy()]
    held = [figures[1].fulfils(check) for check in said.checks]
    held += [_changes_so(change, *figures) for change in said.changes]
    return {"held": held, "way": way_led(before, after, edited.pose), "understood": not edited.order.unknown}


def _changes_so(change: str, before: Figure, after: Figure) -> bool:
    comparison = read_comparison(change)
    difference = after.measure(comparison.of) - before.measure(comparison.of)
    if "turn()" in comparison.of:
        difference = (difference + 180) % 360 - 180
    return comparison.low < difference < comparison.high


def _compare_row(followed: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    held = [each for one in followed for each in one["held"]]
    return {
        "statements": len(held),
        "true": statistics.fmean(held) if held else math.nan,
        "understood": statistics.fmean(one["understood"] for one in followed),
        "towards": statistics.fmean(one["way"] > 0 for one in followed),
        "way": statistics.median(one["way"] for one in followed),
    }


LABELS = {
    "statements": "statements",
    "true": "true",
    "found": "facts found",
    "first": f"first of {GALLERY} by the judge",
    "median_rank": "median rank",
    "understood": "all words understood",
    "towards": "leads towards the other pose",
    "way": "of the way, median",
}


def words_table(result: Mapping[str, Any]) -> Table:
    """The figures of ``evaluate_words`` for a terminal."""
    ways = result["ways"]
    table = Table("measure", *ways, title=f"{result['benchmark']}: {result['count']} poses")
    for name in next(iter(ways.values())):
        counted = name in ("statements", "median_rank")
        table.add_row(LABELS[name], *(f"{one[name]:.0f}" if counted else f"{one[name]:.1%}" for one in ways.values()))
    if asked := result.get("questions"):
        said = f"{asked['answered']:.1%} of {asked['asked']} answered, {asked['right']:.1%} of them rightly"
        table.caption = f"questions: {said}"
    return table
