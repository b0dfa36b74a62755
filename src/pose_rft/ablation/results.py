"""What finished runs of a study leave, one small JSON each, and the tables that are made of these alone."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pose_rft.ablation.study import Study
from pose_rft.errors import UserError
from pose_rft.evaluation.grading import WAYS, column, signed_text
from pose_rft.evaluation.metrics import Interval, paired_difference_over_seeds
from pose_rft.evaluation.results_page import markdown_table
from pose_rft.storage import atomic_file, read_json

DEV, TEST, CAPTIONS = "canonical dev", "canonical test", "captions"
_LIKED = ("judge_preferred", "judge_score", "mpjpe_mm", "nearest_mm")
_KEPT: dict[str, tuple[str, ...]] = {"mean_pose": ("kept",), "sampled": ("kept", "diversity_mm")}
PER_PROMPT: dict[str, dict[str, tuple[str, ...]]] = {
    DEV: _KEPT,
    TEST: {**_KEPT, "best_of": ("kept",)},
    CAPTIONS: {"mean_pose": _LIKED, "sampled": _LIKED},
}  # measures that are kept


class Measure(NamedTuple):
    """A figure of a run: a mean over prompts, in percent where ``scale`` is 100."""

    label: str
    part: str
    way: str
    measure: str
    scale: float = 1
    digits: int = 1


COLUMNS: dict[str, tuple[Measure, ...]] = {
    "kept, %": (
        Measure("kept, mean pose", TEST, "mean_pose", "kept", 100),
        Measure("kept, samples", TEST, "sampled", "kept", 100),
        Measure("kept, best of 64", TEST, "best_of", "kept", 100),
    ),
    "judge prefers, %": (
        Measure("judge prefers, mean pose", CAPTIONS, "mean_pose", "judge_preferred", 100),
        Measure("judge prefers, samples", CAPTIONS, "sampled", "judge_preferred", 100),
    ),
    "judge's score": (
        Measure("judge's score, mean pose", CAPTIONS, "mean_pose", "judge_score", digits=3),
        Measure("judge's score, samples", CAPTIONS, "sampled", "judge_score", digits=3),
    ),
    "MPJPE, mm": (
        Measure("MPJPE, mean pose", CAPTIONS, "mean_pose", "mpjpe_mm"),
        Measure("MPJPE, samples", CAPTIONS, "sampled", "mpjpe_mm"),
    ),
    "nearest real pose, mm": (
        Measure("nearest real pose, mean pose", CAPTIONS, "mean_pose", "nearest_mm"),
        Measure("nearest real pose, samples", CAPTIONS, "sampled", "nearest_mm"),
    ),
    "spread, mm": (Measure("spread", TEST, "sampled", "diversity_mm"),),
}
CAPTION = (
    "Kept and checks met (mean pose / samples / best of 64) and spread of samples: canonical, test. All others: "
    "captions of held-out recordings (mean pose / samples). Clip: share of ratios where it binds, words / poses. "
    "Seconds: of training, computing / on the clock."
)


def per_prompt(result: Mapping[str, Any], part: str) -> dict[str, list[float | None]]:
    """``way/measure`` -> a rounded number for each prompt, of a result of ``evaluate_samples``."""
    return {
        f"{way}/{measure}": [
            None if row[way].get(measure) is None else round(row[way][measure], 1 if measure.endswith("_mm") else 4)
            for row in result["rows"]
        ]
        for way, measures in PER_PROMPT[part].items()
        for measure in measures
    }


def figures(result: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Means of every measure, for each way of asking."""
    return {
        way: {name: round(interval["mean"], 4) for name, interval in result[way].items() if name != "checks_met"}
        for way in WAYS
        if way in result
    }


def write_run(run: Mapping[str, Any], folder: Path) -> None:
    """Write the JSON of a finished run."""
    with atomic_file(run_file(folder, run["variant"], run["seed"])) as part:
        part.write_text(json.dumps(run, allow_nan=False) + "\n", encoding="utf-8")


def run_file(folder: Path, variant: str, seed: int) -> Path:
    return folder / f"{variant}-{seed}.json"


def read_run(path: Path) -> dict[str, Any]:
    """A run that ``write_run`` wrote.

    Raises:
        UserError: it is damaged.
    """
    run: dict[str, Any] = read_json(path, "delete it to make that run again")
    return run


def read_runs(folder: Path, variants: Iterable[str]) -> list[dict[str, Any]]:
    """All finished runs of variants, in the variants' order.

    Raises:
        UserError: there is none, one is damaged, or they are not of one start, the same prompts and equal time.
    """
    found = {variant: sorted(folder.glob(f"{variant}-[0-9]*.json")) for variant in variants}
    runs = [(path, read_run(path)) for paths in found.values() for path in paths]
    if not runs:
        raise UserError(f"{folder}: holds no finished run; leave out --table to make them")
    for what in ("start", "prompts", "minutes"):
        told = [(path, run[what]) for path, run in runs if run[what]]  # those that are not trained take no minutes
        for path, value in told:
            if value != told[0][1]:
                raise UserError(f"{path}: has other {what} than {told[0][0]}; move one of them to another folder")
    return [run for _, run in runs]


