"""``pose-rft data``: one's own data, looked through before training and made of poses."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pose_rft.commands.options import Seed, Up
from pose_rft.errors import UserError
from pose_rft.terminal import output, say

if TYPE_CHECKING:
    from rich.table import Table

    from pose_rft.data.findings import Findings

app = typer.Typer(no_args_is_help=True, help="Your own data: look through it, or make it of poses.")

NAMED = 20  # broken lines that are named


@app.command("check")
def check(
    source: Annotated[
        str,
        typer.Argument(
            help=".jsonl, .parquet, a folder with a data set, a Hugging Face id, or the name of a published data set."
        ),
    ],
    folder: Annotated[Path | None, typer.Argument(help="Of a published data set: where it was unpacked.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw some samples into this PNG.")] = None,
) -> None:
    """Count what is in a file of pairs and name each broken line; exit status 2 if there is one.

    Of a published data set (docs/readers.md), say what is there, what is missing, where it comes from and under which
    licence, and read a thousand of its lines.

    Examples:  pose-rft data check pairs.jsonl --picture samples.png
               pose-rft data check posescript /data/posescript
    """
    from pose_rft.body.render import write_png
    from pose_rft.data.findings import look_through, sheet
    from pose_rft.storage import ensure_writable

    if picture is not None:
        ensure_writable(picture)
    if folder is not None:
        for line in _inventory(source, folder):
            say(line)
    found = look_through(source) if folder is None else look_through(folder, source)
    source = source if folder is None else f"{source} in {folder}"
    if found.tasks:
        output.print(_table(source, found))
    for remark in _remarks(found):
        say(remark)
    if picture is not None and found.shown:
        write_png(picture, sheet(found.shown))
        say(f"Drawn in {picture}")
    for line in found.broken[:NAMED]:
        say(line)
    if found.broken:
        more = f", of which the first {NAMED} are named above" if len(found.broken) > NAMED else ""
        raise UserError(
            f"{source}: {len(found.broken)} of {found.read} lines are broken{more}; mend them or leave them out"
        )


@app.command("caption")
def caption(
    poses: Annotated[str, typer.Argument(help="A pose file (docs/body.md), a folder of them or a pattern.")],
    out: Annotated[Path, typer.Option(help="JSON Lines file to write, for data.sources of a config.")],
    captions: Annotated[int, typer.Option(min=1, help="Captions for each pose.")] = 3,
    seed: Seed = 0,
    up: Up = None,
) -> None:
    """Make pairs for training of poses: captions that are true of them, with the checks that each states.

    Example:  pose-rft data caption out/pose_00.npz --out pairs.jsonl
    """
    from pose_rft.data.captioned_pairs import write_captioned_pairs

    lines = write_captioned_pairs(poses, out, captions, seed, up)
    say(f"{lines} pairs written to {out}")


@app.command("recordings")
def recordings(
    name: Annotated[str, typer.Argument(help="cmu (ASF/AMC) or bvh.")],
    folder: Annotated[Path, typer.Argument(help="Where the files are.")],
    out: Annotated[Path, typer.Option(help=".npz to write, for data.mocap of a config.")],
) -> None:
    """Make recordings for the built-in mixture of CMU's own files, or of BVH.

    Example:  pose-rft data recordings cmu /data/cmu --out cmu_poses.npz
    """
    from pose_rft.data.readers.motion_files import write_clips
    from pose_rft.data.readers.registry import reader_of
    from pose_rft.storage import ensure_writable

    ensure_writable(out)
    clips = write_clips(reader_of(name), folder, out)
    say(f"{len(clips)} poses of {len(clips.names)} clips written to {out}")


def _inventory(name: str, folder: Path) -> list[str]:
    """What a folder has of a published data set, where that comes from and under which licence; a line each."""
    from pose_rft.data.readers.registry import reader_of

    reader = reader_of(name)
    said = [f"{reader.title}: {reader.gives}", f"from {reader.home}", f"licence: {reader.licence}"]
    for needed in reader.holds:
        found = needed.found(folder)
        state = f"{len(found)} found" if found else "MISSING" if needed.required else "none found"
        said.append(f"{needed.pattern} ({needed.what}): {state}")
    return said + [f"unconfirmed: {each}" for each in reader.unconfirmed]


def _table(source: str, found: "Findings") -> "Table":
    """Samples by task and split."""
    from rich.table import Table

    title = f"{source}: {found.lines} lines" + (f", {found.read} of them read" if found.read < found.lines else "")
    splits = [name for name in ("train", "dev", "test", "none") if any(split == name for _, split in found.tasks)]
    table = Table("task", *(f"split {name}" for name in splits), "all", title=title)
    for task in dict.fromkeys(task for task, _ in found.tasks):
        counts = [found.tasks[task, split] for split in splits]
        table.add_row(task, *map(str, counts), str(sum(counts)))
    return table


def _remarks(found: "Findings") -> list[str]:
    """What else is to be known, a line each."""
    from statistics import median

    said = [
        f"words of {name}s: {min(words)} to {max(words)}, half of them at most {median(words):g}"
        for name, words in found.words.items()
        if words
    ]
    said.append(f"{found.posed} with a pose, {found.pictured} with an image")
    if found.unanswered:
        said.append(f"{found.unanswered} with neither answer nor pose: for rft alone, sft has nothing to imitate")
    if found.nobody:
        said.append(
            f"{len(found.nobody)} with an image in which nobody is found, the first in {found.nobody[0]}; give the box "
            "around the person, for policies with an encoder refuse them"
        )
    if found.unmet:
        said.append(
            f"{len(found.unmet)} with a pose that does not do all that their checks say, the first in {found.unmet[0]}"
        )
    if found.unread:
        said.append("fields that nothing reads: " + ", ".join(f"{name} ({n})" for name, n in found.unread.items()))
    return said
