"""Products slice by slice are the plain products, and are used in sampling only."""

import pytest
import torch
from torch import nn

from pose_rft.policy.kernels import sliced_linear
from pose_rft.policy.kernels.install import swap_wide_layers
from pose_rft.policy.kernels.sliced_linear import ROWS, SLICE, WIDE, SlicedLinear, is_plain_linear, sliced_product


@pytest.fixture
def layer(monkeypatch) -> nn.Linear:
    monkeypatch.setattr(sliced_linear, "plain_products_are_slow", lambda: True)
    model = nn.Sequential(nn.Linear(12, WIDE + 5), nn.Linear(12, WIDE - 1))
    swap_wide_layers(model)
    assert [type(each) for each in model] == [SlicedLinear, nn.Linear]
    assert all(is_plain_linear(each) for each in model)
    return model[0]


@pytest.mark.parametrize("outputs", [SLICE, 3 * SLICE, 3 * SLICE + 1, 2 * SLICE - 1, 49 * SLICE + 50])
@pytest.mark.parametrize("rows", [1, 7, 130])
def test_the_same_numbers_as_a_plain_product(outputs, rows):
    generator = torch.Generator().manual_seed(outputs)
    x, weight = torch.randn(rows, 33, generator=generator), torch.randn(outputs, 33, generator=generator)
    torch.testing.assert_close(sliced_product(x, weight), x @ weight.T, atol=1e-5, rtol=1e-5)
    strided = torch.stack([x, x], dim=-1)[..., 0]
    torch.testing.assert_close(sliced_product(strided, weight), x @ weight.T, atol=1e-5, rtol=1e-5)


def calls(monkeypatch) -> list[tuple[int, ...]]:
    seen: list[tuple[int, ...]] = []
    monkeypatch.setattr(
        sliced_linear, "sliced_product", lambda x, w: seen.append(tuple(x.shape)) or sliced_product(x, w)
    )
    return seen


def test_few_rows_without_a_gradient_are_multiplied_slice_by_slice(layer, monkeypatch):
    seen = calls(monkeypatch)
    x = torch.randn(2, 3, 12)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), nn.functional.linear(x, layer.weight, layer.bias), atol=1e-5, rtol=1e-5)
        assert layer(x[0, 0]).shape == (WIDE + 5,)
    assert seen == [(6, 12), (1, 12)]


def test_everything_else_is_left_to_torch(layer, monkeypatch):
    seen = calls(monkeypatch)
    layer(torch.randn(2, 12)).sum().backward()
    assert layer.weight.grad is not None
    with torch.no_grad():
        assert layer(torch.randn(ROWS + 1, 12)).shape == (ROWS + 1, WIDE + 5)
        assert layer(torch.randn(0, 12)).shape == (0, WIDE + 5)
        assert layer.to(torch.bfloat16)(torch.randn(2, 12, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert not seen


def test_layers_stay_as_they_are_where_plain_products_are_fast(monkeypatch):
    monkeypatch.setattr(sliced_linear, "plain_products_are_slow", lambda: False)
    model = nn.Sequential(nn.Linear(4, WIDE))
    swap_wide_layers(model)
    assert type(model[0]) is nn.Linear


def test_policies_sample_and_train_with_them_as_without(tiny_policy, monkeypatch):
    """The same answers, poses and gradients; adapters are merged into such layers as into plain ones."""
    monkeypatch.setattr(sliced_linear, "plain_products_are_slow", lambda: True)
    monkeypatch.setattr(sliced_linear, "WIDE", 8)
    monkeypatch.setattr(sliced_linear, "SLICE", 4)

    def run() -> tuple:
        rollout = tiny_policy.rollout(["stand", "sit down"], num_answers=3, max_new_tokens=5)
        tiny_policy(tiny_policy.pack(rollout)).logp_text.sum().backward()
        gradients = [p.grad.clone() for p in tiny_policy.parameters() if p.grad is not None]
        tiny_policy.zero_grad()
        return rollout, gradients

    torch.manual_seed(0)
    for name, parameter in tiny_policy.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.1)
    expected, expected_gradients = run()
    swap_wide_layers(tiny_policy.language_model)
    assert any(isinstance(layer, SlicedLinear) for layer in tiny_policy.language_model.modules())
    got, gradients = run()
    assert got.answer_ids == expected.answer_ids
    torch.testing.assert_close(got.action, expected.action, atol=1e-4, rtol=1e-4)
    for one, other in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
