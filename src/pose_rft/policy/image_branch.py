"""What the pose-aware encoder sees, as tokens for the language model and for the pose head.

The encoder (``pose_rft.vision``) is frozen. Its feature map and its landmarks are brought to one width here, each with
a learned embedding of its place, and from there to the language model's embeddings and to the pose head's memory. Poses
that are asked for with a picture come from a pose head of their own: what it learns leaves those of texts as they are.
"""

import torch
from torch import Tensor, nn

from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.devices import best_dtype
from pose_rft.policy.distribution import PoseGaussian
from pose_rft.policy.pose_head import HeadConfig, PoseHead
from pose_rft.vision.encoded_images import EncodedImages, EncodedImageShape


class ImageProjector(nn.Module):
    """Features of N pictures -> (N, T + P, W)."""

    def __init__(self, shape: EncodedImageShape, width: int) -> None:
        super().__init__()
        (tokens, channels), (points, numbers) = shape.tokens, shape.points
        self.tokens = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width))
        self.points = nn.Sequential(nn.Linear(numbers, width), nn.GELU(), nn.Linear(width, width))
        self.places = nn.Parameter(torch.randn(tokens + points, width) * 0.02)
        self.norm = nn.LayerNorm(width)

    def forward(self, seen: EncodedImages) -> Tensor:
        dtype = self.places.dtype
        parts = [self.tokens(seen.tokens.to(dtype)), self.points(seen.points.to(dtype))]
        return self.norm(torch.cat(parts, dim=1) + self.places)


class AttributeClassifier(nn.Module):
    """Which statements hold of the person in a picture.

    A language model would need very many pictures to learn what "the left knee is bent" looks like. This classifier
    on the pose head's features learns it without the language model, which then reads in words what was found.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.of_joint = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 48), nn.GELU())
        self.of_pose = nn.Sequential(nn.Linear(NUM_JOINTS * 48, 512), nn.GELU(), nn.Linear(512, count))

    def forward(self, features: Tensor) -> Tensor:
        """(N, 22, W) of the pose head -> (N, F) logits that each statement holds."""
        return self.of_pose(self.of_joint(features.float()).flatten(1))


class ImageBranch(nn.Module):
    """The trained part of seeing: a pose head with a reader of its own, and what the language model is told.

    With the "mlp" there is no head here: it knows a picture from the language model alone, as in the paper.

    Attributes:
        head: for prompts with a picture; its action space is that of the policy's other head. None with "mlp".
        for_words: tells the language model what the encoder sees, token by token; shares nothing with the head.
        attributes: finds what can be said to it in words instead, or None.
    """

    def __init__(self, shape: EncodedImageShape, hidden_size: int, config: HeadConfig) -> None:
        super().__init__()
        self.shape, width = shape, config.width
        self.attributes: AttributeClassifier | None = None
        self.head = PoseHead(hidden_size, config) if config.kind == "query" else None
        self.for_head = ImageProjector(shape, width) if config.kind == "query" else None
        self.for_words: nn.Module | None = nn.Sequential(
            ImageProjector(shape, width),
            nn.Linear(width, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, hidden_size),
            nn.LayerNorm(hidden_size, elementwise_affine=False),
        )
        # Embeddings of words are small: what stands beside them starts as small as they are.
        self.projector_scale = nn.Parameter(torch.tensor(0.1))

    def forward(self, memory: Tensor, memory_mask: Tensor, state: Tensor, seen: EncodedImages) -> PoseGaussian:
        """Poses of the N pictures that the N memories are about; the rest as for ``PoseHead``."""
        assert self.head is not None
        assert self.for_head is not None
        return self.head(memory, memory_mask, state, self.for_head(seen))

    def enable_attributes(self, count: int) -> None:
        """Find from now on which of so many statements hold, and tell that in words in place of tokens."""
        assert self.head is not None
        self.attributes, self.for_words = AttributeClassifier(count, self.head.config.width), None

    @property
    def count(self) -> int:
        """Tokens that a picture becomes for the language model, beside words."""
        return 0 if self.for_words is None else self.shape.count

    @torch.no_grad()
    def joint_features(self, seen: EncodedImages) -> Tensor:
        """(N, 22, W) what the pose head makes of pictures alone; in bfloat16 where they are and that is fast."""
        assert self.head is not None
        assert self.for_head is not None
        sights = self.for_head(seen)
        fast = seen.tokens.dtype == best_dtype(sights.device)
        return self.head.joint_features(sights.to(seen.tokens.dtype) if fast else sights.float())

    def project_to_embeddings(self, seen: EncodedImages) -> Tensor:
        """Embeddings for the language model, (N, ``count``, H)."""
        assert self.for_words is not None
        return self.projector_scale * self.for_words(seen)
