"""The command line: one thin sub-command per verb."""

import io
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from pose_rft.commands import data as own_data
from pose_rft.commands import retrieval
from pose_rft.commands.ablate import ablate
from pose_rft.commands.describe import compare, describe
from pose_rft.commands.dry_run import show_dry_run
from pose_rft.commands.edit import edit
from pose_rft.commands.evaluation import benchmarks, evaluate, results
from pose_rft.commands.loading import load_policy
from pose_rft.commands.options import OVERRIDES, Checkpoint, Device, DryRun, Resume, Seed, Smoke, Up
from pose_rft.errors import UserError
from pose_rft.terminal import errors, output, say, status

app = typer.Typer(
    name="pose-rft",
    help="Language models that answer with words and a 3D human pose, trained by reward.\n\n"
    "Start with:  pose-rft generate 'a boxer throwing a left jab' --out out",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(retrieval.app, name="retrieval")
app.add_typer(own_data.app, name="data")
for command in (edit, describe, compare, evaluate, benchmarks, results):
    app.command()(command)
app.command(context_settings=OVERRIDES)(ablate)

INTERRUPTED = 130  # typer's exit status after Ctrl-C


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"pose-rft {version('pose-rft')}")
        raise typer.Exit


@app.callback()
def common(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


@app.command()
def generate(
    out: Annotated[Path, typer.Option(help="Directory for the answers; files in it of the same names are replaced.")],
    text: Annotated[str | None, typer.Argument(help="What you want to see, in your own words.")] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(
            help="A photograph that TEXT is about, or a folder of them; of several people, TEXT says which. "
            "Without TEXT it is asked for the pose. Can be given again."
        ),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(help="Around the person who is meant: left,top,right,bottom in pixels of the image."),
    ] = None,
    people: Annotated[
        Literal["one", "all"], typer.Option(help="all: answer for everybody who is found in the photograph.")
    ] = "one",
    pose: Annotated[
        list[str] | None,
        typer.Option(
            help="FILE.npz, or FILE.npz#ROW: the pose that <input_pose> in TEXT stands for. Given again for the next "
            "<input_pose>, in order."
        ),
    ] = None,
    prompts: Annotated[Path | None, typer.Option(help="A file with a TEXT on each line, instead of TEXT.")] = None,
    num_samples: Annotated[int, typer.Option(min=1, help="How many different answers.")] = 1,
    temperature: Annotated[
        float,
        typer.Option(min=0.0, max=100.0, help="Variety: 0 gives the single most typical pose, 1 what was learnt."),
    ] = 1.0,
    best_of: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Poses that are sampled for each answer to a text, of which it takes the one that does what the words "
            "say. 1 takes the first. By default 64, and none is chosen at temperature 0.",
        ),
    ] = None,
    words: Annotated[
        bool,
        typer.Option(help="--no-words: the same short sentence with every pose, which comes sooner."),
    ] = True,
    settle: Annotated[
        bool, typer.Option(help="--no-settle: poses of texts as they are sampled, not put on the floor.")
    ] = True,
    checkpoint: Checkpoint = "default",
    seed: Seed = 0,
    npz: Annotated[
        Literal["smplh", "smplx"],
        typer.Option(help="AMASS's 52 joints, or 55 as Blender's SMPL-X add-on loads."),
    ] = "smplh",
    bvh_unit: Annotated[
        Literal["m", "cm"], typer.Option(help="m as Blender reads it, cm as Maya and MotionBuilder do.")
    ] = "m",
    baked: Annotated[
        bool, typer.Option("--baked", help="The .glb is the posed mesh alone, for programs that do not know skins.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Answer a text with words and 3D poses.

    Writes answers.jsonl (a line per answer: words, file names) and, per pose, pose_00.npz (AMASS), .glb, .bvh and .png.

    Example:  pose-rft generate "Both arms are raised above the head." --num-samples 4 --out out
    """
    from pose_rft.storage import ensure_directory

    with status("Loading the policy ..."):
        from pose_rft.answers import answer, read_inputs, write_answers
        from pose_rft.body.pose import FileOptions

    inputs = read_inputs(text, prompts, image or [], box, people == "all", pose or [])
    ensure_directory(out)
    policy = load_policy(checkpoint, device)
    answered = answer(policy, inputs, num_samples, temperature, seed, best_of, words, settle)
    for line in write_answers(out, answered, FileOptions(npz, bvh_unit, baked)):
        files = ", ".join(line["files"].values()) or "no pose"
        say(f"{line['text']}  {files}" + (f"\n  ({line['note']})" if line["note"] else ""))
    say(f"Written to {out}")


def _train(
    kind: type[Any],
    run: Callable[[Any, bool], Any],
    config: Path,
    overrides: list[str],
    resume: bool,
    smoke: bool,
    dry: bool,
) -> tuple[Any, Any]:
    """Run a stage; its config and what the run returns."""
    from pose_rft.config import read_config
    from pose_rft.runs.smoke import smoke_run

    settings = read_config(kind, config, overrides)
    if dry:
        show_dry_run(settings)
        raise typer.Exit
    if smoke:
        settings = smoke_run(settings, resume)
    result = run(settings, resume)
    say(f"The policy is in {settings.output_dir}/policy, how it went in {settings.output_dir}/report.html")
    return settings, result


@app.command(context_settings=OVERRIDES)
def sft(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="YAML file, such as configs/quick_sft.yaml.")],
    resume: Resume = False,
    smoke: Smoke = False,
    dry_run: DryRun = False,
) -> None:
    """Supervised fine-tuning: builds a policy from a language model and teaches it words and poses.

    First the pose head learns on hidden states that are computed once, then adapters and head learn together.
    Checkpoints go to output_dir, the policy to output_dir/policy, curves and pictures to output_dir/report.html.
    Any field of the YAML can be set here too.

    Example:  pose-rft sft configs/quick_sft.yaml --joint.steps 50 --output_dir runs/mine
    """
    from pose_rft.runs.sft import SftConfig, run_sft

    _train(SftConfig, run_sft, config, context.args, resume, smoke, dry_run)


@app.command(context_settings=OVERRIDES)
def rft(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="YAML file, such as configs/default_rft.yaml.")],
    resume: Resume = False,
    smoke: Smoke = False,
    dry_run: DryRun = False,
) -> None:
    """Reinforcement fine-tuning with HyGRPO: improves a supervised policy under the rewards of the config.

    Checkpoints go to output_dir, the policy to output_dir/policy, curves and pictures to output_dir/report.html.
    Any field of the YAML can be set here too.

    Example:  pose-rft rft configs/default_rft.yaml --hygrpo.steps 50 --output_dir runs/mine
    """
    from pose_rft.runs.rft import RftConfig, no_valid_answer, run_rft

    settings, (_, history) = _train(RftConfig, run_rft, config, context.args, resume, smoke, dry_run)
    if warning := no_valid_answer(settings, history):
        errors.print(f"[bold yellow]warning:[/] {escape(warning)}", soft_wrap=True, highlight=False)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Where to listen; anything but this machine itself needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 7860,
    checkpoint: Checkpoint = "default",
    token: Annotated[
        str | None, typer.Option(envvar="POSE_RFT_TOKEN", help="Ask for it; better set in the environment than here.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Chat page and HTTP API of a policy: words in, words and bodies that you can turn out.

    The page is at /, the API at /v1/poses, its description at /docs. Ctrl-C finishes what is in flight and ends.

    Example:  pose-rft serve --checkpoint runs/rft/policy
    """
    from pose_rft.app import require_packages

    require_packages()
    with status("Loading the server ..."):
        from pose_rft.app.server import addresses, create_app, listen, private_cache
        from pose_rft.app.server import serve as run_server

    with listen(host, port, token) as listener, private_cache():
        application = create_app(load_policy(checkpoint, device), token=token)
        places = addresses(host, listener)
        ready = f"Open {' or '.join(places)} in a browser; the API is described at {places[0]}/docs"
        run_server(application, listener, lambda: say(ready))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where the run and its report go.")] = Path("runs/demo"),
    steps: Annotated[int, typer.Option(min=1, help="How long to fine-tune: steps of HyGRPO.")] = 14,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """The main job in a few minutes: answer, fine-tune, judge before and after, write report.html."""
    from pose_rft.demo import run_demo
    from pose_rft.devices import pick_device

    report = run_demo(out, steps, seed, pick_device(device), output)
    say(f"Open {report} in a browser.")


@app.command()
def caption(
    poses: Annotated[Path, typer.Argument(help="npz with `pose` (N,22,3), AMASS `poses`, or others of docs/body.md.")],
    out: Annotated[Path, typer.Option(help="JSON Lines file to write.")],
    to: Annotated[
        Path | None, typer.Option(help="As many poses to reach: write what to change instead, pose by pose.")
    ] = None,
    captions: Annotated[int, typer.Option(min=1, help="Captions, or instructions, per pose.")] = 3,
    seed: Seed = 0,
    up: Up = None,
) -> None:
    """Describe poses in words that are true of them, with the geometric checks that each caption states.

    With --to, say what must change from pose i of POSES to pose i of that file: "Bend your left knee more."

    Example:  pose-rft caption out/pose_00.npz --out captions.jsonl
    """
    from pose_rft.posescript.captions import caption_file
    from pose_rft.posescript.edits.instructions import edit_file

    if to is None:
        caption_file(poses, out, captions, seed, up)
    else:
        edit_file(poses, to, out, captions, seed, up)
    say(f"Written to {out}")


@app.command()
def check(
    text: Annotated[str, typer.Argument(help="What is said of the poses, such as a caption.")],
    poses: Annotated[Path, typer.Argument(help="npz with `pose` (N,22,3), AMASS `poses`, or others of docs/body.md.")],
    up: Up = None,
) -> None:
    """Say which statements of a text hold for each pose of a file, and what in the text was not understood.

    Example:  pose-rft check "The left knee is bent and both arms are raised overhead." out/pose_00.npz
    """
    from pose_rft.posescript.parsing import statements_held

    said, held = statements_held(text, poses, up)
    names = [each.posecode or each.check for each in said.statements]
    for name, check, count in zip(names, said.checks, held.sum(dim=0).tolist(), strict=True):
        say(f"{name}: {check}  holds for {count} of {len(held)}")
    for pose, row in enumerate(held.tolist()):
        missed = [name for name, holds in zip(names, row, strict=True) if not holds]
        say(f"pose {pose}: {sum(row)} of {len(row)} hold" + (f", not {', '.join(missed)}" if missed else ""))
    rest = f", not: {'; '.join(said.unknown)}" if said.unknown else ""
    say(f"Understood: {said.recognised:.0%} of the words{rest}")


def _argument(given: str) -> str:
    """A word of the command line; one that is not UTF-8 and names no file was typed in Latin-1."""
    try:
        given.encode()
    except UnicodeEncodeError:
        return given if os.path.exists(given) else os.fsencode(given).decode("latin-1")
    return given


def main() -> None:
    """Run the command line; a user's mistake is one line and exit status 2."""
    sys.argv[1:] = [_argument(argument) for argument in sys.argv[1:]]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign shows another
    try:
        app(prog_name="pose-rft")
    except UserError as error:
        errors.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(2)
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            errors.print("interrupted; sft and rft go on from their last checkpoint with --resume")
        raise


if __name__ == "__main__":
    main()
