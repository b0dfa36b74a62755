"""``pose-rft ablate``: the whole command on a small policy, killed and resumed."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from pose_rft.ablation.matched_temperature import NEAR
from pose_rft.data.splits import is_held_out

ROOT = Path(__file__).parents[2]
DATA = {  # phrases only: their poses are solved in a second
    **dict.fromkeys(["captions_procedural", "captions_mocap", "compositions", "wordings", "requests", "clips"], 0),
    "mocap": None, "chat": 0.1, "concept_poses": 2,
}  # fmt: skip


@pytest.fixture
def command(trained_policy, tmp_path) -> list[str]:
    """The command with runs of about three seconds, judged on three prompts of each benchmark."""
    names = [str(number) for number in range(20)]  # of recordings, some of them held out
    assert len({is_held_out(name) for name in names}) == 2
    poses = np.random.default_rng(0).normal(0, 0.3, (len(names), 22, 3)).astype(np.float32)
    np.savez(tmp_path / "poses.npz", pose=poses, sequence=np.array(names))
    small = {"prompts_per_step": 2, "answers_per_prompt": 2, "poses_per_answer": 4, "max_new_tokens": 12}
    small["learning_rate"] = 1e-6  # it goes on to spread as its start does
    variants = {name: {"about": name} for name in ("ours", "sft", "start-like-ours")}
    variants["ours"]["rft"], variants["sft"]["sft"], variants["start-like-ours"]["like"] = {}, {}, "ours"
    study = {
        "about": "a small one", "base": "controls", "start": str(trained_policy), "minutes": 0.05, "seeds": [0],
        "compared": ["ours"], "variants": variants, "data": DATA, "device": "cpu", "processes": 1,
        "sft": {"head": {"samples": 60}},
        "rft": {"adapters_from": None, "prompts": 12, "rewards": ["format", "posecodes"], "hygrpo": small},
    }  # fmt: skip
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(study))
    return [
        sys.executable, "-m", "pose_rft", "ablate", str(tmp_path / "small.yaml"), "--poses",
        str(tmp_path / "poses.npz"), "--limit", "3", "--out", str(tmp_path / "runs"), "--results",
        str(tmp_path / "results"),
    ]  # fmt: skip


def run(command: list[str], *options: str) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, *options], cwd=ROOT, **pipes)


@pytest.mark.slow
def test_a_killed_comparison_goes_on_and_its_tables_come_from_the_files_alone(command, tmp_path):
    ours, results = tmp_path / "runs" / "ours-0", tmp_path / "results"
    process = run(command, "--only", "ours-0")
    while process.poll() is None and not list(ours.glob("checkpoint-*")):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert process.returncode == -9, "it was to be killed in the middle"
    assert not list(results.glob("*.json"))
    plan = (ours / "plan.json").read_text()

    process = run(command)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert (ours / "plan.json").read_text() == plan
    found = {path.stem: json.loads(path.read_text()) for path in results.glob("*.json")}
    assert found.keys() == {"ours-0", "sft-0", "start-like-ours-0"}
    times = [json.loads(line)["update"] for line in (ours / "times.jsonl").read_text().splitlines()]
    updates = 2 * found["ours-0"]["steps"]
    assert found["ours-0"]["steps"] == json.loads(plan)["steps"]
    assert sorted(set(times)) == list(range(1, updates + 1))
    assert times.count(1) == 1, "it went on from its checkpoint, and did not begin again"
    asked = {part: {len(values) for values in lists.values()} for part, lists in found["ours-0"]["per_prompt"].items()}
    assert asked == {"canonical dev": {3}, "canonical test": {3}, "captions": {3}}
    assert found["sft-0"]["seconds"] > 0
    ours_on_dev, start_on_dev = (found[f"{name}-0"]["figures"]["canonical dev"] for name in ("ours", "start-like-ours"))
    spread = ours_on_dev["sampled"]["diversity_mm"]
    assert start_on_dev["sampled"]["diversity_mm"] == pytest.approx(spread, rel=NEAR)

    process = run(command, "--table")
    tables, err = process.communicate()
    assert process.returncode == 0, err
    assert tables == (results / "tables.md").read_text() + "\n"
    assert out.endswith(tables)
    assert "| ours less | sft | start-like-ours |" in tables
