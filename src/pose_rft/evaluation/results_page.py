"""One Markdown table of what was measured, with the figures of papers beside it where the benchmark is theirs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_rft.errors import UserError
from pose_rft.evaluation.grading import MEASURES, WAYS, compare, difference_text, interval_text, value_text
from pose_rft.evaluation.retrieval_metrics import KS
from pose_rft.evaluation.retrieval_metrics import WAYS as RETRIEVAL_WAYS
from pose_rft.storage import package_table, read_json

RECALLS = tuple(f"{pool}{way}/recall@{k}" for pool in ("", "pool/") for way in RETRIEVAL_WAYS for k in KS)
COLUMNS = (*MEASURES, *RECALLS[:8], "mean_recall", *RECALLS[8:], "pool/mean_recall")
SHORT = {  # of measures in the table's head, replaced one after the other
    "text_to_pose/recall@": "T2P R@", "pose_to_text/recall@": "P2T R@", "pool/": "in a pool, ",
    "pa_mpjpe": "PA-MPJPE", "mpjpe": "MPJPE", "pve": "PVE", "_": " ",
}  # fmt: skip
ADVICE = "give a JSON file that `pose-rft evaluate --out` or `python -m benchmarks.retrieval` wrote"
Figure = Mapping[str, float] | float  # with an interval, or as printed


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        system: whose figures they are.
        benchmark: what was measured, and by which protocol.
        gallery: prompts, which are the gallery of retrieval too, or what a paper says of it.
        retriever: the model behind recalls and scores; empty where there are none.
        figures: by measure.
        note: the command that printed them, or where they were read.
    """

    system: str
    benchmark: str
    gallery: str
    retriever: str
    figures: Mapping[str, Figure]
    note: str


def results_page(files: Sequence[Path]) -> str:
    """The table of some results, then the commands and sources that its last column points to.

    Args:
        files: what ``save_result`` or ``benchmarks.retrieval`` wrote; none gives all published figures.

    Raises:
        UserError: a file cannot be read, or is something else.
    """
    results = [(file, _read(file)) for file in files]
    rows = [row for file, result in results for row in _rows(file, result)]
    benchmarks = {_benchmark(result) for _, result in results}
    rows += [row for row in published_rows() if not files or row.benchmark in benchmarks]
    columns = [name for name in COLUMNS if any(name in row.figures for row in rows)]
    notes = list(dict.fromkeys(row.note for row in rows))
    shown = [name for name in ("gallery", "retriever") if any(getattr(row, name) for row in rows)]
    head = ["figures of", "benchmark", *shown, *map(_name, columns), "from"]
    lines = [head]
    for row in rows:
        cells = [_cell(name, row.figures.get(name)) for name in columns]
        where = f"[{notes.index(row.note) + 1}]"
        lines.append([row.system, row.benchmark, *(getattr(row, name) for name in shown), *cells, where])
    listed = "\n".join(f"{number}. {note}" for number, note in enumerate(notes, start=1))
    return f"{markdown_table(lines)}\n{listed}\n"


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """A table whose first line is its head."""
    rows = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)


def paired_page(files: Sequence[Path]) -> str:
    """What the first result has more than each of the others, prompt by prompt; Markdown.

    Args:
        files: what ``save_result`` wrote for the same prompts of one benchmark, two at least.

    Raises:
        UserError: a file cannot be read, is something else, or has other prompts than the first.
    """
    if len(files) < 2:
        raise UserError(f"--paired: give two files or more, not {len(files)}: the first is compared with the others")
    first, *others = [(file, _answered(file)) for file in files]
    lines: list[list[str]] = []
    for file, rows in others:
        if [row["prompt"] for row in rows] != [row["prompt"] for row in first[1]]:
            raise UserError(f"{file}: has other prompts than {first[0]}; compare results of one benchmark and split")
        for way in (way for way in WAYS if way in rows[0] and way in first[1][0]):
            found = compare([row[way] for row in rows], [row[way] for row in first[1]])
            pair = [f"{first[0].stem} less {file.stem}", way.replace("_", " ")]
            lines += [[*pair, _name(measure), difference_text(measure, each)] for measure, each in found.items()]
    return markdown_table([["pair", "answer", "measure", "difference, 95 % interval over prompts"], *lines])


def _answered(file: Path) -> list[dict[str, Any]]:
    rows = _read(file).get("rows")
    if not rows:
        raise UserError(f"{file}: holds no answers prompt by prompt; {ADVICE}")
    return list(rows)


def published_rows() -> list[Row]:
    """The figures of papers that ``published.yaml`` holds."""
    return [
        Row(
            entry["system"],
            entry["benchmark"],
            "",
            "the paper's" if any("recall" in name for name in entry["measures"]) else "",
            entry["measures"],
            f"{entry['source']}; table: {entry['table']}; protocol: {entry['protocol']}",
        )
        for entry in package_table(__package__, "published.yaml")
    ]


def _read(file: Path) -> dict[str, Any]:
    result = read_json(file, ADVICE)
    if not isinstance(result, dict) or not ({"settings", "captions"} & result.keys()):
        raise UserError(f"{file}: holds no result; {ADVICE}")
    return result


def _benchmark(result: Mapping[str, Any]) -> str:
    """Whose benchmark a result is of."""
    protocol = result.get("protocol")
    return str(protocol["benchmark"] if protocol else result.get("benchmark"))


def _rows(file: Path, result: Mapping[str, Any]) -> Iterator[Row]:
    """All answers of a result, and what they are compared with."""
    note = f"`{result['command']}`" if "command" in result else f"{file}, which does not say by which command"
    if "captions" in result:  # of benchmarks.retrieval
        for style, found in result["captions"].items():
            for name, figures in found["figures"].items():
                yield Row(name, f"retrieval, {style} captions", str(result["gallery"]), name, figures, note)
        return
    protocol, judged = result.get("protocol"), result.get("judge", {})
    benchmark = f"{_benchmark(result)} ({protocol['name']})" if protocol else _benchmark(result)
    answers = {name: found for name, found in result.items() if _is_summary(found)}
    judge = f"judge of pose-rft {result.get('version')}" if judged else ""
    for name, found in {**answers, **result.get("references", {})}.items():
        system = f"{result.get('checkpoint', file.stem)}, {name.replace('_', ' ')}" if name in answers else name
        figures = {key: value for key, value in {**found, **judged.get(name, {})}.items() if isinstance(value, Mapping)}
        yield Row(system, benchmark, str(result.get("prompts", "")), judge, figures, note)


def _is_summary(found: Any) -> bool:
    """Whether something of a result is measures with intervals."""
    return isinstance(found, dict) and any(isinstance(each, dict) and "low" in each for each in found.values())


def _cell(measure: str, figure: Figure | None) -> str:
    if figure is None:
        return ""
    return interval_text(measure, figure) if isinstance(figure, Mapping) else value_text(measure, figure)


def _name(measure: str) -> str:
    """As a table heads it: "T2P R@5"."""
    for part, short in SHORT.items():
        measure = measure.replace(part, short)
    return measure
