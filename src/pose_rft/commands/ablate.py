"""``pose-rft ablate``: the variants of a study, and their tables."""

from pathlib import Path
from typing import Annotated

import typer

from pose_rft.terminal import say, status


def ablate(
    context: typer.Context,
    study: Annotated[str, typer.Argument(help="A bundled study (controls, ...), or a YAML file of one.")],
    poses: Annotated[
        Path,
        typer.Option(
            help="Recordings: npz with `pose` and `sequence`; a file, folder or pattern, also in $POSE_RFT_MOCAP."
        ),
    ] = Path("*_poses.npz"),
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="VARIANT-SEED", help="This run alone, such as ours-0. Can be given again."),
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="Print the tables of the runs that are there; make none.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Checkpoints and policies; runs/STUDY unless given.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="A small JSON of each finished run, and tables.md; in OUT unless given.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Prompts of each benchmark, for a quick look.")] = None,
) -> None:
    """Train variants of one run from one start, for the same time, with several seeds, and print their tables.

    Finished runs are not made again, and a run that was killed goes on. Any field of the study can be set here too:
    --start runs/sft/policy --minutes 12 --seeds "[0]"

    Example:  pose-rft ablate controls --start runs/default_text_between --only ours-0
    """
    from pose_rft.ablation.results import read_runs, tables
    from pose_rft.ablation.study import read_study
    from pose_rft.storage import atomic_file, ensure_directory

    settings = read_study(study, context.args)
    out = out or Path("runs") / Path(study).stem
    results = results or out / "results"
    if not table:
        with status("Loading benchmarks ..."):
            from pose_rft.ablation.comparison import Comparison, named_run

            wanted = [named_run(settings, name) for name in only or []]
            ensure_directory(results)
            comparison = Comparison(settings, poses, out, results, limit)
        for name, seed in wanted or [(name, seed) for seed in settings.seeds for name in settings.variants]:
            comparison.make(name, seed)
        comparison.shared.clear()
    text = tables(settings, read_runs(results, settings.variants))
    with atomic_file(results / "tables.md") as part:
        part.write_text(text, encoding="utf-8")
    say(text)
