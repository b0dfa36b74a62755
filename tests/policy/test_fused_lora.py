"""The lean adapters give peft's values and gradients."""

import pytest
import torch
from peft.tuners.lora import Linear, LoraLayer
from peft.tuners.trainable_tokens.layer import TrainableTokensLayer
from transformers import AutoConfig, AutoModelForCausalLM

from pose_rft.generation.packing import pack_groups
from pose_rft.policy import PolicyConfig, PosePolicy
from pose_rft.policy.config import LoraSettings
from pose_rft.policy.kernels.fused_lora import FusedLoraLinear, TokenRows, inputs_uncast, merged_weight


def make_policy(
    directory, byte_tokenizer, family: str = "llama", dtype: torch.dtype = torch.float32, dropout: float = 0.0
) -> PosePolicy:
    """An untrained policy whose adapters do something; families differ in how they scale and tie embeddings."""
    byte_tokenizer(directory)
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family, vocab_size=258, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, eos_token_id=0, bos_token_id=1, pad_token_id=0, initializer_range=0.3,
        tie_word_embeddings=True,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(directory)
    lora = LoraSettings(rank=4, alpha=8, dropout=dropout)
    policy = PosePolicy.create(PolicyConfig(str(directory), lora=lora), dtype=dtype)
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return policy


def scores_and_gradients(policy: PosePolicy) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    pose = policy.backbone.pose_token
    prompts, answers = [[5, 6, 7], [8, pose, 9]], [[[10, pose, 0], [pose, 11, 0]], [[12, 13, pose, 0]]]
    policy.zero_grad()
    scores = policy(pack_groups(prompts, answers, pose, 64))
    weight = torch.linspace(-1, 1, scores.logp_text.numel()).view_as(scores.logp_text)
    ((scores.logp_text * weight).sum() + scores.pose.mean.square().sum()).backward()
    gradients = {name: p.grad.clone() for name, p in policy.trainable().items() if p.grad is not None}
    return scores.logp_text.detach(), gradients


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "granite"])
def test_token_rows_have_the_values_and_gradients_of_pefts(tmp_path, byte_tokenizer, family):
    policy = make_policy(tmp_path, byte_tokenizer, family)
    ours = [layer for layer in policy.modules() if isinstance(layer, TokenRows)]
    assert len(ours) == 2  # the input embedding and the output's, which is tied to it
    values, gradients = scores_and_gradients(policy)
    for layer in ours:
        layer.__class__ = TrainableTokensLayer
    expected, expected_gradients = scores_and_gradients(policy)
    torch.testing.assert_close(values, expected, atol=1e-5, rtol=1e-5)
    assert gradients.keys() == expected_gradients.keys()
    assert any("trainable_tokens_delta" in name for name in gradients)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], atol=2e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "qwen2"])  # qwen2 has biases
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lean_layers_have_the_values_and_gradients_of_pefts(tmp_path, byte_tokenizer, family, dtype):
    policy = make_policy(tmp_path, byte_tokenizer, family, dtype)
    ours = [layer for layer in policy.modules() if isinstance(layer, FusedLoraLinear)]
    assert len(ours) == 14
    values, gradients = scores_and_gradients(policy)
    for layer in ours:
        layer.__class__ = Linear
    expected, expected_gradients = scores_and_gradients(policy)
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(values, expected, atol=tolerance, rtol=tolerance)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in gradients.items():
        other = expected_gradients[name]
        assert (gradient - other).norm() <= tolerance * 10 * other.norm() + 1e-6, name


def test_layers_with_dropout_stay_pefts(tmp_path, byte_tokenizer):
    policy = make_policy(tmp_path, byte_tokenizer, dropout=0.1)
    assert not any(isinstance(layer, FusedLoraLinear) for layer in policy.modules())


def test_a_merged_weight_is_pefts(tmp_path, byte_tokenizer):
    policy = make_policy(tmp_path, byte_tokenizer)
    layers = [layer for layer in policy.modules() if isinstance(layer, LoraLayer)]
    assert layers
    for layer in layers:
        weight = layer.get_base_layer().weight.data
        torch.testing.assert_close(merged_weight(layer, weight), weight + layer.get_delta_weight("default"))


def test_inputs_stay_uncast_in_the_block_only(tmp_path, byte_tokenizer):
    policy = make_policy(tmp_path, byte_tokenizer, dtype=torch.bfloat16, dropout=0.1)  # which is left to peft
    layers = [layer for layer in policy.modules() if isinstance(layer, LoraLayer)]
    seen = []
    for layer in layers:
        layer.lora_A["default"].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].dtype))
    scores_and_gradients(policy)
    assert set(seen) == {torch.bfloat16}  # where the training pass is
    with pytest.raises(ValueError, match="stop"), inputs_uncast(policy):
        raise ValueError("stop")
    assert all(layer.cast_input_dtype_enabled for layer in layers)
