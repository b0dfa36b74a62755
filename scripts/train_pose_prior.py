"""Train the latent pose prior and the codebook of its words, and print what they lose.

python scripts/train_pose_prior.py [RECORDINGS] [STEPS]     # a file, a folder or a pattern, "*_poses.npz"; 2,200 steps
python scripts/train_pose_prior.py "*_poses.npz" 0          # the codebook alone, for the prior that is there

Writes src/pose_rft/policy/data/pose_prior.safetensors and pose_codebook.safetensors. Half of the poses are recorded
ones that are not held out, drawn as training draws them, half the concept bank's.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from pose_rft.data.concepts.pools import ConceptPools
from pose_rft.data.mocap.clips import drawing_weights, facing_forward, read_mocap, train_test_split
from pose_rft.policy.pose_codebook import CODEBOOK_FILE, PoseCodebook
from pose_rft.policy.pose_prior import PRIOR_FILE, PosePrior
from pose_rft.sft.pose_codebook import fit_pose_codebook
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
    poses = torch.cat([facing_forward(torch.from_numpy(known.pose)), bank])
    weights = torch.cat([torch.from_numpy(drawing_weights(known)), bank_weights / bank_weights.sum()])
    fresh, _ = concept_poses(1, 2)
    judged = {"held-out recordings": facing_forward(torch.from_numpy(held_out.pose)), "concept poses": fresh}
    if int(steps):
        prior = fit_pose_prior(poses, weights, int(steps))
        tell("prior", prior, judged)
        write(PRIOR_FILE, prior.state_dict())
    codebook = fit_pose_codebook(PosePrior.bundled(), poses, weights)
    tell("codebook", codebook, judged)
    write(CODEBOOK_FILE, {"words": codebook.words})


def tell(name: str, autoencoder: PosePrior | PoseCodebook, judged: dict[str, Tensor]) -> None:
    """Print how far joints are from where they were."""
    for of, poses in judged.items():
        errors = reconstruction_errors(autoencoder, poses)
        print(f"{name}: {of}: {errors.mean():.1f} mm, 95 % below {errors.quantile(0.95):.1f} mm ({len(errors)} poses)")


def write(file: Path, tensors: dict[str, Tensor]) -> None:
    with atomic_file(file) as part:
        save_file({name: value.half().contiguous() for name, value in tensors.items()}, part)


if __name__ == "__main__":
    main(*sys.argv[1:])
