"""Poses and samples for heads whose actions are no rotations."""

import numpy as np
import pytest
import torch

from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.procedural import solve
from pose_rft.data.sample import Sample


@pytest.fixture(scope="module")
def plausible():
    """Poses of eight concepts spread over all, (16, 22, 3)."""
    every = load_concepts()
    return torch.cat([solve(concept.spec, 2, 0).pose for concept in every[:: len(every) // 8][:8]]).float()


def samples(count=8):
    """Short samples, each with a pose of its own."""
    return [
        Sample(f"number {n}", "Here: <POSE>.", np.full((22, 3), n / 40, np.float32), checks=("angle(left_knee) > 90",))
        for n in range(count)
    ]
