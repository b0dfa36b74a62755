"""``pose-rft edit``: change a given pose by an order in words."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pose_rft.commands.options import Seed, Up
from pose_rft.terminal import say, status


def edit(
    pose: Annotated[str, typer.Argument(help="FILE.npz, or FILE.npz#ROW for another pose of the file than the first.")],
    instruction: Annotated[str, typer.Argument(help="What shall change, such as 'raise the left arm a bit more'.")],
    out: Annotated[Path, typer.Option(help="Directory for the answers; files in it of the same names are replaced.")],
    num_samples: Annotated[int, typer.Option(min=1, help="How many different answers.")] = 1,
    temperature: Annotated[
        float, typer.Option(min=0.0, max=100.0, help="Variety of how far: 0 goes as far as the words say.")
    ] = 0.0,
    seed: Seed = 0,
    npz: Annotated[
        Literal["smplh", "smplx"], typer.Option(help="AMASS's 52 joints, or 55 as Blender's SMPL-X add-on loads.")
    ] = "smplh",
    up: Up = None,
) -> None:
    """Change a pose as an order says, and nothing else.

    Writes what generate writes, and before_after.png. What was not understood is said, never guessed.

    Example:  pose-rft edit out/pose_00.npz "bend the right knee 20 degrees further" --out edited
    """
    with status("Editing ..."):
        from pose_rft.answers import read_pose_row, write_edit
        from pose_rft.body.pose import FileOptions
        from pose_rft.policy.editing import edit_answers

        given = read_pose_row(pose, up)
        answers = edit_answers(given, instruction, num_samples, temperature, seed)
        lines = write_edit(out, given, instruction, answers, FileOptions(npz))
    for line in lines:
        say(f"{line['text']}  {', '.join(line['files'].values()) or 'no pose'}")
    say(f"Written to {out}")
