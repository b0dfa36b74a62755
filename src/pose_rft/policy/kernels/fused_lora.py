"""peft's adapters without work that nobody needs: the same numbers from fewer passes over memory."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from peft.tuners.lora import Linear, LoraLayer
from peft.tuners.trainable_tokens.layer import TrainableTokensLayer
from torch import Tensor, nn


class TokenRows(TrainableTokensLayer):
    """Trained rows of an embedding, put in place of what the frozen rows give.

    peft copies the whole embedding to replace a row and differentiates all of the copy: for one token and a vocabulary
    of 50,000 that is a tenth of an update. Replacing results instead of weights has the same values and gradients.
    """

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


class FusedLoraLinear(Linear):
    """An adapted linear layer as one function of its input, ``x W' + s (x A') B'``.

    peft multiplies and adds the adapter's share in passes of their own over results as wide as the layer, forwards and
    backwards, and sums the gradient of the input in another. Here products add to what is there.
    """

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        base: Any = self.base_layer
        plain = not args and not kwargs
        if plain and self.merged != self.disable_adapters:  # the base layer has the adapters in it, or is to be alone
            return base(x)
        if self.merged or not plain or x.dtype != base.weight.dtype:
            return super().forward(x, *args, **kwargs)
        a, b = self.lora_A["default"].weight.to(x.dtype), self.lora_B["default"].weight.to(x.dtype)
        return _AdaptedProduct.apply(x, base.weight, base.bias, a, b, self.scaling["default"])


class _AdaptedProduct(torch.autograd.Function):
    """x (..., I), frozen W (O, I) and bias, A (r, I), B (O, r), s -> (..., O)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float) -> Tensor:
        flat = x.flatten(0, -2)
        low = flat @ a.T
        ctx.save_for_backward(flat, weight, a, b, low)
        ctx.scale = scale
        out = nn.functional.linear(flat, weight, bias).addmm_(low, b.T, alpha=scale)
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        flat, weight, a, b, low = ctx.saved_tensors
        out = gradients[0].flatten(0, -2)
        of_low = out @ b * ctx.scale
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (out @ weight).addmm_(of_low, a).view(*gradients[0].shape[:-1], -1)
        return of_x, None, None, of_low.T @ flat, out.T @ low * ctx.scale, None


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
