"""``pose-rft evaluate``, ``benchmarks`` and ``results``: judge a policy, and lay figures beside published ones."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from pose_rft.commands.loading import load_policy
from pose_rft.commands.options import Checkpoint, Device, Seed, Up
from pose_rft.errors import UserError
from pose_rft.terminal import output, say, status


def evaluate(
    benchmark: Annotated[str | None, typer.Argument(help="A name that `pose-rft benchmarks` lists.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Pairs in place of a benchmark: .jsonl, .parquet, a data set; or NAME:FOLDER of a published one "
            "(docs/readers.md), such as 3dpw:/data/3DPW."
        ),
    ] = None,
    checkpoint: Checkpoint = "default",
    out: Annotated[Path | None, typer.Option(help="Write all figures and per-prompt rows to this JSON file.")] = None,
    poses: Annotated[Path | None, typer.Option(help="Recordings (npz): a file, a folder or a pattern.")] = None,
    up: Up = None,
    split: Annotated[
        Literal["test", "dev", "all"],
        typer.Option(help="Where a benchmark has parts: report test, choose settings on dev."),
    ] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only the first so many prompts.")] = None,
    num_samples: Annotated[int, typer.Option(min=1, help="Sampled answers per prompt, beside the likeliest one.")] = 4,
    temperature: Annotated[
        float, typer.Option(min=0.01, max=100.0, help="Variety of the samples, and of those that the best is taken of.")
    ] = 1.0,
    best_of: Annotated[
        int, typer.Option(min=1, help="Samples of which a text's third answer takes the best; 1 leaves it out.")
    ] = 64,
    settle: Annotated[
        bool, typer.Option(help="--no-settle: poses as they are sampled or found, not put on the floor.")
    ] = True,
    protocol: Annotated[
        str | None,
        typer.Option(help="How distances to the poses of --data are measured, such as 3dpw-14 (docs/protocols.md)."),
    ] = None,
    smpl: Annotated[
        Path | None,
        typer.Option(help="Folder of your SMPL models and the protocol's regressor; of own-22 a model's file."),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Judge a policy by a benchmark, or by data: prompts with what their poses, or words, should meet.

    Example:  pose-rft evaluate everyday-prompts --checkpoint runs/rft/policy --out everyday.json

    Example:  pose-rft evaluate --data 3dpw:/data/3DPW --protocol 3dpw-14 --smpl ~/smpl --out 3dpw.json
    """
    from pose_rft.evaluation.protocols import PoseProtocol, find_protocol
    from pose_rft.storage import ensure_writable

    if bool(benchmark) == bool(data):
        raise UserError("evaluate: give the name of a benchmark (pose-rft benchmarks lists them) or --data")
    if protocol and not data:
        raise UserError(
            "--protocol: measures poses of your own data; give --data FILE or NAME:FOLDER (benchmarks have their own)"
        )
    chosen = find_protocol(protocol) if protocol else None
    if smpl and not isinstance(chosen, PoseProtocol):
        raise UserError("--smpl: is read for a protocol that measures poses (docs/protocols.md); leave it out")
    if out is not None:
        ensure_writable(out)
    how: dict[str, Any] = {"protocol": chosen, "smpl": smpl}
    with status("Loading ..."):
        from pose_rft.evaluation.benchmarks import WITHOUT_POLICY, results_table, save_result
        from pose_rft.evaluation.benchmarks import evaluate as run_benchmark
        from pose_rft.evaluation.own_data import evaluate_own_data

    settings: dict[str, Any] = {
        "poses": poses, "up": up, "split": split, "limit": limit, "num_samples": num_samples, "seed": seed,
        "temperature": temperature, "best_of": best_of, "settle": settle, "show_progress": True,
    }  # fmt: skip
    if data:
        result = evaluate_own_data(data, load_policy(checkpoint, device), **settings, **how)
    else:
        policy = None if benchmark in WITHOUT_POLICY else load_policy(checkpoint, device)
        result = run_benchmark(str(benchmark), policy, **settings)
    output.print(results_table(result))
    if out is not None:
        said = shlex.join(["pose-rft", *sys.argv[1:]])
        save_result({"command": said, "checkpoint": checkpoint, **result}, out)
        say(f"Written to {out}")


def benchmarks() -> None:
    """List the benchmarks and what each needs."""
    from pose_rft.evaluation.benchmarks import list_benchmarks

    table = Table("name", "what it measures", "needs")
    for entry in list_benchmarks():
        table.add_row(entry["name"], entry["description"], entry["needs"])
    output.print(table)


def results(
    files: Annotated[list[Path] | None, typer.Argument(help="JSON that evaluate wrote; none: all published.")] = None,
    paired: Annotated[
        bool, typer.Option("--paired", help="What the first has more than each other one, prompt by prompt.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the page to this Markdown file.")] = None,
) -> None:
    """One Markdown table of results with intervals, published figures of the same benchmark beside them.

    Example:  pose-rft results after.json before.json --paired --out difference.md
    """
    from pose_rft.evaluation.results_page import paired_page, results_page
    from pose_rft.storage import atomic_file

    page = paired_page(files or []) if paired else results_page(files or [])
    if out is None:
        output.print(page, markup=False, highlight=False, soft_wrap=True, end="")
        return
    with atomic_file(out) as part:
        part.write_text(page, encoding="utf-8")
    say(f"Written to {out}")
