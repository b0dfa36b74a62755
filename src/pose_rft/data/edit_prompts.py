"""The benchmark edits: orders that change a given pose, and how to see that they were followed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, mirrored_name
from pose_rft.data.canonical import canonical_poses
from pose_rft.data.everyday import Split, is_prompt_of, of_split
from pose_rft.storage import package_table

TABLE = "edit_prompts.yaml"
_LEFT_AND_MIDDLE = {  # what an order about a part moves
    "left_arm": ("left_collar", "left_shoulder", "left_elbow", "left_wrist"),
    "left_leg": ("left_hip", "left_knee", "left_ankle", "left_foot"),
    "left_foot": ("left_ankle", "left_foot"),
    "head": ("neck", "head"),
    "trunk": ("spine1", "spine2", "spine3", "neck", "left_collar", "right_collar", "left_shoulder", "right_shoulder"),
}
GROUPS = _LEFT_AND_MIDDLE | {
    mirrored_name(name): tuple(map(mirrored_name, joints))
    for name, joints in _LEFT_AND_MIDDLE.items()
    if name.startswith("left_")
}


@dataclass(frozen=True)
class EditPrompt:
    """An order.

    Attributes:
        prompt: what is said.
        given: a check of the poses that it makes sense for.
        direction: comparisons of both poses, or checks of the new one, that hold if it was understood.
        amount: those that hold beside that if it was followed as far as it says.
        stays: joints that should stay where they are, indices.
        turns: the whole body is turned: they are compared as seen from the body.
        tilts_soles: it is about the feet themselves, so that tilted soles are not wrong.
    """

    prompt: str
    given: str
    direction: tuple[str, ...]
    amount: tuple[str, ...]
    stays: tuple[int, ...]
    turns: bool
    tilts_soles: bool


def edit_prompts(split: Split = "test") -> list[EditPrompt]:
    """The orders of ``edit_prompts.yaml`` in file order.

    Args:
        split: "dev" (at hand while the reader was made), "test" (what is reported) or "all".

    Raises:
        UserError: an unknown split.
    """
    entries = of_split((("", entry) for entry in package_table(__package__, TABLE)["prompts"]), split)
    return [
        EditPrompt(
            entry["text"],
            entry["given"],
            tuple(entry["direction"]),
            tuple(entry["amount"]),
            _others(entry["moves"]),
            entry.get("turns", False),
            "left_foot" in entry["moves"],
        )
        for _, entry in entries
    ]


def is_edit_prompt(prompt: str) -> bool:
    """Whether an order is one of the benchmark's, up to case, punctuation and articles: keep it out of training."""
    return is_prompt_of(edit_prompts, prompt)


def _others(groups: Sequence[str]) -> tuple[int, ...]:
    moving = {joint for group in groups for joint in GROUPS[group]}
    return tuple(JOINT_INDEX[name] for name in JOINT_NAMES if name not in moving)


def edit_starts() -> dict[str, np.ndarray]:
    """Poses to start from by name, (22, 3) axis-angle radians, float32."""
    known = canonical_poses()
    return {name: known[name] for name in package_table(__package__, TABLE)["starts"]}
