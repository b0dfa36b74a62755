"""The table of the central comparison: the start, training of the words alone, and HyGRPO, over seeds."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from pose_rft.evaluation.grading import compare

WAYS = ("mean_pose", "sampled")
HEADINGS = (
    "policy",
    "seeds",
    "checks met",
    "unsatisfied, of the start's",
    "MPJPE, mm",
    "nearest real pose, mm",
    "valid",
    "KL, nats",
)


@dataclass(frozen=True, slots=True)
class Run:
    """One trained policy that was judged.

    Attributes:
        name: rows of the table are runs of one name, e.g. "HyGRPO" or "GRPO on tokens only".
        seed: of training.
        result: what ``pose_rft.evaluation.benchmarks.judge`` returned.
        kl: Gaussian KL of the pose to the start at the end of training, nats; None if it was not trained.
    """

    name: str
    seed: int
    result: Mapping[str, Any]
    kl: float | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """A value over seeds: mean, smallest and largest."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line of the table; pairs are keyed by ``mean_pose`` and ``sampled``.

    Attributes:
        name: of the runs.
        seeds: of the runs.
        satisfaction: share of the checks met.
        unsatisfied_ratio: (1 - satisfaction) over that of the start; 0.5 = training halved what was left to do.
        mpjpe_mm, mpjpe_change: error to the recorded pose and its change relative to the start (0.1 = 10 % more).
        nearest_mm, nearest_change: the same of the distance to the nearest real pose.
        valid: share of valid sampled answers.
        kl: see ``Run``.
        paired: for each seed, differences to the start with 95 % intervals over prompts (``grading.compare``).
    """

    name: str
    seeds: tuple[int, ...]
    satisfaction: dict[str, Spread]
    unsatisfied_ratio: dict[str, Spread]
    mpjpe_mm: dict[str, Spread]
    mpjpe_change: dict[str, Spread]
    nearest_mm: dict[str, Spread]
    nearest_change: dict[str, Spread]
    valid: Spread
    kl: Spread | None
    paired: list[dict[str, dict[str, dict[str, float]]]]


def rft_table(start: Run, runs: Sequence[Run]) -> list[TableRow]:
    """Compare fine-tuned policies with the policy that they started from.

    Args:
        start: the supervised policy.
        runs: fine-tuned ones, several seeds under one name; their order is the order of the rows.

    Returns:
        The start's row and one row per name. Measures that the benchmark does not have are left out of the pairs.

    Raises:
        ValueError: results on different prompts.
    """
    names = list(dict.fromkeys(run.name for run in runs))
    groups = [[run for run in runs if run.name == name] for name in names]
    return [_row(start, group) for group in ([start], *groups)]


def _row(start: Run, group: Sequence[Run]) -> TableRow:
    kls = [run.kl for run in group if run.kl is not None]
    return TableRow(
        name=group[0].name,
        seeds=tuple(run.seed for run in group),
        satisfaction=_pairs(group, "satisfaction"),
        unsatisfied_ratio=_relative(start, group, "satisfaction", lambda value, was: (1 - value) / (1 - was)),
        mpjpe_mm=_pairs(group, "mpjpe_mm"),
        mpjpe_change=_relative(start, group, "mpjpe_mm", lambda value, was: value / was - 1),
        nearest_mm=_pairs(group, "nearest_mm"),
        nearest_change=_relative(start, group, "nearest_mm", lambda value, was: value / was - 1),
        valid=_spread([run.result["sampled"]["valid"]["mean"] for run in group]),
        kl=_spread(kls) if kls else None,
        paired=[{way: compare(_rows(start, way), _rows(run, way)) for way in WAYS} for run in group],
    )


def _rows(run: Run, way: str) -> list[dict[str, Any]]:
    return [{"prompt": row["prompt"], **row[way]} for row in run.result["rows"]]


def _spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.fmean(values), min(values), max(values))


def _pairs(group: Sequence[Run], measure: str) -> dict[str, Spread]:
    return {
        way: _spread([run.result[way][measure]["mean"] for run in group])
        for way in WAYS
        if all(measure in run.result[way] for run in group)
    }


def _relative(
    start: Run, group: Sequence[Run], measure: str, relate: Callable[[float, float], float]
) -> dict[str, Spread]:
    """``relate(value, value of the start)`` for every run; left out where the start leaves nothing to compare with."""
    related = {}
    for way in _pairs(group, measure):
        was = start.result[way].get(measure, {}).get("mean")
        if was is None or (measure == "satisfaction" and was == 1) or was == 0:
            continue
        related[way] = _spread([relate(run.result[way][measure]["mean"], was) for run in group])
    return related


def _cells(row: TableRow) -> tuple[str, ...]:
    """The texts of one line; each pair reads "mean pose / sampled"."""

    def pair(values: Mapping[str, Spread], form: str, changes: Mapping[str, Spread] | None = None) -> str:
        texts = [
            form.format(spread.mean) + (f" ({changes[way].mean:+.0%})" if changes and way in changes else "")
            for way, spread in values.items()
        ]
        return " / ".join(texts) or "-"

    started = row.kl is None
    return (
        row.name,
        str(len(row.seeds)),
        pair(row.satisfaction, "{:.3f}"),
        "1 / 1" if started else pair(row.unsatisfied_ratio, "{:.2f}"),
        pair(row.mpjpe_mm, "{:.0f}", None if started else row.mpjpe_change),
        pair(row.nearest_mm, "{:.0f}", None if started else row.nearest_change),
        f"{row.valid.mean:.1%}",
        "-" if row.kl is None else f"{row.kl.mean:.1f}",
    )


CAPTION = "Pairs: mean pose / sampled poses. Means over seeds; in brackets the change against the start."


def as_rich(rows: Sequence[TableRow]) -> Table:
    """The table for a terminal."""
    table = Table(*HEADINGS, caption=CAPTION)
    for row in rows:
        table.add_row(*_cells(row))
    return table


def as_markdown(rows: Sequence[TableRow]) -> str:
    """The table for documentation."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(_cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + f"\n\n{CAPTION}\n"


def as_json(rows: Sequence[TableRow]) -> list[dict[str, Any]]:
    """The table with everything in it, for ``json.dumps``."""
    return [asdict(row) for row in rows]
