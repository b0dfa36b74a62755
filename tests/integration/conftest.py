"""The command line, run inside the test process or as users run it, on a policy small enough to train in a test."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from transformers import LlamaConfig, LlamaForCausalLM

from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy
from pose_rft.policy.backbone import POSE_TOKEN, Backbone

ANSWER = "Done <POSE>."  # no letter twice, so that a few steps teach it


@dataclass
class Outcome:
    status: int
    out: str
    err: str


def as_users_do(*arguments: object, cwd: Path) -> subprocess.Popen:
    """Start ``pose-rft`` in a process of its own."""
    command = [sys.executable, "-m", "pose_rft.cli", *map(str, arguments)]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # as in this process: sums in the same order

    def heed_interrupts() -> None:  # a job in the background of a shell is started with SIGINT ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        command,
        cwd=cwd,
        env=one_thread,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )


@pytest.fixture
def pose_rft(capsys, monkeypatch) -> Callable[..., Outcome]:
    """Run the command line in this process: ``pose_rft("caption", path, "--out", out)``."""
    from pose_rft.cli import main

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["pose-rft", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as leaving:
            status = leaving.code or 0
        return Outcome(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def trained_policy(tmp_path_factory, byte_tokenizer) -> Path:
    """A checkpoint that always answers "Done <POSE>.": a tiny Llama, all of whose weights learnt to say that."""
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
        prompt, answer = talking.prompt_ids(prompts[step % len(prompts)]), talking.answer_ids(ANSWER)
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


@pytest.fixture
def write_config(tmp_path) -> Callable[[str, dict], Path]:
    """Write a YAML file: ``write_config("rft.yaml", {...})``."""

    def write(name: str, fields: dict) -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump(fields))
        return path

    return write


DATA = {  # phrases only: their poses are solved in a second
    "captions_procedural": 0, "captions_mocap": 0, "compositions": 0, "clips": 0, "chat": 0.1, "concept_poses": 2,
}  # fmt: skip


@pytest.fixture
def rft_fields(trained_policy) -> dict:
    """Fields of a reinforcement run of a few seconds."""
    return {
        "policy": str(trained_policy),
        "prompts": 12,
        "data": DATA,
        "rewards": ["format", "posecodes"],
        "device": "cpu",
        "hygrpo": {
            "steps": 4, "prompts_per_step": 2, "answers_per_prompt": 2, "poses_per_answer": 4, "max_new_tokens": 12,
            "save_steps": 2, "learning_rate": 1e-3, "row_tokens": 128,
        },
    }  # fmt: skip
