"""The benchmark edits: does a pose change as an order says, as far as it says, and does all else stay?"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import roma
import torch
from rich.progress import track
from rich.table import Table
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.pose import Pose
from pose_rft.data.edit_prompts import EditPrompt, edit_prompts, edit_starts
from pose_rft.data.everyday import Split
from pose_rft.evaluation.asking import Answering
from pose_rft.policy import PosePolicy
from pose_rft.policy.editing import Editor, best_edits, edits_of, learned_edits
from pose_rft.posescript.captions import described_change
from pose_rft.posescript.checks import measure, satisfied
from pose_rft.posescript.edits.comparisons import compare
from pose_rft.posescript.plausibility import plausibility

EDITS, EXACT = "edits", "exact"
WORSE = {"nod": 5.0, "sole": 10.0, "support": 0.05, "overlap": 0.04}  # degrees and metres that an edit may add
GRADES = ("direction", "amount", "plausible", "understood")
EditWay = Callable[[Tensor, Sequence[str]], list[tuple[Tensor | None, bool]]]
# (22, 3) start, instructions -> for each the new pose or None, and whether every word of it was understood


def nothing(start: Tensor, instructions: Sequence[str]) -> list[tuple[Tensor | None, bool]]:
    """Leave the pose as it is: what has to be beaten."""
    return [(start, False) for _ in instructions]


def exact(start: Tensor, instructions: Sequence[str]) -> list[tuple[Tensor | None, bool]]:
    """The least change that meets the order."""
    edits = [edits_of(start, instruction)[0] for instruction in instructions]
    return [
        (edit.pose, not edit.order.unknown and all(outcome.status != "cannot" for outcome in edit.outcomes))
        for edit in edits
    ]


def captioned(policy: Answering) -> EditWay:
    """Ask a policy that reads no poses: the pose is put in words before the order."""

    def ask(start: Tensor, instructions: Sequence[str]) -> list[tuple[Tensor | None, bool]]:
        prompts = [described_change(Pose.from_axis_angle(start).points(), instruction) for instruction in instructions]
        answers = policy.generate(prompts, None, 1, 0.0)
        poses = [group[0].pose for group in answers]
        return [(None if pose is None else torch.from_numpy(pose.axis_angle()), True) for pose in poses]

    return ask


def learned(policy: Editor) -> EditWay:
    """The likeliest pose that a policy that reads poses answers with; nothing is verified."""

    def ask(start: Tensor, instructions: Sequence[str]) -> list[tuple[Tensor | None, bool]]:
        given = Pose.from_axis_angle(start)
        return [(learned_edits(policy, given, instruction)[0], True) for instruction in instructions]

    return ask


def both(policy: Editor) -> EditWay:
    """The exact edit, or a learned one where it is verified to be better, as ``PosePolicy.edit`` answers."""

    def ask(start: Tensor, instructions: Sequence[str]) -> list[tuple[Tensor | None, bool]]:
        given = Pose.from_axis_angle(start)
        poses = [best_edits(policy, given, instruction)[0].pose for instruction in instructions]
        return [(start if pose is None else torch.from_numpy(pose.axis_angle()), True) for pose in poses]

    return ask


def grade_edits(
    prompts: Sequence[EditPrompt], starts: Mapping[str, Tensor], way: EditWay, show_progress: bool = False
) -> list[dict[str, Any]]:
    """Give every order to every start that it makes sense for, and judge the new poses.

    Returns:
        A row for each order: ``starts``, shares of them with the right ``direction``, the right ``amount`` (with the
        direction), a ``plausible`` pose and all words ``understood``; ``others_mm``, the median over starts of how far
        the joints that were not asked for have moved on average; and ``failed``, names of starts with a wrong amount.
    """
    grades: list[list[dict[str, Any]]] = [[] for _ in prompts]
    for name, start in track(list(starts.items()), description="Editing", disable=not show_progress):
        before = load_body().points(start)
        fitting = [n for n, each in enumerate(prompts) if bool(satisfied([each.given], before)[0, 0])]
        made = way(start, [prompts[n].prompt for n in fitting]) if fitting else []
        for n, (pose, understood) in zip(fitting, made, strict=True):
            grades[n].append({"start": name, "understood": understood} | _grade(prompts[n], before, pose))
    return [_row(prompt, found) for prompt, found in zip(prompts, grades, strict=True)]


def _grade(prompt: EditPrompt, before: Tensor, pose: Tensor | None) -> dict[str, Any]:
    if pose is None:
        return {"direction": False, "amount": False, "plausible": False, "others_mm": None}
    after = load_body().points(pose)
    direction = _holds(prompt.direction, before, after)
    was, now = plausibility(before[None]), plausibility(after[None])
    judged = [name for name in WORSE if not (name == "sole" and prompt.tilts_soles)]
    plausible = all(float(now[name]) <= float(was[name]) + WORSE[name] for name in judged)
    return {
        "direction": direction,
        "amount": direction and _holds(prompt.amount, before, after),
        "plausible": plausible,
        "others_mm": _moved(prompt, before, after),
    }


def _holds(statements: Sequence[str], before: Tensor, after: Tensor) -> bool:
    """Whether comparisons of both poses and checks of the second hold."""
    comparisons = [text for text in statements if "change(" in text]
    checks = [text for text in statements if "change(" not in text]
    compared = compare(comparisons, before[None], after[None]).all()
    return bool(compared) and bool(satisfied(checks, after).all())


def _moved(prompt: EditPrompt, before: Tensor, after: Tensor) -> float:
    """Millimetres by which the other joints have moved on average, with the pelvis in one place."""
    if prompt.turns:
        back = torch.deg2rad(measure("turn()", before) - measure("turn()", after))
        after = after @ roma.rotvec_to_rotmat(torch.tensor([0.0, float(back), 0.0])).T
    stays = list(prompt.stays)
    return 1000 * float((after - before)[stays].norm(dim=-1).mean())


def _row(prompt: EditPrompt, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    moved = [grade["others_mm"] for grade in found if grade["others_mm"] is not None]
    return {
        "prompt": prompt.prompt,
        "starts": len(found),
        **{grade: statistics.fmean(one[grade] for one in found) if found else 0.0 for grade in GRADES},
        "others_mm": statistics.median(moved) if moved else 0.0,
        "all_others_mm": moved,
        "failed": [grade["start"] for grade in found if not grade["amount"]],
    }


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Shares over all pairs of an order and a start, and the median of what the others have moved."""
    pairs = sum(row["starts"] for row in rows)
    shares = {grade: sum(row[grade] * row["starts"] for row in rows) / pairs for grade in GRADES}
    moved = [mm for row in rows for mm in row["all_others_mm"]]  # none where no answer holds a pose
    return {"pairs": pairs, **shares, "others_mm": statistics.median(moved) if moved else 0.0}


