"""The benchmarks requests and general: whether an answer is what was asked, with a pose or without, by its words."""

import functools
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.data.sample import POSE_TOKEN
from pose_rft.data.talk import TalkPrompt, general_prompts, request_prompts
from pose_rft.evaluation.asking import Answering, Answers, ask
from pose_rft.evaluation.grading import (
    GradedAnswer,
    Row,
    answered_poses,
    by_category,
    compare,
    interval_text,
    summarise,
    table_title,
)
from pose_rft.policy import PosePolicy
from pose_rft.posescript.checks import satisfied

TALK = {"requests": request_prompts, "general": general_prompts}
BARE = "bare backbone"  # the policy's language model without adapters, a row of references
GRADES = ("as_asked", "pose_as_wanted", "kept", "right_words", "refused")  # given for each category
BATCH = 32  # prompts per call of ``policy.generate``
_KNOW = r"(?:see|tell|know|say|determine|answer|judge|read|identify|recogni[sz]e|guess)"
REFUSALS = (  # regular expressions for whole words, in any case
    rf"(?:can(?:not|'t| not)|could(?:n't| not)|(?:un|not )able to|no way to) (?:\w+ ){{0,2}}{_KNOW}",
    r"(?:do(?:es)? not|don't|doesn't) (?:\w+ )?(?:know|see|say|show|tell|reveal|include|have (?:\w+ )?information)",
    r"(?:not|isn't|aren't) (?:known|visible|shown|given|specified|mentioned|possible to \w+)",
    r"no (?:idea|information|picture|photograph|photo|image)",
    r"(?:i am|i'm) (?:not sure|unsure)|impossible to \w+|hard to (?:say|tell|know)|unknown",
    r"(?:has|have|there (?:is|are)) no (?:face|hair|eyes?|clothes|clothing|colou?rs?|name|age|shoes?|hat)",
)


# ---- what words hold ----


