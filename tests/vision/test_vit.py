import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertModel,
    VitPoseBackbone,
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
)

from pose_rft.errors import UserError
from pose_rft.vision import load_encoder
from pose_rft.vision.vit import MEAN, STD, convert_hmr2

PIXELS = torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def small_config(**changes) -> VitPoseBackboneConfig:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "out_indices": [2]}
    return VitPoseBackboneConfig(**{**sizes, "image_size": [64, 48], "patch_size": [16, 16], **changes})


@pytest.mark.parametrize("experts", [1, 3])
def test_a_vitpose_model_gives_tokens(tmp_path: Path, experts: int) -> None:
    torch.manual_seed(1)
    config = VitPoseConfig(backbone_config=small_config(num_experts=experts, part_features=8))
    model = VitPoseForPoseEstimation(config).eval()
    model.save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path))
    assert (encoder.width, encoder.count, encoder.num_landmarks, encoder.name) == (32, 12, 0, str(tmp_path))
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    features = encoder.encode(PIXELS)
    assert features.landmarks is None
    assert features.world is None
    # By hand: a quarter of the size, the outer eighths of the columns left out, ImageNet's mean and deviation.
    small = F.interpolate(PIXELS.permute(0, 3, 1, 2) / 255, (64, 64), mode="bilinear", antialias=True)[..., 8:56]
    normal = (small - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    index = torch.zeros(2, dtype=torch.long) if experts > 1 else None
    with torch.no_grad():
        expected = model.backbone(normal, dataset_index=index).feature_maps[-1]
    torch.testing.assert_close(features.tokens, expected)


def test_a_bare_backbone_is_an_encoder_too(tmp_path: Path) -> None:
    VitPoseBackbone(small_config()).save_pretrained(tmp_path)
    assert load_encoder(str(tmp_path)).encode(PIXELS).tokens.shape == (2, 12, 32)


def test_another_kind_of_model_is_one_line(tmp_path: Path) -> None:
    BertModel(
        BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="is a bert; give 'blazepose' or a ViTPose model"):
        load_encoder(str(tmp_path))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    model = VitPoseBackbone(small_config())
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="no ViTPose with safetensors"):
        load_encoder(str(tmp_path))


def hmr2_state(width: int = 24, depth: int = 2, patches: int = 12) -> dict[str, torch.Tensor]:
    """Random weights under the names of HMR2.0's backbone."""
    draw = torch.Generator().manual_seed(2)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw) / math.sqrt(shape[-1])

    state = {"pos_embed": random(1, patches + 1, width), "patch_embed.proj.weight": random(width, 3, 16, 16)}
    state |= {
        "patch_embed.proj.bias": random(width),
        "last_norm.weight": random(width),
        "last_norm.bias": random(width),
    }
    for i in range(depth):
        shapes = {
            "attn.qkv": (3 * width, width),
            "attn.proj": (width, width),
            "mlp.fc1": (4 * width, width),
            "mlp.fc2": (width, 4 * width),
        }
        for name, shape in shapes.items():
            state |= {f"blocks.{i}.{name}.weight": random(*shape), f"blocks.{i}.{name}.bias": random(shape[0])}
        for name in ("norm1", "norm2"):
            state |= {f"blocks.{i}.{name}.weight": random(width), f"blocks.{i}.{name}.bias": random(width)}
    return state


def plain_vit(state: dict[str, torch.Tensor], picture: torch.Tensor, heads: int) -> torch.Tensor:
    """A vision transformer written out: layer norm first, GELU, the class position added to every patch."""
    width = state["last_norm.weight"].shape[0]
    x = F.conv2d(picture, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=16, padding=2)
    x = x.flatten(2).transpose(1, 2) + state["pos_embed"][:, 1:] + state["pos_embed"][:, :1]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (width,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    for i in range(2):
        block = f"blocks.{i}"
        parts = (
            linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        )
        query, key, value = parts  # (N, heads, T, width / heads)
        weights = (query @ key.transpose(-1, -2) / math.sqrt(width // heads)).softmax(-1)
        x = x + linear((weights @ value).transpose(1, 2).flatten(2), f"{block}.attn.proj")
        x = x + linear(F.gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")), f"{block}.mlp.fc2")
    return norm(x, "last_norm")


def test_a_converted_hmr2_backbone_computes_what_its_layers_say(tmp_path: Path) -> None:
    state = hmr2_state()
    save_file(state, tmp_path / "backbone.safetensors")
    convert_hmr2(tmp_path / "backbone.safetensors", tmp_path / "converted", heads=4)
    encoder = load_encoder(str(tmp_path / "converted"))
    assert (encoder.width, encoder.count) == (24, 12)  # 64 x 48 pixels in patches of 16
    small = F.interpolate(PIXELS.permute(0, 3, 1, 2) / 255, (64, 64), mode="bilinear", antialias=True)[..., 8:56]
    normal = (small - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(encoder.encode(PIXELS).tokens, plain_vit(state, normal, heads=4), atol=1e-5, rtol=1e-4)


def test_a_file_that_is_no_hmr2_backbone_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"PK\x03\x04 a zip of pickles")
    with pytest.raises(UserError, match="not a safetensors file"):
        convert_hmr2(tmp_path / "model.ckpt", tmp_path / "out")
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="holds no 'pos_embed'"):
        convert_hmr2(tmp_path / "other.safetensors", tmp_path / "out")
    assert not (tmp_path / "out").exists()
