"""Frozen features of pictures, as a policy reads them."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class EncodedImages:
    """Frozen features of N pictures.

    Attributes:
        tokens: (N, T, C) the encoder's feature map.
        points: (N, P, D) numbers of each landmark; P may be 0.
    """

    tokens: Tensor
    points: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def rows(self, which: Tensor) -> "EncodedImages":
        return EncodedImages(self.tokens[which], self.points[which])

    def to(self, device: torch.device | str) -> "EncodedImages":
        return EncodedImages(self.tokens.to(device), self.points.to(device))


@dataclass(frozen=True)
class EncodedImageShape:
    """The shape of one picture's features: (T, C) tokens and (P, D) points."""

    tokens: tuple[int, int]
    points: tuple[int, int]

    @property
    def count(self) -> int:
        """Tokens that a picture becomes."""
        return self.tokens[0] + self.points[0]
