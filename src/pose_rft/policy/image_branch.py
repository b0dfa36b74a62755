"""How a policy with a pose-aware encoder reads images: the frozen encoder, and what is trained on its features.

The encoder's feature map and its landmarks are brought to one width by projectors, each with a learned embedding of its
place: for the pose head's memory, and for the language model's embeddings. Poses that are asked for with a picture come
from a pose head of their own: what it learns leaves those of texts as they are.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any, Self

import torch
from torch import Tensor, nn

from pose_rft.data.questions.attributes import Attribute, AttributeVerbalizer
from pose_rft.devices import best_dtype
from pose_rft.errors import UserError
from pose_rft.policy.mixture import PoseDistribution
from pose_rft.policy.pose_head import HeadConfig, PoseHead
from pose_rft.vision.crops import Crop
from pose_rft.vision.detector import Box
from pose_rft.vision.encoded_images import EncodedImages, EncodedImageShape
from pose_rft.vision.image_encoder import EncodedPerson, ImageEncoder, flip_crop

ATTRIBUTES_INTRODUCTION = "\nSeen in the picture: "  # stands before what holds of the person in it
NO_IMAGE_HEAD = 'attributes: need a policy with an encoder (encoder: blazepose) and head.kind "query"'


class ImageMode(Enum):
    """What becomes of a prompt's image."""

    NONE = "images are refused"
    VISION_TOWER = "the language model's own vision tower reads it"
    PROJECTED = "the encoder's features are embedded among the words; the pose head knows them from there"
    IMAGE_HEAD = "the encoder's features are embedded among the words, and a pose head of its own attends to them"
    ATTRIBUTES = "a pose head of its own attends to the encoder's features; what holds of the person is said in words"


class ImageProjector(nn.Module):
    """Features of N pictures -> (N, T + P, W)."""

    def __init__(self, shape: EncodedImageShape, width: int) -> None:
        super().__init__()
        (tokens, channels), (points, numbers) = shape.tokens, shape.points
        self.tokens = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width))
        self.points = nn.Sequential(nn.Linear(numbers, width), nn.GELU(), nn.Linear(width, width))
        self.position_embedding = nn.Parameter(torch.randn(tokens + points, width) * 0.02)
        self.norm = nn.LayerNorm(width)

    def forward(self, encoded: EncodedImages) -> Tensor:
        dtype = self.position_embedding.dtype
        parts = [self.tokens(encoded.tokens.to(dtype)), self.points(encoded.points.to(dtype))]
        return self.norm(torch.cat(parts, dim=1) + self.position_embedding)


class AttributeClassifier(nn.Module):
    """Which attributes hold of the person in a picture.

    A language model would need very many pictures to learn what "the left knee is bent" looks like. This classifier
    on the pose head's features learns it without the language model, which then reads in words what holds.
    """

    def __init__(self, count: int, head: HeadConfig) -> None:
        super().__init__()
        self.per_joint = nn.Sequential(nn.LayerNorm(head.width), nn.Linear(head.width, 48), nn.GELU())
        self.over_joints = nn.Sequential(nn.Linear(head.groups * 48, 512), nn.GELU(), nn.Linear(512, count))

    def forward(self, features: Tensor) -> Tensor:
        """(N, J, W) of the pose head -> (N, F) logits that each attribute holds."""
        return self.over_joints(self.per_joint(features.float()).flatten(1))


