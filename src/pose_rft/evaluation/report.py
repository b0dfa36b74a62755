"""The page that says what training changed: one HTML file, no scripts, nothing fetched."""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from pose_rft.evaluation.charts import curve, number, share_bars
from pose_rft.evaluation.grading import compare
from pose_rft.storage import atomic_file, package_table, package_text

Picture = tuple[str, bytes, bytes, str]
OVERLAYS = "What the trained policy reads off it, drawn over it."
NBSP = "\u00a0"
WAYS = {"sampled": "Sampled poses", "mean_pose": "Mean pose (temperature 0)"}


class Measure(NamedTuple):
    """How the report words a measure; ``direction`` is +1 if more is better, -1 if less is, 0 if neither."""

    label: str
    meaning: str
    direction: int
    percent: bool = False
    digits: int = 1


WORDING = {name: Measure(**entry) for name, entry in package_table(__package__, "report.yaml")["measures"].items()}


def write_report(
    path: Path,
    title: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    pictures: Sequence[Picture],
    curves: Mapping[str, Sequence[tuple[float, float]]],
    facts: Mapping[str, str],
    photographs: Sequence[Picture] = (),
) -> None:
    """Write the report of one fine-tuning run.

    Args:
        path: the HTML file; an earlier one stays whole if writing fails.
        title: what was trained, in a few words.
        before, after: results of ``pose_rft.evaluation.benchmarks.evaluate`` or ``judge`` on the same prompts.
        pictures: (prompt, PNG before, PNG after, note) - the note says what to look at, or is empty.
        curves: name -> (step, value) in training, drawn in the given order; NaN leaves a gap.
        facts: what was run: command, time, machine, version ...
        photographs: (question, the photograph, the pose drawn over it, note), both as PNG.

    Raises:
        ValueError: the two results answer different prompts.
        UserError: the place cannot be written.
    """
    gains = {way: compare(_rows(before, way), _rows(after, way)) for way in WAYS}
    sections = [
        f"<header><h1>{escape(title)}</h1>{_verdict(before, after, gains)}</header>",
        _headline(before, after, gains),
        _pictures("Before and after", "The mean pose for the same prompt.", ("before", "after"), pictures),
        _pictures("A photograph", OVERLAYS, ("photograph", "answer"), photographs),
        curve_cards(curves),
        _table(before, after, gains),
        fact_list(facts),
    ]
    write_page(path, title, sections)


def write_page(path: Path, title: str, sections: Sequence[str]) -> None:
    """Write a page of sections of HTML that needs nothing beside itself; an empty section is left out.

    Raises:
        UserError: the place cannot be written; an earlier page stays whole.
    """
    style = package_text(__package__, "report.css")
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )
    with atomic_file(path) as part:
        part.write_text(page, encoding="utf-8")


def _rows(result: Mapping[str, Any], way: str) -> list[dict[str, Any]]:
    return [{"prompt": row["prompt"], **row[way]} for row in result["rows"]]


def _percent(interval: Mapping[str, float]) -> str:
    return f"{100 * interval['mean']:.0f}{NBSP}%"


def _points(value: float) -> str:
    return f"{100 * value:+.0f}".replace("-", "−")


def _standing(measure: Measure, gain: Mapping[str, float]) -> str:
    """CSS class and verdict in one word: an interval that holds 0 is no change."""
    if measure.direction == 0 or gain["low"] <= 0 <= gain["high"]:
        return "same"
    return "good" if gain["mean"] * measure.direction > 0 else "bad"


def _verdict(before: Mapping[str, Any], after: Mapping[str, Any], gains: Mapping[str, Any]) -> str:
    old, new = before["sampled"].get("satisfaction"), after["sampled"].get("satisfaction")
    if old is None or new is None:
        return ""
    gain = gains["sampled"]["satisfaction"]
    standing = _standing(WORDING["satisfaction"], gain)
    clear = {"good": "a clear gain", "bad": "a clear loss", "same": "no clear change"}[standing]
    return (
        f'<p class="verdict">Of what the prompts ask, a sampled pose now does <strong>{_percent(new)}</strong>; '
        f"before training it did {_percent(old)}. That is {clear} of {_points(gain['mean'])} points "
        f"(95{NBSP}% interval {_points(gain['low'])} to {_points(gain['high'])}) on {new['n']} prompts kept out of "
        f"training. {_naturalness(before, after)}</p>"
    )


