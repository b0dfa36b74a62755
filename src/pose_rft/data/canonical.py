"""The benchmark canonical: poses that people ask for by name or in a few words, checked as an animator would."""

from typing import Literal

import numpy as np

from pose_rft.data.everyday import Split, is_prompt_of, samples_of_split
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.storage import package_poses, package_table

Kind = Literal["named", "described"]
KINDS = ("named", "described")
POSES = "canonical_poses.npz"  # written by scripts/reach_prompts.py


def canonical_prompts(split: Split = "test", kind: Kind | None = None) -> list[Sample]:
    """The prompts of ``canonical_prompts.yaml`` in file order.

    Args:
        split: "dev" (for choosing settings), "test" (what is reported) or "all".
        kind: "named" (a pose with a name), "described" (one told in plain words) or None for both.

    Returns:
        Samples with ``prompt``, ``checks``, all of which a pose has to meet, and the kind as ``category``.

    Raises:
        UserError: an unknown split or kind.
    """
    if kind not in (*KINDS, None):
        raise UserError(f"no kind of prompt is called {kind!r}; there are: {', '.join(KINDS)}")
    entries = ((entry["kind"], entry) for entry in package_table(__package__, "canonical_prompts.yaml"))
    return [sample for sample in samples_of_split(entries, "canonical", split) if kind in (None, sample.category)]


def canonical_poses() -> dict[str, np.ndarray]:
    """For every prompt one pose (22, 3) that meets all of its checks, axis-angle radians, float32.

    They show that the prompts can be answered. Others answer them as well.
    """
    return package_poses(__package__, POSES)


def is_canonical_prompt(prompt: str) -> bool:
    """Whether a prompt is one of the benchmark's, up to case, punctuation and articles: keep it out of training."""
    return is_prompt_of(canonical_prompts, prompt)