@functools.cache
def _pattern(alternatives: tuple[str, ...]) -> re.Pattern[str]:
    """One of the alternatives as whole words, in any case; a plural s may follow."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?:e?s)?(?!\w)", re.IGNORECASE)


def holds(text: str, alternatives: tuple[str, ...]) -> bool:
    """Whether one of the alternatives, see ``TalkPrompt``, occurs in the words of an answer."""
    words = text.replace(POSE_TOKEN, " ").replace("\u2019", "'")
    return _pattern(alternatives).search(words) is not None


def refuses(text: str) -> bool:
    """Whether an answer says that it cannot know."""
    return holds(text, REFUSALS)


def right_words(prompt: TalkPrompt, text: str) -> bool:
    """Whether the words hold all that they must and nothing that they must not; True where nothing is demanded."""
    if not prompt.asks_of_words:
        return True
    found = all(holds(text, alternatives) for alternatives in prompt.content)
    return found and not (prompt.never and holds(text, prompt.never)) and refuses(text) == prompt.refuses


# ---- grades ----


def grade_talk(prompts: Sequence[TalkPrompt], answers: Sequence[Sequence[GradedAnswer]]) -> list[Row]:
    """Grade K answers to each prompt.

    Returns:
        One row per prompt with shares of its K answers: ``as_asked``, which is the other three together;
        ``pose_as_wanted``; ``kept``, None without checks; ``right_words``, None where nothing is demanded of words; and
        ``refused``.
    """
    points = load_body().points(answered_poses(answers).flatten(0, 1)).unflatten(0, (len(answers), -1))
    return [_grade(*each) for each in zip(prompts, answers, points, strict=True)]


def _grade(prompt: TalkPrompt, answers: Sequence[GradedAnswer], points: Tensor) -> Row:
    """points: (K, 32, 3), NaN without a pose, which meets no check."""
    texts = [answer.text for answer in answers]
    posed = torch.tensor(
        [answer.valid if prompt.wants_pose else POSE_TOKEN not in answer.text for answer in answers]
    )  # (K,)
    kept = satisfied(prompt.checks, points).all(dim=1) if prompt.checks else torch.ones_like(posed)
    words = torch.tensor([right_words(prompt, text) for text in texts])
    return {
        "as_asked": _share(posed & kept & words),
        "pose_as_wanted": _share(posed),
        "kept": _share(kept) if prompt.checks else None,
        "right_words": _share(words) if prompt.asks_of_words else None,
        "refused": _share(torch.tensor([refuses(text) for text in texts])),
    }


def _share(right: Tensor) -> float:
    return float(right.double().mean())


@dataclass(frozen=True)
class Words:
    """An answer without a pose."""

    text: str
    valid: bool = False
    pose: None = None


def bare_answers(policy: PosePolicy, prompts: Sequence[TalkPrompt]) -> Answers:
    """What a policy's language model says without adapters at temperature 0, and without the policy's notes."""
    texts: list[list[str]] = []
    with policy.language_model.without_adapters():
        for start in range(0, len(prompts), BATCH):
            batch = [prompt.prompt for prompt in prompts[start : start + BATCH]]
            texts += policy.rollout(batch, temperature=0.0).texts
    return [[Words(text) for text in group] for group in texts]


@torch.no_grad()
def written_losses(policy: PosePolicy, prompts: Sequence[TalkPrompt]) -> list[float | None]:
    """Negative log-likelihood of the answer that is written to each prompt, nats per token with the end of the turn.

    None where none is written.
    """
    losses: list[float | None] = [None] * len(prompts)
    places = [n for n, prompt in enumerate(prompts) if prompt.answer]
    for start in range(0, len(places), BATCH):
        batch = places[start : start + BATCH]
        asked = [policy.encode(prompts[n].prompt) for n in batch]
        written = [[policy.backbone.answer_ids(prompts[n].answer)] for n in batch]
        packed = policy.pack_answers(asked, written, row_tokens=512).to(policy.device)
        means = policy(packed).logp_text.sum(dim=1) / packed.target_mask.sum(dim=1)
        for n, mean in zip(batch, means.tolist(), strict=True):
            losses[n] = -mean
    return losses


# ---- the benchmark ----


def evaluate_talk(
    prompts: Sequence[TalkPrompt],
    policy: Answering,
    num_samples: int = 4,
    temperature: float = 1.0,
    seed: int = 0,
    show_progress: bool = False,
) -> dict[str, Any]:
    """Ask a policy every prompt at temperature 0 and ``num_samples`` times, and judge what it says.

    Args:
        policy: a ``PosePolicy`` is compared with its bare backbone, which is asked at temperature 0.
        others: see ``pose_rft.evaluation.benchmarks.evaluate``.

    Returns:
        What ``json.dumps`` takes, as ``evaluate_samples`` names it: ``mean_pose`` (temperature 0) and ``sampled``,
        ``references`` (the bare backbone), ``differences`` (the answers at temperature 0 less the bare backbone's,
        paired), ``categories`` with ``GRADES``, and ``rows`` with all answers.
    """
    started = time.monotonic()
    texts = [prompt.prompt for prompt in prompts]
    answers = ask(policy, texts, [None] * len(texts), num_samples, temperature, seed, show_progress=show_progress)
    if isinstance(policy, PosePolicy):
        answers[BARE] = bare_answers(policy, prompts)
    graded = {way: grade_talk(prompts, given) for way, given in answers.items()}
    if isinstance(policy, PosePolicy):
        _add_losses(graded["mean_pose"], written_losses(policy, prompts))
        with policy.language_model.without_adapters():
            _add_losses(graded[BARE], written_losses(policy, prompts))
    summaries = {way: summarise(rows) for way, rows in graded.items()}
    bare = {BARE: summaries.pop(BARE)} if BARE in summaries else {}
    return {
        "version": version("pose-rft"),
        "settings": {"num_samples": num_samples, "temperature": temperature, "seed": seed},
        "prompts": len(prompts),
        "seconds": round(time.monotonic() - started, 1),
        **summaries,
        "references": bare,
        "differences": {name: compare(graded[name], graded["mean_pose"]) for name in bare},
        "categories": by_category([prompt.category for prompt in prompts], graded, GRADES),
        "rows": [
            {
                "prompt": prompt.prompt,
                "category": prompt.category,
                "wants_pose": prompt.wants_pose,
                "answers": {way: [answer.text for answer in given[n]] for way, given in answers.items()},
                **{way: rows[n] for way, rows in graded.items()},
            }
            for n, prompt in enumerate(prompts)
        ],
    }


def _add_losses(rows: list[Row], losses: Sequence[float | None]) -> None:
    for row, loss in zip(rows, losses, strict=True):
        row["written_loss"] = loss


def talk_table(result: Mapping[str, Any]) -> Table:
    """The figures of ``evaluate_talk`` for a terminal: each measure of all prompts, and below it of each category."""
    columns = {"mean_pose": result["mean_pose"], "sampled": result["sampled"], **result["references"]}
    names = ["temperature 0" if way == "mean_pose" else way for way in columns]
    table = Table("measure", "prompts", *names, title=table_title(result))
    for measure in (*GRADES, "written_loss"):
        found = [summary.get(measure) for summary in columns.values()]
        if any(found):
            counted = next(interval["n"] for interval in found if interval)
            table.add_row(measure, str(counted), *(interval_text(measure, interval) for interval in found))
        for category, grades in result["categories"].items():
            if own := grades.get(measure):
                counted = next(iter(own.values()))["n"]
                texts = (interval_text(measure, own.get(way)) for way in columns)
                table.add_row(f"  {category}", str(counted), *texts)
    return table
