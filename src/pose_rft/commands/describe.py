"""``pose-rft describe`` and ``pose-rft compare``: given poses in words."""

from typing import Annotated, Literal

import typer

from pose_rft.commands.options import Seed, Up
from pose_rft.terminal import say, status

Place = Annotated[str, typer.Argument(help="FILE.npz, or FILE.npz#ROW for another pose of the file than the first.")]
Samples = Annotated[int, typer.Option(min=1, help="How many different texts.")]
Style = Annotated[Literal["short", "medium", "full", "any"], typer.Option(help="About how much is said.")]


def describe(
    pose: Place,
    question: Annotated[str | None, typer.Option(help="Answer this instead, as far as geometry tells.")] = None,
    num_samples: Samples = 1,
    style: Style = "full",
    seed: Seed = 0,
    up: Up = None,
) -> None:
    """Say in words what is so in a pose, or answer a question about it.

    Example:  pose-rft describe out/pose_00.npz --question "Which hand is higher?"
    """
    with status("Reading ..."):
        from pose_rft.answers import read_pose_row
        from pose_rft.policy.describing import answer_about, describe_pose

        given = read_pose_row(pose, up)
    if question is not None:
        say(answer_about(given, question) or "That is not understood, or geometry does not tell it.")
        return
    for said in describe_pose(given, num_samples, style, seed):
        say(said.text)


def compare(
    before: Place,
    after: Place,
    num_samples: Samples = 1,
    style: Style = "full",
    seed: Seed = 0,
    up: Up = None,
) -> None:
    """Say what has to change to come from one pose to another: an order that `pose-rft edit` can follow.

    Example:  pose-rft compare out/pose_00.npz edited/pose_00.npz
    """
    with status("Reading ..."):
        from pose_rft.answers import read_pose_row
        from pose_rft.policy.describing import compare_poses

        poses = read_pose_row(before, up), read_pose_row(after, up)
    for said in compare_poses(*poses, num_samples, style, seed):
        say(said.text)
