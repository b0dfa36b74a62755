"""The benchmark speculative-poses: prompts that name no pose, with the answers that a person would accept."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pose_rft.data.everyday import Split, is_prompt_of, samples_of_split
from pose_rft.data.sample import Sample
from pose_rft.posescript.checks import mirrored
from pose_rft.storage import package_poses, package_table

POSES = "speculative_poses.npz"  # written by scripts/reach_prompts.py


def speculative_prompts(split: Split = "test") -> list[Sample]:
    """The prompts of ``speculative_prompts.yaml`` in file order.

    Args:
        split: "dev" (a third, for choosing settings), "test" (two thirds, what is reported) or "all".

    Returns:
        Samples with ``prompt``, ``checks`` and ``category``; there is no recorded pose. The last check holds if the
        pose is one of the accepted answers.

    Raises:
        UserError: an unknown split.
    """
    table = package_table(__package__, "speculative_prompts.yaml")
    entries = [
        (group["category"], entry | {"checks": [entry.get("always", table["always"]), _any_of(entry["any"], table)]})
        for group in table["prompts"]
        for entry in group["prompts"]
    ]
    return samples_of_split(entries, "speculative-poses", split)


def _any_of(accepted: Sequence[Sequence[str]], table: Mapping[str, Any]) -> str:
    """The check that a pose is one of the accepted answers, each a list of facts and checks."""
    return " or ".join(_answer(answer, table["facts"], table["of_one_side"]) for answer in accepted)


def _answer(answer: Sequence[str], facts: Mapping[str, str], of_one_side: Mapping[str, str]) -> str:
    """One answer; what tells the sides apart may hold of either (``either_side(...)`` cannot be a part of a check)."""
    both = [facts[fact] for fact in answer if fact in facts]
    one = [of_one_side.get(fact, fact) for fact in answer if fact not in facts]
    if one:
        this = _all_of(one)
        both.append(f"{this} or {mirrored(this)}")
    return _all_of(both)


def _all_of(conditions: Sequence[str]) -> str:
    return " and ".join(f"({condition})" for condition in conditions)


def speculative_poses() -> dict[str, np.ndarray]:
    """For every prompt one pose (22, 3) that a person would accept, axis-angle radians, float32."""
    return package_poses(__package__, POSES)


def is_speculative_prompt(prompt: str) -> bool:
    """Whether a prompt is one of the benchmark's, up to case, punctuation and articles: keep it out of training."""
    return is_prompt_of(speculative_prompts, prompt)
