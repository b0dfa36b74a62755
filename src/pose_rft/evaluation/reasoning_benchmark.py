"""The benchmark reasoned-poses: the pose of one of two people in a picture, who is told by a situation alone."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pose_rft.data.everyday import Split
from pose_rft.data.rendering.renders import RenderSpec
from pose_rft.data.sample import Sample
from pose_rft.data.speculative import speculative_poses, speculative_prompts
from pose_rft.storage import package_table

REASONED = "reasoned-poses"
TABLE = "reasoned_pictures.yaml"
SEED = 8_000_011  # of cameras, clothes, lights: training draws from other seeds
SIZE = 512  # pixels
QUESTION = 'Of one of these two people it is said: "{}" What is the SMPL pose of this person?'
OTHER, EITHER = "the other person", "either person"  # rows of a result beside the policy's


def reasoned_poses(split: Split = "test", limit: int | None = None) -> list[Sample]:
    """Pictures of two people, one of whom does what a prompt of speculative-poses says.

    Returns:
        Samples with a picture, the pose of who is meant in the camera's frame, and the prompt's category.

    Raises:
        UserError: an unknown split.
    """
    return [
        Sample(
            QUESTION.format(told.prompt),
            "",
            spec.camera_pose()[place],
            spec.image(),
            "image_text_to_pose",
            source=REASONED,
            category=told.category,
        )
        for told, spec, place in _pictures(split, limit)
    ]


def people_baselines(split: Split = "test", limit: int | None = None) -> dict[str, Tensor]:
    """Answers (N, K, 22, 3) that are the true pose of somebody in the picture: of the wrong one, and of each of both.

    A policy that sees poses well and chooses by chance can be expected to be as far off as "either person" and its
    error of estimation.
    """
    seen = [(torch.from_numpy(spec.camera_pose()), place) for _, spec, place in _pictures(split, limit)]
    both = torch.stack([poses for poses, _ in seen])
    other = torch.stack([poses[1 - place] for poses, place in seen])
    return {OTHER: other.unsqueeze(1), EITHER: both}


def _pictures(split: Split, limit: int | None) -> Iterator[tuple[Sample, RenderSpec, int]]:
    """The prompts of a split that have a picture, with it, and whether who is meant stands left (0) or right (1)."""
    poses = speculative_poses()
    rows = {row["text"]: row for row in package_table(__package__, TABLE)}
    told = [sample for sample in speculative_prompts(split) if sample.prompt in rows]
    for sample in told[:limit]:
        row = rows[sample.prompt]
        pair = [poses[sample.prompt], poses[row["beside"]]]
        if row["place"]:
            pair.reverse()
        yield sample, RenderSpec(np.stack(pair), SEED, row["index"], SIZE), row["place"]
