"""peft's adapters without work that nobody needs: the same numbers from fewer passes over memory."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from peft.tuners.trainable_tokens.layer import TrainableTokensLayer
from torch import Tensor, nn


class TokenRows(TrainableTokensLayer):
    """Trained rows of an embedding, put in place of what the frozen rows give.

    peft copies the whole embedding to replace a row and differentiates all of the copy: for one token and a vocabulary
    of 50,000 that is a tenth of an update. Replacing results instead of weights has the same values and gradients.
    """

    @classmethod
    def replace_in(cls, model: nn.Module) -> None:
        """Make every plain ``TrainableTokensLayer`` of a model one of these."""
        for layer in model.modules():
            if type(layer) is TrainableTokensLayer and isinstance(layer.base_layer, nn.Embedding | nn.Linear):
                layer.__class__ = cls

    def forward_adapters(self, x: Tensor, active_adapters: Any, *args: Any, **kwargs: Any) -> Tensor:
        if self.disable_adapters or self.merged or not active_adapters:
            return super().forward_adapters(x, active_adapters, *args, **kwargs)
        result = self.base_layer(x)
        for name in active_adapters:
            tokens, rows = self.token_indices[name], self.trainable_tokens_delta[name].to(result)
            if isinstance(self.base_layer, nn.Linear):  # the output embedding, tied to the input's
                columns = nn.functional.linear(x.to(result), rows)
                result = result.index_copy_(-1, torch.tensor(tokens, device=x.device), columns)
                continue
            scale = self._get_embed_scale()  # of families whose embedding layer scales (Gemma)
            rows = rows if scale is None else rows * scale.to(rows)
            for token, row in zip(tokens, rows, strict=True):
                result = torch.where((x == token)[..., None], row, result)
        return result


def merged_weight(layer: LoraLayer, weight: Tensor) -> Tensor:
    """``W + s B A`` of a plain LoRA layer in W's own precision: one pass, where peft's float32 delta takes four."""
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    return torch.addmm(weight, (b * layer.scaling["default"]).to(weight), a.to(weight))


@contextlib.contextmanager
def inputs_uncast(model: nn.Module) -> Iterator[None]:
    """LoRA layers take their inputs as they are inside the block; autocast brings the weights to them.

    Else peft casts every input to the adapters' float32, autocast casts it back, and both are differentiated.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
    before = [layer.cast_input_dtype_enabled for layer in layers]
    try:
        for layer in layers:
            layer.cast_input_dtype_enabled = False
        yield
    finally:
        for layer, enabled in zip(layers, before, strict=True):
            layer.cast_input_dtype_enabled = enabled