def _naturalness(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """A reward is easily over-fitted, so what it may cost stands beside what it brings."""
    old, new = before["sampled"].get("nearest_mm"), after["sampled"].get("nearest_mm")
    said = f"Valid answers: {_percent(after['sampled']['valid'])}. "
    if old and new:
        said += f"Distance to the nearest real pose: {old['mean']:.0f}{NBSP}mm before, {new['mean']:.0f}{NBSP}mm after."
    return said


def _headline(before: Mapping[str, Any], after: Mapping[str, Any], gains: Mapping[str, Any]) -> str:
    cards = []
    for way, name in WAYS.items():
        if "satisfaction" not in after[way]:
            continue
        old, new, gain = before[way]["satisfaction"], after[way]["satisfaction"], gains[way]["satisfaction"]
        standing = _standing(WORDING["satisfaction"], gain)
        bars = [("before", "before", old), ("after", "after", new)]
        bars += [
            (reference, "other", summary["satisfaction"])
            for reference, summary in after["references"].items()
            if "satisfaction" in summary
        ]
        cards.append(
            f'<section class="card"><h3>{name}: checks met</h3><p class="figures">'
            f'<span class="was">{_percent(old)} →</span> <span class="now">{_percent(new)}</span>'
            f' <span class="gain {standing}">{_points(gain["mean"])} points</span></p>{share_bars(bars)}</section>'
        )
    if not cards:
        return ""
    note = "Each prompt comes with checks on the joints that any fitting pose passes. Thin lines: 95\u00a0% intervals."
    return f'<div class="grid two">{"".join(cards)}</div>\n<p class="quiet" style="margin-top:12px">{note}</p>'


def _image(name: str, style: str, prompt: str, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<figure class="{style}"><figcaption>{name}</figcaption>'
        f'<img src="data:image/png;base64,{data}" alt="{name}: {escape(prompt)}"></figure>'
    )


def _pictures(title: str, note: str, names: tuple[str, str], pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    cards = "".join(_pair(names, picture) for picture in pictures)
    return (
        f'<h2>{title}</h2>\n<p class="quiet">{note} Left limbs are orange, right limbs blue.</p>\n'
        f'<div class="grid two">{cards}</div>'
    )


def _pair(names: tuple[str, str], picture: Picture) -> str:
    """Two pictures side by side, as before and after are shown."""
    prompt, old, new, note = picture
    return (
        f'<article class="card"><p class="prompt">“{escape(prompt)}”</p><div class="pair">'
        f"{_image(names[0], 'before', prompt, old)}{_image(names[1], 'after', prompt, new)}</div>"
        + (f'<p class="note">{escape(note)}</p>' if note else "")
        + "</article>"
    )


def curve_cards(curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """The section of a page that draws what was logged: name -> (step, value); nothing where there is nothing."""
    cards = []
    for name, points in curves.items():
        values = [value for _, value in points if math.isfinite(value)]
        ends = f"{number(values[0])} → {number(values[-1])}" if values else ""
        cards.append(
            f'<section class="card"><div class="curve-head"><span>{escape(name)}</span><span>{ends}</span></div>'
            f"{curve(name, points)}</section>"
        )
    return f'<h2>Training</h2>\n<div class="grid three">{"".join(cards)}</div>' if cards else ""


def interval_cell(measure: Measure, interval: Mapping[str, float]) -> str:
    """What stands in a table: the mean, and below it the interval."""
    scale, unit = (100, " %") if measure.percent else (1, "")
    mean, low, high = (f"{scale * interval[key]:.{measure.digits}f}" for key in ("mean", "low", "high"))
    return f"{mean}{unit}<small>{low} to {high}</small>"


def _gain_cell(measure: Measure, gain: Mapping[str, float]) -> str:
    scale = 100 if measure.percent else 1
    mean, low, high = (f"{scale * gain[key]:+.{measure.digits}f}".replace("-", "−") for key in ("mean", "low", "high"))
    return f'<span class="{_standing(measure, gain)}">{mean}</span><small>{low} to {high}</small>'


def _table(before: Mapping[str, Any], after: Mapping[str, Any], gains: Mapping[str, Any]) -> str:
    body = []
    for way, name in WAYS.items():
        body.append(f'<tr class="part"><th colspan="4">{name}</th></tr>')
        for key, gain in gains[way].items():
            measure = WORDING[key]
            body.append(
                f"<tr><td>{measure.label}<small>{measure.meaning}</small></td>"
                f'<td data-name="before">{interval_cell(measure, before[way][key])}</td>'
                f'<td data-name="after">{interval_cell(measure, after[way][key])}</td>'
                f'<td data-name="change">{_gain_cell(measure, gain)}</td></tr>'
            )
    return (
        "<h2>All measures</h2>\n"
        f'<p class="quiet">Means over {after["prompts"]} prompts, 95 % bootstrap intervals below; the change is '
        'paired, prompt by prompt. <span class="good">Green</span> is better and <span class="bad">red</span> worse, '
        "where the interval leaves out 0.</p>\n"
        '<div class="card scroll"><table class="results"><thead><tr><th></th><th>before</th><th>after</th>'
        f"<th>change</th></tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def fact_list(facts: Mapping[str, str]) -> str:
    """The section of a page that says what was run, by name."""
    if not facts:
        return ""
    entries = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items())
    return f'<h2>What was run</h2>\n<div class="card"><dl>{entries}</dl></div>'
