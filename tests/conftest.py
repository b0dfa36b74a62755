"""Small models made from configs, so that no test needs downloads or minutes."""

import os
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

os.environ.setdefault("HF_HUB_OFFLINE", "1")
torch.set_num_threads(1)

CHAT_TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def save_byte_tokenizer(directory: Path) -> PreTrainedTokenizerFast:
    """A tokenizer of single bytes with a chat template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<|end|>": 0, "<|start|>": 1} | {byte: index + 2 for index, byte in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    fast.add_special_tokens({"additional_special_tokens": ["<|start|>"]})
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(directory)
    return fast


@pytest.fixture(scope="session")
def byte_tokenizer():
    """``byte_tokenizer(directory)`` saves a tokenizer of single bytes there and returns it."""
    return save_byte_tokenizer


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory) -> str:
    """Directory of a three-layer Llama over bytes."""
    directory = tmp_path_factory.mktemp("tiny-llama")
    save_byte_tokenizer(directory)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=258,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        eos_token_id=0,
        bos_token_id=1,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(directory)
    return str(directory)


@pytest.fixture
def tiny_policy(tiny_backbone):
    """A fresh untrained policy over the small Llama, float32."""
    from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy

    torch.manual_seed(0)
    config = PolicyConfig(
        backbone=tiny_backbone,
        layer=2,
        head=HeadConfig(width=32, depth=1, heads=4, rank=2),
        lora=LoraSettings(rank=2, alpha=4),
    )
    return PosePolicy.create(config, dtype=torch.float32)
