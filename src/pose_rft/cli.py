"""The command line: one thin sub-command per verb."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pose_rft.errors import UserError

app = typer.Typer(
    name="pose-rft",
    help="Language models that answer with words and a 3D human pose, trained by reward.\n\n"
    "Start with:  pose-rft generate 'a boxer throwing a left jab' --out out",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()
errors = Console(stderr=True)

OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
Checkpoint = Annotated[str, typer.Option(help="'default', a directory that training wrote, or a Hugging Face id.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]


@app.command()
def generate(
    text: Annotated[str, typer.Argument(help="What you want to see, in your own words.")],
    out: Annotated[Path, typer.Option(help="Directory for the answers; files in it of the same names are replaced.")],
    image: Annotated[Path | None, typer.Option(help="A photograph (needs a policy trained on images).")] = None,
    num_samples: Annotated[int, typer.Option(min=1, help="How many different answers.")] = 1,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 gives the single most typical pose.")] = 1.0,
    checkpoint: Checkpoint = "default",
    seed: Annotated[int, typer.Option(help="The same seed gives the same poses.")] = 0,
    device: Device = "auto",
) -> None:
    """Answer a text with poses: DIR/answers.jsonl and, per pose, npz (AMASS), glb, bvh and png.

    Example:  pose-rft generate "Both arms are raised above the head." --num-samples 4 --out out
    """
    from pose_rft.answers import write_answers
    from pose_rft.devices import pick_device
    from pose_rft.policy import PosePolicy

    with console.status("Loading the policy ..."):
        policy = PosePolicy.from_pretrained(checkpoint, pick_device(device))
    answers = policy.generate([text], [image] if image else None, num_samples, temperature, seed)[0]
    for line in write_answers(out, text, answers):
        files = ", ".join(line["files"].values()) or "no pose"
        console.print(f"{escape(line['text'])}  [dim]{escape(files)}[/dim]", highlight=False)
    console.print(f"Written to {out}", highlight=False)


@app.command(context_settings=OVERRIDES)
def sft(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="YAML file; any field can be overridden: --joint.steps 100")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint.")] = False,
) -> None:
    """Supervised fine-tuning: the pose head on cached hidden states, then adapters and head together."""
    from pose_rft.config import read_config
    from pose_rft.sft import SftConfig, run_sft

    settings = read_config(SftConfig, config, context.args)
    run_sft(settings, resume)
    console.print(f"The policy is in {settings.output_dir}/policy", highlight=False)


@app.command(context_settings=OVERRIDES)
def rft(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="YAML file; any field can be overridden: --hygrpo.steps 50")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint.")] = False,
) -> None:
    """Reinforcement fine-tuning with HyGRPO, from a supervised policy and under the rewards of the config."""
    from pose_rft.config import read_config
    from pose_rft.rft import RftConfig, run_rft

    settings = read_config(RftConfig, config, context.args)
    run_rft(settings, resume)
    console.print(f"The policy is in {settings.output_dir}/policy", highlight=False)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where the run and its report go.")] = Path("runs/demo"),
    steps: Annotated[int, typer.Option(min=1, help="HyGRPO steps.")] = 40,
    seed: Annotated[int, typer.Option()] = 0,
    device: Device = "auto",
) -> None:
    """The main job in a few minutes: answer, fine-tune with HyGRPO, judge before and after, write report.html."""
    from pose_rft.demo import run_demo
    from pose_rft.devices import pick_device

    report = run_demo(out, steps, seed, pick_device(device), console)
    console.print(f"Open {report} in a browser.", highlight=False)


@app.command()
def evaluate(
    benchmark: Annotated[str, typer.Argument(help="A name that `pose-rft benchmarks` lists.")],
    checkpoint: Checkpoint = "default",
    out: Annotated[Path | None, typer.Option(help="Write all figures and per-prompt rows to this JSON file.")] = None,
    poses: Annotated[Path | None, typer.Option(help="Recorded poses (npz), for benchmarks that need them.")] = None,
    num_samples: Annotated[int, typer.Option(min=1, help="Sampled poses per prompt, beside the mean pose.")] = 4,
    seed: Annotated[int, typer.Option()] = 0,
    device: Device = "auto",
) -> None:
    """Judge a policy by a benchmark."""
    from pose_rft.devices import pick_device
    from pose_rft.evaluation.protocols import evaluate as run_benchmark
    from pose_rft.evaluation.protocols import results_table
    from pose_rft.policy import PosePolicy
    from pose_rft.storage import atomic_file

    policy = PosePolicy.from_pretrained(checkpoint, pick_device(device))
    result = run_benchmark(benchmark, policy, poses=poses, num_samples=num_samples, seed=seed)
    console.print(results_table(result))
    if out is not None:
        with atomic_file(out) as part:
            part.write_text(json.dumps(result, indent=1) + "\n")


@app.command()
def benchmarks() -> None:
    """List the benchmarks and what each needs."""
    from pose_rft.evaluation.protocols import list_benchmarks

    table = Table("name", "what it measures", "needs")
    for entry in list_benchmarks():
        table.add_row(entry["name"], entry["description"], entry["needs"])
    console.print(table)


@app.command()
def caption(
    poses: Annotated[Path, typer.Argument(help="npz with `pose` (N,22,3), or AMASS `poses`.")],
    out: Annotated[Path, typer.Option(help="JSON Lines file to write.")],
    captions: Annotated[int, typer.Option(min=1, help="Captions per pose.")] = 3,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Describe poses in words that are true of them, with the geometric checks that each caption states."""
    from pose_rft.posescript.captions import caption_file

    caption_file(poses, out, captions, seed)
    console.print(f"Written to {out}", highlight=False)


retrieval = typer.Typer(no_args_is_help=True, help="The text-pose retrieval model behind the semantic reward.")
app.add_typer(retrieval, name="retrieval")


@retrieval.command("train", context_settings=OVERRIDES)
def retrieval_train(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="YAML file; any field can be overridden.")],
) -> None:
    """Train it by contrast of captions and poses."""
    from pose_rft.config import read_config
    from pose_rft.posescript.retrieval_training import RetrievalConfig, train

    train(read_config(RetrievalConfig, config, context.args))


def main() -> None:
    """Run the command line; a user's mistake is one line and exit status 2."""
    try:
        app()
    except UserError as error:
        errors.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        errors.print("interrupted; training goes on with --resume")
        sys.exit(130)


if __name__ == "__main__":
    main()
