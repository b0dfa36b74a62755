"""Attention on a CPU in plain matrix products, without what the mask hides.

torch's fused kernel reaches a fifth of the rate of a matrix product on a CPU, computes what an explicit mask hides, and
wants keys and values repeated for every query head. Here queries are taken some at a time, those of the heads that
share keys together, each time with the keys between the first and the last that any of these queries attends to: half
of the work under a causal mask, far less under that of packed groups. The few queries of a pass that samples are for
the fused kernel after all, asked without repeated keys. `benchmarks/attention.py` compares the ways.
"""

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

CHUNKED = "pose_rft_chunked"  # the name by which transformers knows it
CHUNK = 128  # queries at a time
FEW = 16  # queries that torch's fused kernel is quicker with: a pass that samples
Span = tuple[int, int, int, int]  # queries from, to; keys from, to


def chunked_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **more: object,
) -> tuple[Tensor, None]:
    """Attention as transformers asks for it: on a CPU in chunks, else by torch's fused kernel.

    Args:
        query: (R, H, L, D).
        key, value: (R, K, S, D); H is a multiple of K.
        attention_mask: (R or 1, 1, L, S), bool or additive, or None for a causal order.

    Returns:
        (R, L, H, D), and no weights.
    """
    length, keys = query.shape[2], key.shape[2]
    plain = query.device.type == "cpu" and not dropout and not any(more.get(name) is not None for name in UNKNOWN)
    if attention_mask is None:
        in_order = is_causal if is_causal is not None else getattr(module, "is_causal", True)
        plain = plain and in_order and length == keys > 1
    else:
        plain = plain and attention_mask.shape[1] == 1 and attention_mask.shape[3] == keys
    if not plain:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal=is_causal, **more
        )
    if attention_mask is not None and length <= FEW and not torch.is_grad_enabled():
        mask = attention_mask if attention_mask.dtype == torch.bool else attention_mask.to(query)
        out = scaled_dot_product_attention(
            query, key.to(query), value.to(query), mask, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
        )
        return out.transpose(1, 2), None
    spans = _causal_spans(length) if attention_mask is None else _spans(attention_mask)
    with torch.autocast("cpu", enabled=False):
        key, value = key.to(query), value.to(query)
        return _Attention.apply(query, key, value, attention_mask, scaling or query.shape[-1] ** -0.5, spans), None


UNKNOWN = ("softcap", "position_bias", "s_aux", "cache")  # what some families add to attention


class _Attention(torch.autograd.Function):
    """Queries (R, H, L, D), keys and values (R, K, S, D), mask, scale, spans -> (R, L, H, D).

    The weights of a chunk are computed anew for its gradients: kept, those of all layers are the largest part of what
    an update remembers.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, spans: list[Span]
    ) -> Tensor:
        rows, heads, length, _ = query.shape
        keys, values = key.flatten(0, 1), value.flatten(0, 1)  # (R * K, S, D)
        out = query.new_empty(rows, length, heads, value.shape[-1])
        for span in spans:
            _, weights = _weights(query, keys, mask, scaling, span)
            _put(out, span, weights @ values[:, span[2] : span[3]])
        ctx.save_for_backward(query, key, value, mask)
        ctx.scaling, ctx.spans = scaling, spans
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask = ctx.saved_tensors
        (of_out,) = gradients
        groups = key.shape[1]
        keys, values = key.flatten(0, 1), value.flatten(0, 1)
        of_query = torch.empty_like(query.transpose(1, 2))
        of_keys, of_values = torch.zeros_like(keys), torch.zeros_like(values)
        for span in ctx.spans:
            _, _, first, last = span
            asked, weights = _weights(query, keys, mask, ctx.scaling, span)
            given = _take(of_out, span, groups)
            of_values[:, first:last].baddbmm_(weights.mT, given)
            of_weights = given @ values[:, first:last].mT
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            _put(of_query, span, (of_scores @ keys[:, first:last]).mul_(ctx.scaling))
            of_keys[:, first:last].baddbmm_(of_scores.mT, asked)
        return of_query.transpose(1, 2), of_keys.view_as(key), of_values.view_as(value), None, None, None


def _weights(query: Tensor, keys: Tensor, mask: Tensor | None, scaling: float, span: Span) -> tuple[Tensor, Tensor]:
    """A chunk's scaled queries (R * K, Q * n, D), those of the Q heads that share keys together, and their weights."""
    start, end, first, last = span
    rows, heads, _, size = query.shape
    groups = len(keys) // rows
    asked = (query[:, :, start:end] * scaling).reshape(rows * groups, -1, size)
    scores = asked @ keys[:, first:last].mT  # (R * K, Q * n, keys)
    table = scores.view(rows, groups, heads // groups, end - start, last - first)
    lowest = torch.finfo(query.dtype).min
    if mask is None:
        ahead = torch.ones(end - start, end - start, dtype=torch.bool).triu(1)
        table[..., start - first :].masked_fill_(ahead, lowest)
    else:
        visible = mask[:, :, None, start:end, first:last]
        table.masked_fill_(~visible, lowest) if mask.dtype == torch.bool else table.add_(visible)
    return asked, scores.softmax(-1)


def _take(table: Tensor, span: Span, groups: int) -> Tensor:
    """A chunk of (R, L, H, D) as (R * K, Q * n, D)."""
    part = table[:, span[0] : span[1]].unflatten(2, (groups, -1))  # (R, n, K, Q, D)
    return part.permute(0, 2, 3, 1, 4).reshape(len(table) * groups, -1, table.shape[-1])


def _put(table: Tensor, span: Span, part: Tensor) -> None:
    """The other way."""
    groups = len(part) // len(table)
    chunk = table[:, span[0] : span[1]].unflatten(2, (groups, -1)).permute(0, 2, 3, 1, 4)  # (R, K, Q, n, D)
    chunk.copy_(part.view(chunk.shape))


def _causal_spans(length: int) -> list[Span]:
    starts = range(0, length, CHUNK)
    return [(start, min(start + CHUNK, length), 0, min(start + CHUNK, length)) for start in starts]


_newest: tuple[weakref.ref[Tensor], list[Span]] | None = None


def _spans(mask: Tensor) -> list[Span]:
    """The keys that each chunk of queries attends to under a mask, which all layers share: found once."""
    global _newest
    if _newest is not None and _newest[0]() is mask:
        return _newest[1]
    visible = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    spans = []
    for start in range(0, mask.shape[2], CHUNK):
        part = visible[:, 0, start : start + CHUNK]
        columns = part.any(dim=0).any(dim=0).nonzero()[:, 0].tolist() or [0]
        spans.append((start, start + part.shape[1], columns[0], columns[-1] + 1))
    _newest = (weakref.ref(mask), spans)
    return spans


AttentionInterface.register(CHUNKED, chunked_attention)
AttentionMaskInterface.register(CHUNKED, sdpa_mask)
