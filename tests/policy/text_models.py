"""Small causal language models made from configs, and untrained policies over them."""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy

SMALL = {
    "vocab_size": 258,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "eos_token_id": 0,
    "bos_token_id": 1,
    "pad_token_id": 0,
    "initializer_range": 0.3,
}
SHARING = {
    "llama": {},
    "mistral": {},
    "qwen2": {},
    "qwen3": {},
    "gemma2": {"sliding_window": 512},
    "gemma3_text": {"sliding_window": 512},
    "granite": {"logits_scaling": 4.0},
    "phi3": {},
    "olmo2": {},
    "gpt_neox": {},
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4},
}
PADDED = {
    "mamba": {"state_size": 4, "num_hidden_layers": 2, "targets": ["in_proj", "x_proj"]},
    "bloom": {"n_head": 4, "n_layer": 2},  # its positions are counted along the row
}
HEAD = HeadConfig(width=32, depth=1, heads=4, covariance="low_rank", rank=2)


def text_policy(
    directory: Path,
    byte_tokenizer: Callable,
    model_type: str,
    targets: str | list[str] = "all-linear",
    parts: dict | None = None,
    **settings,
) -> PosePolicy:
    """An untrained policy whose adapters and heads do something; ``parts`` are more fields of its config."""
    byte_tokenizer(directory)
    torch.manual_seed(0)
    # Only fields that the family knows: others would be kept and mean nothing.
    known = AutoConfig.for_model(model_type).to_dict()
    config = AutoConfig.for_model(model_type, **{k: v for k, v in SMALL.items() if k in known} | settings)
    AutoModelForCausalLM.from_config(config).save_pretrained(directory)
    lora = LoraSettings(rank=2, alpha=4, targets=targets)
    policy = PosePolicy.create(PolicyConfig(str(directory), -1, HEAD, lora, **parts or {}), dtype=torch.float32)
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return policy
