"""The benchmark captions: what is said of a pose, judged on the pose that comes back."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.pose_files import Up
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.procedural import sample_poses
from pose_rft.data.mocap.clips import facing_forward, read_mocap, train_test_split
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.posescript.captions import caption

PROMPTS = 300
SEED = 7_000_003  # of the captions, and of procedural poses: training draws from other seeds
REFERENCE_SEED = SEED + 1
CONCEPTS, POSES_PER_CONCEPT = 120, 16


def captioned_poses(poses: Tensor, source: str, limit: int = PROMPTS, seed: int = SEED) -> list[Sample]:
    """One caption for each of ``limit`` poses, evenly spread over what is given and all turned to face +z.

    A text rarely says where a body faces, and a recording's direction is an accident of the studio; left in, it would
    make up most of the error.

    Args:
        poses: (N, 22, 3) axis-angle, in the order of recording.
        source: where they come from.

    Returns:
        Samples with prompt, checks and recorded pose; poses of which nothing nameable holds are left out.
    """
    chosen = np.unique(np.linspace(0, len(poses) - 1, min(limit, len(poses))).round().astype(int))
    kept = facing_forward(poses[chosen])
    captions = caption(load_body().points(kept), seed)
    return [
        Sample(prompt=said.text, answer="", pose=pose.numpy(), checks=said.checks, source=source)
        for said, pose in zip(captions, kept, strict=True)
        if said.checks
    ]


def recorded_poses(path: Path, up: Up | None = None) -> tuple[Tensor, Tensor]:
    """Poses of a file: those of recordings kept out of training, and all of them, (H, 22, 3) and (N, 22, 3).

    Args:
        path: poses with ``sequence`` (N,).
        up: the axis that points up in the file; see ``read_poses``.

    Raises:
        UserError: as for ``read_mocap``, or the file holds no recording that is kept out.
    """
    clips = read_mocap(path, up)
    _, held_out = train_test_split(clips)
    if not len(held_out):
        raise UserError(
            f"{path}: none of its {len(clips.names)} sequences is one that training keeps out; give more recordings"
        )
    return torch.from_numpy(held_out.pose), torch.from_numpy(clips.pose)


def procedural_poses(seed: int = SEED) -> Tensor:
    """Fresh poses of up to 120 concepts, 16 each, (N, 22, 3) axis-angle: no recording, but none that training saw."""
    concepts = load_concepts()
    spread = concepts[:: -(-len(concepts) // CONCEPTS)]
    drawn = [sample_poses(concept.spec, POSES_PER_CONCEPT, seed) for concept in spread]
    return torch.from_numpy(np.concatenate(drawn))
