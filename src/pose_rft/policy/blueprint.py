"""A policy without weights: its parts on torch's meta device, made from configs that are on this machine already."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PretrainedConfig,
    VitPoseBackbone,
)

from pose_rft.errors import OutOfReach, UserError, reason_of
from pose_rft.policy.backbone import PRESETS, Backbone, converted_preset
from pose_rft.policy.checkpoint import find_checkpoint, read_policy_config
from pose_rft.policy.config import PolicyConfig
from pose_rft.policy.image_branch import ImageBranch
from pose_rft.policy.language_model import LanguageModel
from pose_rft.policy.pose_head import PoseHead, make_pose_head
from pose_rft.vision.blazepose import BlazePose
from pose_rft.vision.image_encoder import ImageEncoder
from pose_rft.vision.vit import Vit

UNREAD = (OSError, ValueError, KeyError)  # what transformers raises at what is not there


@dataclass
class PolicyBlueprint:
    """The parts of a policy, without weights.

    Attributes:
        config: what it is made of.
        language_model: with its adapters.
        head: of texts.
        image_branch: or None.
        tokenizer: or None where it is not on this machine.
        unseen: what is not on this machine, a line each.
    """

    config: PolicyConfig
    language_model: LanguageModel
    head: PoseHead
    image_branch: ImageBranch | None
    tokenizer: Any
    unseen: list[str] = field(default_factory=list)

    def modules(self) -> list[nn.Module]:
        return [part for part in (self.language_model, self.head, self.image_branch) if part is not None]

    @property
    def text_config(self) -> PretrainedConfig:
        return self.language_model.backbone.model.config.get_text_config()

    def picture_tokens(self, width: int, height: int) -> int:
        """Places that a picture of so many pixels takes among the words: those of a vision tower, and of the encoder.

        Of a tower that reads every picture at one size (CLIP), its patches; of others (Qwen's), those of the picture.
        """
        branch = 0 if self.image_branch is None else self.image_branch.num_projected
        backbone = self.language_model.backbone
        if not backbone.has_vision:
            return branch
        vision = backbone.model.config.vision_config
        side = vision.patch_size * getattr(vision, "spatial_merge_size", 1)
        if size := getattr(vision, "image_size", None):
            width = height = size
        return branch + round(width / side) * round(height / side)


def blueprint_of(config: PolicyConfig, dtype: torch.dtype) -> PolicyBlueprint:
    """The blueprint of a policy; nothing is downloaded.

    Raises:
        UserError: a setting does not fit the language model; ``OutOfReach`` if its config is not on this machine.
    """
    unseen: list[str] = []
    backbone = _backbone(config.backbone, dtype, unseen)
    layers = backbone.num_layers
    if not -layers - 1 <= config.layer <= layers:
        raise UserError(f"layer {config.layer}: {config.backbone} has hidden states 0 to {layers}")
    with torch.device("meta"):
        language_model = LanguageModel(backbone, config.lora, config.layer % (layers + 1))
        head = make_pose_head(backbone.hidden_size, config.head)
        encoder = _encoder(config.encoder, unseen) if config.encoder else None
        branch = ImageBranch(encoder, backbone.hidden_size, config.effective_image_head) if encoder else None
    return PolicyBlueprint(config, language_model, head, branch, backbone.tokenizer, unseen)


def blueprint_config(name: str) -> PolicyConfig:
    """What a policy is made of that ``from_pretrained`` would load: a checkpoint, or a backbone untrained.

    Raises:
        UserError: as for ``find_checkpoint`` and ``read_policy_config``.
    """
    found = find_checkpoint(name)
    return PolicyConfig(name) if found is None else read_policy_config(found)


def _backbone(name: str, dtype: torch.dtype, unseen: list[str]) -> Backbone:
    source = str(converted_preset(name)) if name in PRESETS else name
    try:
        config = AutoConfig.from_pretrained(source, local_files_only=True)
    except UNREAD as error:
        raise OutOfReach(
            f"backbone {name!r}: its config is not on this machine, and a dry run downloads nothing; a folder with its "
            "config.json is enough for it"
        ) from error
    has_vision = config.get_text_config() is not config
    kind = AutoModelForImageTextToText if has_vision else AutoModelForCausalLM
    try:
        with torch.device("meta"):
            model = kind.from_config(config, dtype=dtype)
    except UNREAD as error:
        raise UserError(f"backbone {name!r}: no model can be made of its config ({reason_of(error)})") from error
    model.requires_grad_(False)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    except UNREAD:
        tokenizer = None
        unseen.append(f"backbone {name}: its tokenizer is not on this machine; tokens are counted at four letters each")
    processor: Any = object() if has_vision else None  # only its presence is looked at
    return Backbone(name, model, tokenizer, 0, (0,), processor)


def _encoder(name: str, unseen: list[str]) -> ImageEncoder | None:
    if name == "blazepose":
        with torch.device("cpu"):  # its weights come with the package
            return ImageEncoder(BlazePose())
    try:
        config = AutoConfig.from_pretrained(name, local_files_only=True)
    except UNREAD:
        unseen.append(f"encoder {name}: is not on this machine (docs/vision.md says how to get it); it is left out")
        return None
    if config.model_type not in ("vitpose", "vitpose_backbone"):
        raise UserError(f"encoder {name!r}: is a {config.model_type}; give 'blazepose' or a ViTPose model")
    shape = config.backbone_config if config.model_type == "vitpose" else config
    return ImageEncoder(Vit(name, VitPoseBackbone(shape)))