def evaluate_edits(
    policy: Answering, split: Split = "test", limit: int | None = None, show_progress: bool = False
) -> dict[str, Any]:
    """Judge doing nothing, the exact way, and a policy that is given the pose in words; and, where it reads poses,
    what it has learned, and the better of that and the exact way.

    Returns:
        What ``json.dumps`` takes: ``ways`` (of each the figures of ``summary``) and ``rows`` (of each way those of
        ``grade_edits``).
    """
    started = time.monotonic()
    prompts = edit_prompts(split)[:limit]
    starts = {name: torch.from_numpy(pose) for name, pose in edit_starts().items()}
    ways: dict[str, EditWay] = {"nothing": nothing, "caption in the prompt": captioned(policy), EXACT: exact}
    if isinstance(policy, PosePolicy) and policy.pose_branch is not None:
        ways |= {"learned": learned(policy), "both": both(policy)}
    rows = {name: grade_edits(prompts, starts, way, show_progress) for name, way in ways.items()}
    return {
        "version": version("pose-rft"),
        "prompts": len(prompts),
        "starts": len(starts),
        "seconds": round(time.monotonic() - started, 1),
        "ways": {name: summary(found) for name, found in rows.items()},
        "rows": rows,
    }


def edits_table(result: Mapping[str, Any]) -> Table:
    """The figures of ``evaluate_edits`` for a terminal."""
    ways = result["ways"]
    pairs = next(iter(ways.values()))["pairs"]
    title = f"edits: {result['prompts']} orders, {result['starts']} starts, {pairs} pairs"
    table = Table("measure", *ways, title=title)
    for grade in GRADES:
        told = [way for way in ways if way == EXACT or grade != "understood"]  # only the exact way tells
        table.add_row(grade, *(f"{ways[way][grade]:.1%}" if way in told else "" for way in ways))
    table.add_row("others moved, median mm", *(f"{ways[way]['others_mm']:.0f}" for way in ways))
    return table
