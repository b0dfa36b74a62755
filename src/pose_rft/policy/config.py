"""What a policy is made of."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Annotated, Any

from pose_rft.config import Fraction, NonNegativeInt, PositiveInt, Range, refuse_unread, validate
from pose_rft.errors import UserError
from pose_rft.policy.pose_branch import PoseBranchConfig
from pose_rft.policy.pose_head import HeadConfig


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adapters on the language model.

    Attributes:
        rank: 0 trains no adapter (the ``<POSE>`` embedding still is).
        alpha: scale.
        dropout: on the adapters' input.
        targets: module names as peft takes them.
        from_layer: the first layer that is adapted. At the head's ``layer`` or above, what the head reads of a prompt
            stays what it was: the words are learned without unlearning the poses.
    """

    rank: NonNegativeInt = 8
    alpha: PositiveInt = 16
    dropout: Fraction = 0.0
    targets: str | list[str] = "all-linear"
    from_layer: NonNegativeInt = 0

    def __post_init__(self) -> None:
        validate(self)
        if not self.rank:
            refuse_unread(self, ["alpha", "dropout", "targets", "from_layer"], "rank is 0: there are no adapters")


@dataclass
class PolicyConfig:
    """What a policy is made of. What training learns is not here but in the checkpoint's files.

    Attributes:
        backbone: preset, directory or Hugging Face id of a causal or an image-text language model.
        layer: which hidden states the pose head reads: 0 is the embedding, -1 the last layer.
        head: the pose head.
        lora: the adapters.
        encoder: the pose-aware image encoder: "blazepose" or a Hugging Face id of a ViTPose; None for a policy that
            reads images with its language model's own vision tower, or not at all.
        image_head: shape of the pose head of pictures; None takes that of ``head``. Both are of kind "query" then,
            of one covariance and of one space.
        flip_augmentation: ``generate`` also encodes the flipped picture and takes the mean of both poses and of both
            pictures' attributes: nearer to the truth, for the encoder's time once more.
        pose_branch: how poses are read that are given with a prompt (``<input_pose>``); None for a policy that reads
            none.
    """

    backbone: str = "smollm2-135m"
    layer: Annotated[int, Range(-1)] = -1
    head: HeadConfig = field(default_factory=HeadConfig)
    lora: LoraSettings = field(default_factory=LoraSettings)
    encoder: str | None = None
    image_head: HeadConfig | None = None
    flip_augmentation: bool = False
    pose_branch: PoseBranchConfig | None = None

    def __post_init__(self) -> None:
        validate(self)
        if self.encoder is None and self.flip_augmentation:
            raise UserError("flip_augmentation: is of pictures that an encoder reads; set encoder: blazepose")
        if self.head.space == "tokens" and (self.encoder is not None or self.pose_branch is not None):
            raise UserError("head.space: tokens answers texts alone; leave encoder and pose_branch out")
        if self.image_head is not None:
            if self.encoder is None:
                raise UserError(
                    "image_head: is the pose head of pictures, which an encoder reads; set encoder: blazepose"
                )
            self._check_beside("image_head", self.image_head)
        if self.pose_branch is not None:
            self._check_beside("pose_branch.head", self.effective_pose_head)

    def _check_beside(self, name: str, other: HeadConfig) -> None:
        """That another head can answer in one batch with that of texts."""
        if (self.head.kind, other.kind) != ("query", "query") or other.covariance != self.head.covariance:
            raise UserError(f'{name}: must be of kind "query", as head is, and of its covariance')
        if other.space != self.head.space:
            raise UserError(f"{name}: its space is {other.space}, that of head {self.head.space}; a policy needs one")

    @property
    def effective_image_head(self) -> HeadConfig:
        return self.image_head or self.head

    @property
    def effective_pose_head(self) -> HeadConfig:
        """The shape of the pose head of prompts with poses, where there is one."""
        return (self.pose_branch and self.pose_branch.head) or self.head

    def layer_of(self, layers: int) -> int:
        """Which hidden states of a backbone of so many layers the pose head reads, counted from 0.

        Raises:
            UserError: the backbone has no such states, or no layer to adapt.
        """
        if not -layers - 1 <= self.layer <= layers:
            raise UserError(f"layer {self.layer}: {self.backbone} has hidden states 0 to {layers}")
        if not 0 <= self.lora.from_layer < layers:
            raise UserError(f"lora.from_layer {self.lora.from_layer}: {self.backbone} has layers 0 to {layers - 1}")
        return self.layer % (layers + 1)

    def to_dict(self) -> dict[str, Any]:
        """As transformers' trackers (TensorBoard, W&B, trackio) ask a model's config to be."""
        return dataclasses.asdict(self)

    def to_json_string(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), indent=2)
