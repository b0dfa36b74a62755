"""The command line, run inside the test process or as users run it, on a policy small enough to train in a test."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml


@dataclass
class Outcome:
    status: int
    out: str
    err: str


def as_users_do(*arguments: object, cwd: Path) -> subprocess.Popen:
    """Start ``pose-rft`` in a process of its own."""
    command = [sys.executable, "-m", "pose_rft.cli", *map(str, arguments)]

    def heed_interrupts() -> None:  # a job in the background of a shell is started with SIGINT ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        command,
        cwd=cwd,
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


@pytest.fixture
def write_config(tmp_path) -> Callable[[str, dict], Path]:
    """Write a YAML file: ``write_config("rft.yaml", {...})``."""

    def write(name: str, fields: dict) -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump(fields))
        return path

    return write


DATA = {  # phrases only: their poses are solved in a second
    "captions_procedural": 0, "captions_mocap": 0, "compositions": 0, "wordings": 0, "clips": 0, "chat": 0.1,
    "concept_poses": 2,
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
