"""``pose-rft retrieval``: train a model of texts and poses, and score with one."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pose_rft.commands.options import OVERRIDES, Up
from pose_rft.terminal import say

app = typer.Typer(no_args_is_help=True, help="Text-pose retrieval: the semantic reward's model and the judge.")


@app.command("train", context_settings=OVERRIDES)
def train(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="YAML file, such as configs/retrieval.yaml or configs/judge.yaml.")],
) -> None:
    """Train a model by contrast of captions and poses. Any field of the YAML can be set here too: --samples 20000"""
    from pose_rft.config import read_config
    from pose_rft.retrieval import training

    training.train(read_config(training.RetrievalConfig, config, context.args))


@app.command("score")
def score(
    text: Annotated[str, typer.Argument(help="What the poses are compared with.")],
    poses: Annotated[Path, typer.Argument(help="npz with `pose` (N,22,3), AMASS `poses`, or others of docs/body.md.")],
    model: Annotated[str, typer.Option(help="'reward', 'judge', or a file that training wrote.")] = "reward",
    out: Annotated[Path | None, typer.Option(help="Write the scores to this JSON Lines file instead.")] = None,
    up: Up = None,
) -> None:
    """Say how well each pose of a file agrees with a text: a cosine, -1 to 1.

    Example:  pose-rft retrieval score "Both arms are raised." out/pose_00.npz --model judge
    """
    from pose_rft.retrieval.model import score_file
    from pose_rft.storage import atomic_file

    scores = score_file(text, poses, model, up)
    if out is None:
        for index, score in enumerate(scores):
            say(f"pose {index}  {score:+.3f}")
        return
    with atomic_file(out) as part:
        lines = [{"pose": index, "text": text, "model": model, "score": score} for index, score in enumerate(scores)]
        part.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    say(f"Written to {out}")
