"""Attention in chunks gives the fused kernel's values and gradients, and is what policies use on a CPU."""

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from pose_rft.generation.packing import additive_mask, pack_groups
from pose_rft.policy.kernels import chunked_attention as chunked

ROWS, HEADS, GROUPS, SIZE = 2, 6, 2, 8


class Module(torch.nn.Module):
    is_causal = True
    num_key_value_groups = HEADS // GROUPS


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", 7)


def tensors(length: int, keys: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(ROWS, HEADS, length, SIZE), (ROWS, GROUPS, keys, SIZE), (ROWS, GROUPS, keys, SIZE)]
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


def packed_mask(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Of two rows with groups of different sizes, padding behind the second."""
    prompts, answers = [[1] * 11, [2] * 5, [3] * 9], [[[4] * 3] * 3, [[5] * 2] * 2, [[6] * 4] * 2]
    packed = pack_groups(prompts, answers, 9, row_tokens=29)
    assert packed.input_ids.shape == (2, 29)
    return additive_mask(packed.attention, dtype)


def results(attend, given: list[torch.Tensor], mask: torch.Tensor | None) -> list[torch.Tensor]:
    out, weights = attend(Module(), *given, mask, scaling=0.3)
    assert weights is None
    weight = torch.linspace(-1, 1, out.numel()).view_as(out).to(out)
    return [out, *torch.autograd.grad((out * weight).sum(), given)]


def window_mask() -> torch.Tensor:
    """Bool, for 20 queries behind 12 other keys, each seeing 9 of them."""
    ahead = torch.arange(32) - torch.arange(12, 32)[:, None]
    return ((ahead <= 0) & (ahead > -9))[None, None]


@pytest.mark.parametrize(
    ("mask", "length", "keys"),
    [
        (None, 23, 23),
        (packed_mask(), 29, 29),
        (window_mask(), 20, 32),
        (additive_mask(window_mask(), torch.float32), 20, 32),
    ],
    ids=["causal", "packed", "bool window", "additive window"],
)
def test_values_and_gradients_are_those_of_the_fused_kernel(mask, length, keys, monkeypatch):
    given = tensors(length, keys)
    expected = results(sdpa_attention_forward, given, mask)
    monkeypatch.setattr(chunked, "sdpa_attention_forward", None)  # would raise TypeError
    for got, value in zip(results(chunked.chunked_attention, given, mask), expected, strict=True):
        torch.testing.assert_close(got, value, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_few_queries_of_a_pass_that_samples_have_the_same_values(dtype, monkeypatch):
    mask = window_mask()[:, :, :13].expand(ROWS, -1, -1, -1)
    mask = mask if dtype == torch.bool else additive_mask(mask, dtype)
    given = tensors(13, 32)
    expected = chunked.chunked_attention(Module(), *given, mask, scaling=0.3)[0]
    monkeypatch.setattr(chunked, "_Attention", None)  # would raise AttributeError
    with torch.no_grad():
        got, weights = chunked.chunked_attention(Module(), *given, mask, scaling=0.3)
    assert weights is None
    torch.testing.assert_close(got, expected.detach(), atol=2e-5, rtol=1e-4)


def test_bfloat16_is_as_near_to_float32_as_the_fused_kernel():
    exact = results(sdpa_attention_forward, tensors(29, 29), packed_mask())
    mask, given = packed_mask(torch.bfloat16), tensors(29, 29, torch.bfloat16)
    fused, ours = (results(attend, given, mask) for attend in (sdpa_attention_forward, chunked.chunked_attention))
    for one, other, value in zip(ours, fused, exact, strict=True):
        assert one.dtype == torch.bfloat16
        assert (one - value).norm() < 2 * (other - value).norm()


def test_keys_that_no_query_of_a_chunk_sees_are_left_out():
    spans = chunked._spans(window_mask())
    assert spans == [(0, 7, 4, 19), (7, 14, 11, 26), (14, 20, 18, 32)]
    assert chunked._causal_spans(15) == [(0, 7, 0, 7), (7, 14, 0, 14), (14, 15, 0, 15)]


def test_a_query_that_sees_nothing_gets_a_number():
    mask = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    mask[..., 8, :] = True
    out, _ = chunked.chunked_attention(Module(), *tensors(9, 9), mask)
    assert out.isfinite().all()


@pytest.mark.parametrize("more", [{"dropout": 0.5}, {"s_aux": torch.zeros(HEADS)}, {"is_causal": False}])
def test_what_is_not_plain_is_left_to_the_fused_kernel(more, monkeypatch):
    called = []
    monkeypatch.setattr(chunked, "sdpa_attention_forward", lambda *_, **__: called.append(1))
    chunked.chunked_attention(Module(), *tensors(9, 9), None, **more)
    assert called


def test_policies_use_it_in_training_and_in_sampling(tiny_policy, monkeypatch):
    used = []
    weights = chunked._weights
    monkeypatch.setattr(chunked, "_weights", lambda *given: used.append(1) or weights(*given))
    rollout = tiny_policy.rollout(["stand"], num_answers=2, max_new_tokens=3)
    sampled = len(used)
    assert sampled
    tiny_policy(tiny_policy.pack(rollout))
    assert len(used) > sampled
