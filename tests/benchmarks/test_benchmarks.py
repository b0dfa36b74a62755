"""Every benchmark says how it is used, and what to do where it finds no recordings."""

import importlib
import sys
from pathlib import Path

import pytest

SHARED = {"__init__", "command_line", "steps"}  # code of several benchmarks
NAMES = sorted({path.stem for path in (Path(__file__).parents[2] / "benchmarks").glob("*.py")} - SHARED)


def run(name: str, *arguments: str, monkeypatch) -> int:
    """Run a benchmark in this process; its exit status."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(SystemExit) as leaving:
        importlib.import_module(f"benchmarks.{name}").main()
    return leaving.value.code or 0


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_says_how_it_is_used(name, monkeypatch, capsys):
    assert run(name, "--help", monkeypatch=monkeypatch) == 0
    assert f"python -m benchmarks.{name}" in capsys.readouterr().out


def test_a_benchmark_without_recordings_says_where_to_put_them(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSE_RFT_MOCAP", raising=False)
    assert run("retrieval", monkeypatch=monkeypatch) == 2
    assert "set POSE_RFT_MOCAP to the folder of recordings" in capsys.readouterr().err
