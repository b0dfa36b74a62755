"""What the pose-aware encoder sees, as tokens for the language model and for the pose head.

The encoder (``pose_rft.vision``) is frozen. Its feature map and its landmarks are brought to one width here, each with
a learned embedding of its place, and from there to the language model's embeddings and to the pose head's memory. Poses
that are asked for with a picture come from a pose head of their own: what it learns leaves those of texts as they are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pose_rft.policy.distribution import PoseGaussian
from pose_rft.policy.heads import HeadConfig, PoseHead


@dataclass(frozen=True)
class Seen:
    """Frozen features of N pictures.

    Attributes:
        tokens: (N, T, C) the encoder's feature map.
        points: (N, P, D) numbers of each landmark; P may be 0.
    """

    tokens: Tensor
    points: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def rows(self, which: Tensor) -> "Seen":
        return Seen(self.tokens[which], self.points[which])

    def to(self, device: torch.device | str) -> "Seen":
        return Seen(self.tokens.to(device), self.points.to(device))


@dataclass(frozen=True)
class SeenShape:
    """The shape of one picture's features: (T, C) tokens and (P, D) points."""

    tokens: tuple[int, int]
    points: tuple[int, int]

    @property
    def count(self) -> int:
        """Tokens that a picture becomes."""
        return self.tokens[0] + self.points[0]


class SightReader(nn.Module):
    """Features of N pictures -> (N, T + P, W)."""

    def __init__(self, shape: SeenShape, width: int) -> None:
        super().__init__()
        (tokens, channels), (points, numbers) = shape.tokens, shape.points
        self.tokens = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width))
        self.points = nn.Sequential(nn.Linear(numbers, width), nn.GELU(), nn.Linear(width, width))
        self.places = nn.Parameter(torch.randn(tokens + points, width) * 0.02)
        self.norm = nn.LayerNorm(width)

    def forward(self, seen: Seen) -> Tensor:
        dtype = self.places.dtype
        parts = [self.tokens(seen.tokens.to(dtype)), self.points(seen.points.to(dtype))]
        return self.norm(torch.cat(parts, dim=1) + self.places)


class Sight(nn.Module):
    """The trained part of seeing: a pose head with a reader of its own, and the projector for the language model.

    They share nothing, so that either can be trained and leave the other as it is. With the "mlp" there is no head
    here: it knows a picture from the language model alone, as in the paper.

    Attributes:
        head: for prompts with a picture; its action space is that of the policy's other head. None with "mlp".
    """

    def __init__(self, shape: SeenShape, hidden_size: int, config: HeadConfig) -> None:
        super().__init__()
        self.shape, width = shape, config.width
        self.head = PoseHead(hidden_size, config) if config.kind == "query" else None
        self.for_head = SightReader(shape, width) if config.kind == "query" else None
        self.for_words = nn.Sequential(
            SightReader(shape, width),
            nn.Linear(width, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, hidden_size),
            nn.LayerNorm(hidden_size, elementwise_affine=False),
        )
        # Embeddings of words are small: what stands beside them starts as small as they are.
        self.loudness = nn.Parameter(torch.tensor(0.1))

    def forward(self, memory: Tensor, memory_mask: Tensor, state: Tensor, seen: Seen) -> PoseGaussian:
        """Poses of the N pictures that the N memories are about; the rest as for ``PoseHead``."""
        assert self.head is not None
        assert self.for_head is not None
        return self.head(memory, memory_mask, state, self.for_head(seen))

    def to_words(self, seen: Seen) -> Tensor:
        """Embeddings for the language model, (N, T + P, H)."""
        return self.loudness * self.for_words(seen)
