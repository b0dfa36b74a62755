"""Options that several commands share."""

from typing import Annotated, Literal

import typer

OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
Checkpoint = Annotated[str, typer.Option(help="'default', a directory that training wrote, or a Hugging Face id.")]
Device = Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu, cuda, cuda:1, ...")]
Smoke = Annotated[
    bool,
    typer.Option(
        "--smoke", help="A run of seconds, to see that all is there: few samples and steps, in <output_dir>-smoke."
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Train and write nothing: check config and data, estimate memory and time for this machine."
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint in output_dir.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same result.")]
Up = Annotated[
    Literal["y", "z"] | None,
    typer.Option(help="The axis that points up in the poses; else the file says it, or its keys and poses do."),
]
