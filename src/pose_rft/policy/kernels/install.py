"""The one place that swaps classes: kernels that change no number are put into a language model here.

Each has an off switch: ``POSE_RFT_DISABLE_KERNELS=fused_lora,chunked_attention`` in the environment leaves those out,
``all`` leaves every one out. What each gains is in docs/performance.md.
"""

import os
from collections.abc import Callable
from typing import Any

from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.trainable_tokens.layer import TrainableTokensLayer
from torch import nn
from transformers import PreTrainedModel

from pose_rft.errors import UserError
from pose_rft.policy.kernels import chunked_attention, sliced_linear
from pose_rft.policy.kernels.fused_lora import FusedLoraLinear, TokenRows
from pose_rft.policy.kernels.sliced_linear import SlicedLinear, is_plain_linear

OFF_SWITCH = "POSE_RFT_DISABLE_KERNELS"


def install_kernels(model: nn.Module, decoder: PreTrainedModel) -> None:
    """Put all kernels that are not switched off into a language model with peft's adapters.

    Args:
        model: peft's model.
        decoder: the transformer decoder in it.

    Raises:
        UserError: the off switch names a kernel that there is not.
    """
    kernels: dict[str, Callable[[], None]] = {
        "token_rows": lambda: swap_token_rows(model),
        "fused_lora": lambda: swap_lora_layers(model),
        "sliced_linear": lambda: swap_wide_layers(model),
        "chunked_attention": lambda: _use_chunked_attention(decoder),
    }
    off = set(filter(None, os.environ.get(OFF_SWITCH, "").replace(" ", "").split(",")))
    if unknown := sorted(off - kernels.keys() - {"all"}):
        raise UserError(f"{OFF_SWITCH}: no kernel is called {unknown[0]!r}; there are all, {', '.join(kernels)}")
    for name, install in kernels.items():
        if not off & {name, "all"}:
            install()


def swap_token_rows(model: nn.Module) -> None:
    """Make every plain ``TrainableTokensLayer`` of a model a ``TokenRows``."""
    for layer in model.modules():
        if type(layer) is TrainableTokensLayer and isinstance(layer.base_layer, nn.Embedding | nn.Linear):
            layer.__class__ = TokenRows


def swap_lora_layers(model: nn.Module) -> None:
    """Make every plain LoRA layer of a model a ``FusedLoraLinear``."""
    layers: list[Any] = [layer for layer in model.modules() if type(layer) is LoraLinear]
    for layer in layers:
        plain = is_plain_linear(layer.get_base_layer()) and not layer.fan_in_fan_out and not layer.lora_variant
        if plain and isinstance(layer.lora_dropout["default"], nn.Identity):
            layer.__class__ = FusedLoraLinear


def swap_wide_layers(model: nn.Module) -> None:
    """Make every wide plain linear layer of a model a ``SlicedLinear``, where that is faster."""
    if not sliced_linear.plain_products_are_slow():
        return
    for layer in model.modules():
        if type(layer) is nn.Linear and layer.out_features >= sliced_linear.WIDE:
            layer.__class__ = SlicedLinear


def _use_chunked_attention(decoder: PreTrainedModel) -> None:
    if decoder.config._attn_implementation == "sdpa":
        decoder.set_attn_implementation(chunked_attention.CHUNKED)