def values(run: Mapping[str, Any], measure: Measure) -> np.ndarray:
    """(N,) one number for each prompt, NaN where it has none."""
    found = run["per_prompt"][measure.part][f"{measure.way}/{measure.measure}"]
    return column([{measure.measure: value} for value in found], measure.measure)


def of_variant(runs: Sequence[Mapping[str, Any]], variant: str) -> dict[int, Mapping[str, Any]]:
    """Its runs by seed."""
    return {run["seed"]: run for run in runs if run["variant"] == variant}


def common_seeds(runs: Sequence[Mapping[str, Any]], one: str, other: str) -> list[int]:
    """The seeds of which there are runs of both variants."""
    return sorted(of_variant(runs, one).keys() & of_variant(runs, other).keys())


def difference(runs: Sequence[Mapping[str, Any]], ours: str, control: str, measure: Measure) -> Interval | None:
    """How much more a variant has of a measure than its control, in its unit; None where they share no seed."""
    these, others = of_variant(runs, ours), of_variant(runs, control)
    seeds = common_seeds(runs, ours, control)
    if not seeds:
        return None
    before, after = (np.stack([values(some[seed], measure) for seed in seeds]) for some in (others, these))
    return paired_difference_over_seeds(measure.scale * before, measure.scale * after)


def tables(study: Study, runs: Sequence[Mapping[str, Any]]) -> str:
    """What is compared, its figures, and what the compared variants have more than the others; Markdown."""
    about = [("variant", "what it is"), *((name, each.about) for name, each in study.variants.items())]
    compared = [difference_table(study, runs, name) for name in study.compared if of_variant(runs, name)]
    return "\n".join([study.about + "\n", markdown_table(about), table(study, runs), *compared])


def table(study: Study, runs: Sequence[Mapping[str, Any]]) -> str:
    """A line for each variant, means over its seeds, as Markdown."""
    lines = [("variant", "seeds", *COLUMNS, "checks, %", "clip, %", "seconds")]
    for variant in study.variants:
        own = list(of_variant(runs, variant).values())
        if own:
            cells = [" / ".join(_mean_text(own, measure) for measure in measures) for measures in COLUMNS.values()]
            clip = " / ".join(_clip_text(own, part) for part in ("text", "pose"))
            seconds = " / ".join(f"{np.mean([run[name] for run in own]):.0f}" for name in ("seconds", "wall_seconds"))
            lines.append((_name(own), str(len(own)), *cells, _checks_text(own), clip, seconds))
    return f"{markdown_table(lines)}\n{CAPTION}\n"


def difference_table(study: Study, runs: Sequence[Mapping[str, Any]], ours: str) -> str:
    """What a compared variant has more than the others, with 95 % intervals over prompts and seeds; Markdown."""
    seen = study.compared[: study.compared.index(ours) + 1]  # they have a table that says it the other way round
    seeds = {name: common_seeds(runs, ours, name) for name in study.variants if name not in seen}
    controls = [name for name, common in seeds.items() if common]
    lines = [(f"{ours} less", *controls)]
    for measure in (each for measures in COLUMNS.values() for each in measures):
        found = (difference(runs, ours, control, measure) for control in controls)
        lines.append((_unit(measure), *(_difference_text(each, measure.digits) for each in found)))
    lines.append(("seeds", *(str(len(seeds[control])) for control in controls)))
    return f"{markdown_table(lines)}\nBold where the interval leaves out 0.\n"


def _name(own: Sequence[Mapping[str, Any]]) -> str:
    temperature = float(np.mean([run["temperature"] for run in own]))
    return own[0]["variant"] + ("" if temperature == 1 else f" (temperature {temperature:.2f})")


def _mean_text(own: Sequence[Mapping[str, Any]], measure: Measure) -> str:
    numbers = np.stack([values(run, measure) for run in own])
    return f"{measure.scale * np.nanmean(numbers):.{measure.digits}f}" if np.isfinite(numbers).any() else "-"


def _checks_text(own: Sequence[Mapping[str, Any]]) -> str:
    shares = ([run["figures"][TEST].get(way, {}).get("satisfaction") for run in own] for way in WAYS)
    return " / ".join("-" if None in found else f"{100 * np.mean(found):.1f}" for found in shares)


def _clip_text(own: Sequence[Mapping[str, Any]], part: str) -> str:
    shares = [run["clip"][part] for run in own if part in run["clip"]]
    return f"{100 * np.mean(shares):.1f}" if shares else "-"


def _unit(measure: Measure) -> str:
    return measure.label + (", points" if measure.scale == 100 else ", mm" if measure.measure.endswith("_mm") else "")


def _difference_text(interval: Interval | None, digits: int) -> str:
    if interval is None or math.isnan(interval.mean):
        return "-"
    return signed_text(interval.mean, interval.low, interval.high, digits)
