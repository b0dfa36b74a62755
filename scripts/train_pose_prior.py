"""Train the latent pose prior; writes src/pose_rft/policy/data/pose_prior.safetensors and prints what it loses.

python scripts/train_pose_prior.py [RECORDINGS] [STEPS]     # a file, a folder or a pattern, "*_poses.npz"; 2,200 steps

Half of the poses are recorded ones that are not held out, drawn as training draws them, half the concept bank's.
"""

import sys

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from pose_rft.data.concepts.pools import ConceptPools
from pose_rft.data.mocap.clips import drawing_weights, read_mocap, train_test_split
from pose_rft.policy.pose_prior import PRIOR_FILE
from pose_rft.sft.pose_prior import fit_pose_prior, reconstruction_errors
from pose_rft.storage import atomic_file

OF_A_CONCEPT = 32  # poses


def concept_poses(seed: int, size: int) -> tuple[Tensor, Tensor]:
    """Poses (N, 22, 3) of all concepts, and how often each is drawn (N,), which sums to 1."""
    pools = ConceptPools(size, seed)
    groups = [pools.poses(concept) for concept in pools.concepts]
    weights = [np.full(len(group), w / max(1, len(group))) for group, w in zip(groups, pools.weights, strict=True)]
    return torch.from_numpy(np.concatenate(groups)), torch.from_numpy(np.concatenate(weights))


def main(recordings: str = "*_poses.npz", steps: str = "2200") -> None:
    """Train on half recordings, half concepts; judge on held-out recordings and concept poses solved anew."""
    known, held_out = train_test_split(read_mocap(recordings))
    bank, bank_weights = concept_poses(0, OF_A_CONCEPT)
    poses = torch.cat([torch.from_numpy(known.pose), bank])
    weights = torch.cat([torch.from_numpy(drawing_weights(known)), bank_weights / bank_weights.sum()])
    prior = fit_pose_prior(poses, weights, int(steps))
    fresh, _ = concept_poses(1, 2)
    for name, judged in {"held-out recordings": torch.from_numpy(held_out.pose), "concept poses": fresh}.items():
        errors = reconstruction_errors(prior, judged)
        print(f"{name}: {errors.mean():.1f} mm, 95 % below {errors.quantile(0.95):.1f} mm ({len(errors)} poses)")
    with atomic_file(PRIOR_FILE) as part:
        save_file({name: value.half().contiguous() for name, value in prior.state_dict().items()}, part)


if __name__ == "__main__":
    main(*sys.argv[1:])
