"""Poses as short sequences of words: the code of the pose prior, each part of it in words of a codebook.

A pose is answered in words, as by models whose vocabulary holds the codes of a VQ-VAE of poses (UniPose, Li et al.,
CVPR 2025). Each group of six numbers of root and code is the sum of three words, each of which corrects those before
it (residual vector quantisation). The bundled codebook is made by ``scripts/train_pose_prior.py``.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pose_rft.policy.pose_prior import CODE_GROUPS, PosePrior

CODEBOOK_FILE = Path(__file__).parent / "data" / "pose_codebook.safetensors"
STAGES = 3  # words for each group of numbers
WORDS = 128  # to choose one from
GROUPS = 1 + CODE_GROUPS  # root and code
TOKENS = STAGES * GROUPS  # of a pose: the first word of every group, then the second of every group, and the third


class PoseCodebook(nn.Module):
    """Words for poses.

    Attributes:
        prior: makes numbers of poses and poses of numbers, frozen.
        words: (STAGES, GROUPS, WORDS, 6) what each word adds to the numbers of its group.
    """

    words: Tensor

    def __init__(self, prior: PosePrior, words: Tensor) -> None:
        super().__init__()
        self.prior = prior
        self.register_buffer("words", words)

    @classmethod
    def bundled(cls) -> "PoseCodebook":
        """That of the package, frozen."""
        return cls(PosePrior.bundled(), load_file(CODEBOOK_FILE)["words"].float())

    def encode(self, rotation: Tensor) -> Tensor:
        """(..., 22, 6) 6D rotations -> (..., TOKENS, 1) the numbers of the words, each the nearest to what is left."""
        left = self.prior.encode(rotation)
        chosen = []
        for words in self.words:
            nearest = torch.cdist(left.unsqueeze(-2), words).squeeze(-2).argmin(dim=-1)  # (..., GROUPS)
            left = left - _looked_up(words, nearest)
            chosen.append(nearest)
        return torch.cat(chosen, dim=-1).unsqueeze(-1).to(rotation)

    def numbers(self, tokens: Tensor) -> Tensor:
        """(..., TOKENS, 1) -> (..., GROUPS, 6) root and code."""
        by_stage = tokens.squeeze(-1).long().unflatten(-1, (STAGES, GROUPS))
        return torch.stack([_looked_up(self.words[s], by_stage[..., s, :]) for s in range(STAGES)]).sum(dim=0)

    def decode(self, tokens: Tensor) -> Tensor:
        """(..., TOKENS, 1) numbers of words -> (..., 22, 6), which are near rotations, if not orthonormal."""
        return self.prior.decode(self.numbers(tokens))


def _looked_up(words: Tensor, chosen: Tensor) -> Tensor:
    """Of (G, V, 6) words those that (..., G) choose, (..., G, 6)."""
    return words[torch.arange(len(words), device=words.device), chosen]
