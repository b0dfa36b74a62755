"""Vision transformers trained on poses: ViTPose of transformers, and HMR2.0's encoder, which has the same layers.

ViTPose: Xu et al., NeurIPS 2022. HMR2.0: Goel et al., "Humans in 4D", ICCV 2023, whose encoder starts from ViTPose's.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, VitPoseBackbone, VitPoseBackboneConfig, VitPoseForPoseEstimation

from pose_rft.errors import UserError
from pose_rft.hf import loading
from pose_rft.storage import atomic_directory
from pose_rft.vision.encoder import ImageFeatures, PoseEncoder, check_pixels

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, with which both were trained


class Vit(PoseEncoder):
    """The last layer's tokens of a ViTPose backbone, 16 x 12 for the published ones; no landmarks.

    Their pictures are 3:4; the crop is square, so its outer columns are left out, as HMR2.0 does.
    """

    num_landmarks = 0
    mean: Tensor
    std: Tensor

    def __init__(self, name: str, backbone: VitPoseBackbone) -> None:
        super().__init__()
        self.name = name
        self.backbone = backbone
        patches = backbone.embeddings.patch_embeddings
        self.height, self.picture_width = patches.image_size
        self.width, self.count = backbone.config.hidden_size, patches.num_patches
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)
        self.freeze()

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> ImageFeatures:
        check_pixels(pixels)
        square = pixels.permute(0, 3, 1, 2).float() / 255
        if self.height != square.shape[-1]:
            square = F.interpolate(square, size=(self.height, self.height), mode="bilinear", antialias=True)
        left = (self.height - self.picture_width) // 2
        middle = square[..., left : left + self.picture_width]
        # ViTPose+ has one expert per training set; the first is COCO's.
        experts = torch.zeros(len(pixels), dtype=torch.long, device=pixels.device)
        which = experts if self.backbone.config.num_experts > 1 else None
        outputs = self.backbone(((middle - self.mean) / self.std).to(self.backbone.dtype), dataset_index=which)
        return ImageFeatures(outputs.feature_maps[-1].float())


def load_vit(name: str) -> Vit:
    """A ViTPose model or backbone, its weights as safetensors.

    Args:
        name: a directory or Hugging Face id, such as "usyd-community/vitpose-base-simple".

    Raises:
        UserError: nothing of that name can be loaded, it is no ViTPose, or its weights are a pickle.
    """
    refusal = (
        f"encoder {name!r}: not 'blazepose', and no ViTPose with safetensors in a directory or Hugging Face id of that "
        "name"
    )
    with loading(name, refusal) as local:
        kind = AutoConfig.from_pretrained(name, local_files_only=local).model_type
        if kind == "vitpose":
            model = VitPoseForPoseEstimation.from_pretrained(name, use_safetensors=True, local_files_only=local)
            return Vit(name, model.backbone)
        if kind == "vitpose_backbone":
            return Vit(name, VitPoseBackbone.from_pretrained(name, use_safetensors=True, local_files_only=local))
    raise UserError(f"encoder {name!r}: is a {kind}; give 'blazepose' or a ViTPose model")


def convert_hmr2(weights: str | Path, directory: str | Path, heads: int = 16) -> None:
    """Write HMR2.0's encoder as a ViTPose backbone that `load_encoder` reads.

    Args:
        weights: ``.safetensors`` with the state of HMR2.0's ``backbone`` (docs/vision.md says how to make it).
        directory: where to write ``config.json`` and ``model.safetensors``.
        heads: attention heads; 16 in the published ViT-H.

    Raises:
        UserError: not a safetensors file of that network, or the directory cannot be written.
    """
    state = _hmr2_state(Path(weights))
    width = state["last_norm.weight"].shape[0]
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    patch = state["patch_embed.proj.weight"].shape[-1]
    patches = state["pos_embed"].shape[1] - 1
    high = round((patches * 4 / 3) ** 0.5)  # pictures are 4:3
    config = VitPoseBackboneConfig(
        image_size=[high * patch, patches // high * patch],
        patch_size=[patch, patch],
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        mlp_ratio=state["blocks.0.mlp.fc1.weight"].shape[0] // width,
        layer_norm_eps=1e-6,
        out_indices=[depth],
    )
    with atomic_directory(Path(directory)) as part:
        backbone = VitPoseBackbone(config)
        backbone.load_state_dict(_as_vitpose(state, depth))
        backbone.save_pretrained(part)


def _hmr2_state(path: Path) -> dict[str, Tensor]:
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: not a safetensors file that can be read; see docs/vision.md for how to make it"
        ) from error
    needed = ("pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "last_norm.weight")
    if missing := [name for name in needed if name not in state]:
        raise UserError(f"{path}: holds no {missing[0]!r}, so it is not HMR2.0's backbone; see docs/vision.md")
    return state


def _as_vitpose(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """The names of transformers; its attention keeps queries, keys and values apart."""
    renamed = {"embeddings.position_embeddings": state["pos_embed"]}
    for part in ("weight", "bias"):
        renamed[f"embeddings.patch_embeddings.projection.{part}"] = state[f"patch_embed.proj.{part}"]
        renamed[f"layernorm.{part}"] = state[f"last_norm.{part}"]
        for index in range(depth):
            old, new = f"blocks.{index}", f"encoder.layer.{index}"
            for name, piece in zip(("query", "key", "value"), state[f"{old}.attn.qkv.{part}"].chunk(3), strict=True):
                renamed[f"{new}.attention.attention.{name}.{part}"] = piece.contiguous()
            renamed[f"{new}.attention.output.dense.{part}"] = state[f"{old}.attn.proj.{part}"]
            renamed[f"{new}.layernorm_before.{part}"] = state[f"{old}.norm1.{part}"]
            renamed[f"{new}.layernorm_after.{part}"] = state[f"{old}.norm2.{part}"]
            for layer in ("fc1", "fc2"):
                renamed[f"{new}.mlp.{layer}.{part}"] = state[f"{old}.mlp.{layer}.{part}"]
    return renamed
