"""Small models made from configs, so that no test needs downloads or minutes."""

import os
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# One thread here and in processes that tests start: sums in the same order, and no thread waits at barriers for a core
# that another test has.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

ANSWER = "Done <POSE>."  # no letter twice, so that a few steps teach it
CHAT_TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of GPUs by their file, and as unit tests all that is neither that nor slow."""
    for item in items:
        if item.path.name == "test_cuda.py":
            item.add_marker("gpu")
        elif item.get_closest_marker("slow") is None:
            item.add_marker("unit")


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


@pytest.fixture(scope="session")
def trained_policy(tmp_path_factory, byte_tokenizer) -> Path:
    """A checkpoint that always answers "Done <POSE>.": a tiny Llama, all of whose weights learnt to say that."""
    from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy
    from pose_rft.policy.backbone import POSE_TOKEN, Backbone

    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("talking-llama")
    tokenizer = byte_tokenizer(directory)
    tokenizer.add_tokens([POSE_TOKEN], special_tokens=True)
    tokenizer.save_pretrained(directory)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=259, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True, eos_token_id=0,
            bos_token_id=1,
        )
    )  # fmt: skip
    talking = Backbone("", model, tokenizer, 258, (0,))
    prompts = ("wave", "sit down on a chair", "A boxer!", "Both arms are raised.", "kneeling", "show me tree pose")
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(400):
        prompt, answer = talking.encode_prompt(prompts[step % len(prompts)]).ids, talking.answer_ids(ANSWER)
        labels = torch.tensor([[-100] * len(prompt) + answer])
        loss = model(input_ids=torch.tensor([prompt + answer]), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(directory)
    config = PolicyConfig(str(directory), 1, HeadConfig(width=32, depth=1, heads=4, rank=2), LoraSettings(rank=2))
    policy = PosePolicy.create(config, dtype=torch.float32)
    policy.head.fit_action_space(0.3 * torch.randn(64, 22, 3))
    policy.save_pretrained(directory / "policy")
    return directory / "policy"
