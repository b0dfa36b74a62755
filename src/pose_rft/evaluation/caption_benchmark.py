"""The benchmark captions: what is said of a pose, judged on the pose that comes back."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.pose_files import Up
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.procedural import sample_poses
from pose_rft.data.mocap.clips import MocapClips, facing_forward, read_mocap, train_test_split
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.posescript.captions import caption

PROMPTS = 300
SEED = 7_000_003  # of the captions, and of procedural poses: training draws from other seeds
REFERENCE_SEED = SEED + 1
CONCEPTS, POSES_PER_CONCEPT = 120, 16


def spread(count: int, limit: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Rows of ``count`` that lie evenly in them, at most ``limit``; where a weight is larger they lie closer.

    Args:
        weights: (count,) positive; None weighs all alike. No row comes twice, so that rows of which the limit asks
            more than once make the rows fewer than the limit.
    """
    if limit >= count:
        return np.arange(count)
    weights = np.ones(count) if weights is None else weights
    middles = np.cumsum(weights) - weights / 2
    places = np.interp(np.linspace(middles[0], middles[-1], limit), middles, np.arange(count))
    return np.unique(places.round().astype(int))


def captioned_poses(
    poses: Tensor, source: str, limit: int = PROMPTS, seed: int = SEED, weights: np.ndarray | None = None
) -> list[Sample]:
    """One caption for each of ``limit`` poses, all turned to face +z.

    A text rarely says where a body faces, and a recording's direction is an accident of the studio; left in, it would
    make up most of the error.

    Args:
        poses: (N, 22, 3) axis-angle, in the order of recording.
        source: where they come from.
        weights: (N,) how densely the chosen ones lie in them, see ``spread``.

    Returns:
        Samples with prompt, checks and recorded pose; poses of which nothing nameable holds are left out.
    """
    kept = facing_forward(poses[spread(len(poses), limit, weights)])
    captions = caption(load_body().points(kept), seed)
    return [
        Sample(prompt=said.text, answer="", pose=pose.numpy(), checks=said.checks, source=source)
        for said, pose in zip(captions, kept, strict=True)
        if said.checks
    ]


def recorded_poses(path: Path, up: Up | None = None) -> tuple[MocapClips, MocapClips]:
    """Recordings that are kept out of training, and those for training.

    Args:
        path: a file, a folder or a pattern, see ``read_mocap``.
        up: the axis that points up in the files; see ``read_poses``.

    Raises:
        UserError: as for ``read_mocap``, or there is no recording that is kept out.
    """
    clips = read_mocap(path, up)
    training, held_out = train_test_split(clips)
    if not len(held_out):
        raise UserError(
            f"{path}: none of its {len(clips.names)} sequences is one that training keeps out; give more recordings"
        )
    return held_out, training


def procedural_poses(seed: int = SEED) -> Tensor:
    """Fresh poses of up to 120 concepts, 16 each, (N, 22, 3) axis-angle: no recording, but none that training saw."""
    concepts = load_concepts()
    spread = concepts[:: -(-len(concepts) // CONCEPTS)]
    drawn = [sample_poses(concept.spec, POSES_PER_CONCEPT, seed) for concept in spread]
    return torch.from_numpy(np.concatenate(drawn))
