"""What the policy knows of a pose-aware encoder: a frozen network from crops of people to tokens."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ImageFeatures:
    """What an encoder says about N crops, in the crop's frame.

    Attributes:
        tokens: (N, T, C) float32 feature vectors, row by row from the top left of the crop.
        landmarks: (N, 39, 5) float32 or None: x and y in crop pixels (y down), z in the same unit towards the viewer
            with the hips at 0, visibility and presence from 0 to 1.
        world: (N, 39, 3) float32 or None: metres from the middle of the hips; x to the right of the crop, y up, z
            towards the viewer.
        presence: (N,) float32 or None: how sure the encoder is that there is a person, 0 to 1.
    """

    tokens: Tensor
    landmarks: Tensor | None = None
    world: Tensor | None = None
    presence: Tensor | None = None

    def __getitem__(self, index: slice | Tensor) -> "ImageFeatures":
        """The features of some of the crops."""
        landmarks, world, presence = (
            None if part is None else part[index] for part in (self.landmarks, self.world, self.presence)
        )
        return ImageFeatures(self.tokens[index], landmarks, world, presence)


class PoseEncoder(nn.Module, ABC):
    """A frozen encoder of people in crops.

    Attributes:
        name: how `load_encoder` finds it again.
        width: C, values per token.
        count: T, tokens per crop.
        num_landmarks: 39, or 0 for an encoder that gives tokens only.
    """

    name: str
    width: int
    count: int
    num_landmarks: int

    @abstractmethod
    def encode(self, pixels: Tensor) -> ImageFeatures:
        """Features, without gradients, of crops (N, 256, 256, 3) uint8 RGB, on the device of the encoder."""

    def freeze(self) -> None:
        self.requires_grad_(False)
        self.eval()


def check_pixels(pixels: Tensor) -> None:
    """Check that crops are what encoders take: a mistake of the caller, not of the user."""
    if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (256, 256, 3):
        raise ValueError(f"crops must be (N, 256, 256, 3) uint8, not {tuple(pixels.shape)} {pixels.dtype}")
