"""The page that a run leaves behind: how its rewards and losses went, how the same poses changed, what was run."""

import base64
import dataclasses
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from pose_rft.evaluation.charts import number
from pose_rft.evaluation.phrase_fit import PhraseFit
from pose_rft.evaluation.report import WORDING, Measure, curve_cards, fact_list, interval_cell, write_page
from pose_rft.storage import package_table

Curves = dict[str, list[tuple[float, float]]]
REPORT_FILE = "report.html"
FIT = {name: WORDING[name] for name in ("satisfaction", "kept")} | {
    "nearest_mm": Measure("To the nearest target, mm", "", -1, digits=0)
}  # what a page says of a phrase fit
FEWEST = 5  # steps whose mean says something of a reward


def log_curves(history: Sequence[Mapping[str, float]]) -> Curves:
    """What a page draws of a log: every reward's mean, then the metrics that have a title; title -> (step, value)."""
    names = dict.fromkeys(name for entry in history for name in entry)
    rewards = {name: f"Reward: {name.split('/')[1]}" for name in names if _is_reward(name)}
    titles = rewards | {
        name: title for name, title in package_table(__package__, "report.yaml")["curves"].items() if name in names
    }
    return {
        title: [(entry["step"], entry[name]) for entry in history if name in entry] for name, title in titles.items()
    }


def write_run_report(
    output: Path,
    title: str,
    history: Sequence[Mapping[str, float]],
    config: Any,
    timeline: Path | None = None,
    changes: Sequence[str] = (),
    fits: Mapping[str, PhraseFit] | None = None,
) -> Path:
    """Write ``report.html`` into the directory of a run that is over.

    Args:
        history: log entries with their ``step``, as ``run_rft`` returns them.
        config: the run's dataclass.
        timeline: the picture of ``pose_rft.runs.pose_timeline``, if there is one.
        changes: of the config, while the run went on.
        fits: how well phrases of its training are done, by when they were asked.

    Returns:
        The page's path.

    Raises:
        UserError: the place cannot be written.
    """
    curves = log_curves(history)
    policy = output / "policy"
    header = (
        f"<header><h1>{escape(title)}</h1>{_verdict(curves)}"
        '<p class="quiet">This is the log of training, on the prompts that it trained on. To judge the policy: '
        f"<code>pose-rft evaluate everyday-prompts --checkpoint {escape(str(policy))}</code></p></header>"
    )
    facts = {
        "Policy": str(policy),
        "Version": f"pose-rft {version('pose-rft')}, torch {torch.__version__}, Python {platform.python_version()}",
    }
    if changes:
        facts["Changed on the way"] = "; ".join(changes)
    path = output / REPORT_FILE
    sections = [_phrase_fits(fits or {}), _timeline(timeline), curve_cards(curves), fact_list(facts), _config(config)]
    write_page(path, title, [header, *sections])
    return path


def _is_reward(name: str) -> bool:
    return name.startswith("rewards/") and name.endswith("/mean")


def _verdict(curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """The rewards' means at both ends of the log, over a tenth of it and at least ``FEWEST`` steps: one is noise."""
    changes, count = [], 0
    for title, points in curves.items():
        values = [value for _, value in points if math.isfinite(value)]
        if title.startswith("Reward: ") and len(values) >= 2 * FEWEST:
            count = max(FEWEST, len(points) // 10)
            first, last = _mean(values[:count]), _mean(values[-count:])
            name = escape(title.removeprefix("Reward: "))
            changes.append(f"{name} {number(first)} \u2192 <strong>{number(last)}</strong>")
    if not changes:
        return ""
    ends = f"Rewards, mean of the first {count} and of the last {count} steps"
    return f'<p class="verdict">{ends}: {", ".join(changes)}.</p>'


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _phrase_fits(fits: Mapping[str, PhraseFit]) -> str:
    if not fits:
        return ""
    heads = "".join(f"<th>{measure.label}</th>" for measure in FIT.values())
    rows = "".join(_phrase_fit(when, fit) for when, fit in fits.items())
    return (
        "<h2>Phrases of its training</h2>\n"
        f'<p class="quiet">{next(iter(fits.values())).phrases} phrases among the prompts that it trained on, and '
        "the mean pose to each. A target is a pose that a phrase was learned with. Below: 95 % intervals.</p>\n"
        f'<div class="card scroll"><table class="results"><thead><tr><th></th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _phrase_fit(when: str, fit: PhraseFit) -> str:
    cells = [(each.label, interval_cell(each, dataclasses.asdict(getattr(fit, name)))) for name, each in FIT.items()]
    texts = "".join(f'<td data-name="{label}">{cell}</td>' for label, cell in cells)
    return f"<tr><td>{escape(when)}</td>{texts}</tr>"


def _timeline(path: Path | None) -> str:
    if path is None or not path.is_file():
        return ""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        "<h2>The same prompts while it trained</h2>\n"
        '<p class="quiet">The mean pose. Left limbs are orange, right limbs blue.</p>\n'
        '<div class="card timeline scroll">'
        f'<img alt="Poses for the same prompts, a row for each moment" src="data:image/png;base64,{data}"></div>'
    )


def _config(config: Any) -> str:
    text = yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False, width=100)
    return f"<details><summary>The whole config</summary><pre>{escape(text)}</pre></details>"


def _plain(value: Any) -> Any:
    """Only what YAML knows: mappings, lists, numbers and texts."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | None) else str(value)
