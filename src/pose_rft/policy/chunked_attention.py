"""Attention on a CPU in plain matrix products, without what the mask hides.

torch's fused kernel reaches a fifth of the rate of a matrix product on a CPU, computes what an explicit mask hides, and
wants keys and values repeated for every query head. Here queries are taken some at a time, those of the heads that
share keys together, each time with the keys between the first and the last that any of these queries sees: half of the
work under a causal mask, far less under that of packed groups. `benchmarks/attention.py` compares the two.
"""

import weakref

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

CHUNKED = "pose_rft_chunked"  # the name by which transformers knows it
CHUNK = 256  # queries at a time
LONGEST = 2048  # keys; with more, the weights that a gradient needs take more memory than they save time
Span = tuple[int, int, int, int]  # queries from, to; keys from, to


def use_chunked_attention(decoder: PreTrainedModel) -> None:
    """Replace torch's fused attention in a decoder, where that is what it uses."""
    if decoder.config._attn_implementation == "sdpa":
        decoder.set_attn_implementation(CHUNKED)


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
    if not plain or (keys > LONGEST and torch.is_grad_enabled()):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal=is_causal, **more
        )
    spans = _causal_spans(length) if attention_mask is None else _spans(attention_mask)
    with torch.autocast("cpu", enabled=False):
        out = _attend(query, key, value, attention_mask, scaling or query.shape[-1] ** -0.5, spans)
    return out.transpose(1, 2).contiguous(), None


UNKNOWN = ("softcap", "position_bias", "s_aux", "cache")  # what some families add to attention


def _attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, spans: list[Span]
) -> Tensor:
    """(R, H, L, D)"""
    rows, heads, _, size = query.shape
    groups = key.shape[1]
    shared = heads // groups  # query heads that look at the same keys
    query = (query * scaling).unflatten(1, (groups, shared))  # (R, K, Q, L, D)
    key, value = key.flatten(0, 1), value.flatten(0, 1).to(query)  # (R * K, S, D)
    lowest = torch.finfo(query.dtype).min
    parts = []
    for start, end, first, last in spans:
        asked = query[:, :, :, start:end].reshape(rows * groups, -1, size)  # (R * K, Q * n, D)
        scores = asked @ key[:, first:last].mT
        table = scores.view(rows, groups, shared, end - start, last - first)
        if mask is None:
            ahead = torch.ones(end - start, end - start, dtype=torch.bool).triu(1)
            table[..., start - first :].masked_fill_(ahead, lowest)
        else:
            seen = mask[:, :, None, start:end, first:last]
            table.masked_fill_(~seen, lowest) if mask.dtype == torch.bool else table.add_(seen)
        parts.append((scores.softmax(-1) @ value[:, first:last]).view(rows, groups, shared, end - start, size))
    return (torch.cat(parts, dim=3) if len(parts) > 1 else parts[0]).flatten(1, 2)


def _causal_spans(length: int) -> list[Span]:
    starts = range(0, length, CHUNK)
    return [(start, min(start + CHUNK, length), 0, min(start + CHUNK, length)) for start in starts]


_newest: tuple[weakref.ref[Tensor], list[Span]] | None = None


def _spans(mask: Tensor) -> list[Span]:
    """The keys that each chunk of queries looks at under a mask, which all layers share: found once."""
    global _newest
    if _newest is not None and _newest[0]() is mask:
        return _newest[1]
    seen = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    spans = []
    for start in range(0, mask.shape[2], CHUNK):
        part = seen[:, 0, start : start + CHUNK]
        columns = part.any(dim=0).any(dim=0).nonzero()[:, 0].tolist() or [0]
        spans.append((start, start + part.shape[1], columns[0], columns[-1] + 1))
    _newest = (weakref.ref(mask), spans)
    return spans


AttentionInterface.register(CHUNKED, chunked_attention)
AttentionMaskInterface.register(CHUNKED, sdpa_mask)
