"""The script that mixes the weights of two policies."""

import runpy
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

SCRIPT = Path(__file__).parents[2] / "scripts" / "interpolate_weights.py"


def test_half_way_is_the_mean_and_what_is_equal_stays_bit_for_bit(tmp_path, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    equal = torch.randn(1000, generator=generator) * 1e-6  # float16 has few bits for numbers as small
    for name, dtype, moved in (("start", torch.float16, 0.0), ("end", torch.float32, 1.0)):
        (tmp_path / name).mkdir()
        weights = {"equal": equal.half().to(dtype), "moved": torch.full((3,), moved, dtype=dtype)}
        save_file(weights, tmp_path / name / "head.safetensors")
        (tmp_path / name / "policy.json").write_text(name)
    monkeypatch.setattr(
        sys, "argv", ["interpolate_weights.py", *(str(tmp_path / name) for name in ("start", "end", "out"))]
    )
    runpy.run_path(str(SCRIPT), run_name="__main__")
    mixed = load_file(tmp_path / "out" / "head.safetensors")
    assert torch.equal(mixed["equal"], equal.half().float())
    assert mixed["moved"].tolist() == [0.5] * 3
    assert (tmp_path / "out" / "policy.json").read_text() == "end"