class ImageBranch(nn.Module):
    """The encoder and what is trained on its features.

    Args:
        encoder: frozen; not part of checkpoints.
        hidden_size: H, of the language model.
        config: the pose head of pictures. With the "mlp" there is none: the policy's own head knows a picture from the
            language model alone, as in the paper.

    Attributes:
        mode: what becomes of images.
        head: for prompts with a picture; its action space is that of the policy's other head.
        head_projector: the encoder's features for that head.
        text_projector: the encoder's features for the language model; shares nothing with the head.
        attribute_classifier: finds what is said to the language model in words instead.
        verbalizer: says it.
    """

    def __init__(self, encoder: ImageEncoder, hidden_size: int, config: HeadConfig) -> None:
        super().__init__()
        shape, width = encoder.shape, config.width
        self.mode = ImageMode.IMAGE_HEAD if config.kind == "query" else ImageMode.PROJECTED
        self.encoder: ImageEncoder = encoder
        self.attribute_classifier: AttributeClassifier | None = None
        self.verbalizer: AttributeVerbalizer | None = None
        self.head = PoseHead(hidden_size, config) if self.has_head else None
        self.head_projector = ImageProjector(shape, width) if self.has_head else None
        self.text_projector: nn.Module | None = nn.Sequential(
            ImageProjector(shape, width),
            nn.Linear(width, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, hidden_size),
            nn.LayerNorm(hidden_size, elementwise_affine=False),
        )
        # Embeddings of words are small: what stands beside them starts as small as they are.
        self.projector_scale = nn.Parameter(torch.tensor(0.1))

    @property
    def has_head(self) -> bool:
        """Whether poses of pictures come from a head of their own."""
        return self.mode is not ImageMode.PROJECTED

    @property
    def num_projected(self) -> int:
        """Embeddings that a picture becomes for the language model, beside words."""
        return 0 if self.mode is ImageMode.ATTRIBUTES else self.encoder.shape.count

    def enable_attributes(self, attributes: Sequence[Attribute]) -> None:
        """Say from now on which of these hold, in words in place of embeddings, by a classifier yet to be trained.

        Raises:
            UserError: poses of pictures have no head of their own, whose features the classifier reads.
        """
        if self.head is None:
            raise UserError(NO_IMAGE_HEAD)
        self.mode = ImageMode.ATTRIBUTES
        self.attribute_classifier = AttributeClassifier(len(attributes), self.head.config)
        self.attribute_classifier.to(self.head.action_mean.device)
        self.verbalizer = AttributeVerbalizer(attributes)
        self.text_projector = None

    @property
    def attributes(self) -> list[Attribute]:
        """What is said of pictures in words; empty in other modes."""
        return [] if self.verbalizer is None else self.verbalizer.attributes

    # ---- encoding ----

    def encode(
        self, image: Any, prompt: str, flip: bool = False, box: Box | None = None
    ) -> tuple[EncodedImages, EncodedImages | None, EncodedPerson | None]:
        """Features of an image, N = 1, those of the flipped image if asked for, and who in a photograph was encoded.

        Args:
            image: a PIL image, a path, a ``Crop`` around one person, or its features.
            prompt: may say whom it is about.
            box: around that person, of a photograph; pixels of the file.

        Raises:
            UserError: as for ``ImageEncoder.encode_person``, or a box for what is no photograph.
        """
        if box is not None and isinstance(image, EncodedImages | Crop):
            raise UserError("box: goes with a photograph, not with one person's crop or features")
        person, flipped = None, None
        device = self.projector_scale.device
        if isinstance(image, EncodedImages):
            encoded = image
        elif isinstance(image, Crop):
            encoded = self.encoder.encode(torch.from_numpy(image.pixels.copy())[None].to(device))
            flipped = self.encoder.encode(flip_crop(image.pixels).to(device)) if flip else None
        else:
            person = self.encoder.encode_person(image, prompt, flip, box)
            encoded, flipped = person.encoded, person.flipped
        return encoded.to(device), None if flipped is None else flipped.to(device), person

    @torch.no_grad()
    def attribute_text(self, prompt: str, encoded: EncodedImages, flipped: EncodedImages | None) -> str:
        """What is said of a picture, N = 1, to a prompt about it; empty in other modes."""
        if self.attribute_classifier is None or self.verbalizer is None:
            return ""
        logits = self.attribute_classifier(self.joint_features(encoded))[0]
        if flipped is not None:
            other = self.attribute_classifier(self.joint_features(flipped))[0]
            logits = (logits + other[self.verbalizer.flipped_rows]) / 2
        return ATTRIBUTES_INTRODUCTION + self.verbalizer.verbalize(prompt, logits.tolist())

    def forward(self, memory: Tensor, memory_mask: Tensor, state: Tensor, encoded: EncodedImages) -> PoseDistribution:
        """Poses of the N pictures that the N memories are about; the rest as for ``PoseHead``."""
        assert self.head is not None
        assert self.head_projector is not None
        return self.head(memory, memory_mask, state, self.head_projector(encoded))

    @torch.no_grad()
    def joint_features(self, encoded: EncodedImages) -> Tensor:
        """(N, J, W) what the pose head makes of pictures alone; in bfloat16 where they are and that is fast."""
        assert self.head is not None
        assert self.head_projector is not None
        features = self.head_projector(encoded)
        fast = encoded.tokens.dtype == best_dtype(features.device)
        return self.head.joint_features(features.to(encoded.tokens.dtype) if fast else features.float())

    def project_to_embeddings(self, encoded: EncodedImages) -> Tensor:
        """Embeddings for the language model, (N, ``num_projected``, H)."""
        assert self.text_projector is not None
        return self.projector_scale * self.text_projector(encoded)

    # ---- weights ----

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Whether what is trained here is trained; the encoder stays frozen."""
        for name, parameter in self.named_parameters():
            if not name.startswith("encoder."):
                parameter.requires_grad_(requires_grad)
        return self

    def trained_weights(self) -> dict[str, Tensor]:
        """All weights but the encoder's, by name."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith("encoder.")}

    def load_trained_weights(self, weights: dict[str, Tensor]) -> None:
        """Take over what ``trained_weights`` gave; errors as ``load_state_dict`` raises them."""
        encoder = {name: value for name, value in self.state_dict().items() if name.startswith("encoder.")}
        self.load_state_dict(weights | encoder)
