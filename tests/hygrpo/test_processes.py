"""Two processes make the update of one with the same batch, and resume exactly."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pose_rft.errors import UserError
from pose_rft.policy import PosePolicy
from pose_rft.runs.run import join_processes

SCRIPT = Path(__file__).parent / "train_everywhere.py"


def train(processes: int, *arguments: str | Path) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *launcher, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-8000:]


def weights(policy: Path) -> dict[str, torch.Tensor]:
    """All trained weights, but the biases of attention keys: softmax ignores them, so their steps are rounding."""
    loaded = load_file(policy / "head.safetensors") | load_file(policy / "adapter_model.safetensors")
    for name, value in loaded.items():
        if name.endswith("in_proj_bias"):
            value[len(value) // 3 : 2 * len(value) // 3] = 0
    return loaded


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> float:
    return max((after[name] - before[name]).abs().max().item() for name in before)


def assert_same(weights: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], atol: float, rtol: float) -> None:
    for name, value in expected.items():
        difference = (weights[name] - value).abs() - rtol * value.abs()
        assert difference.max() < atol, f"{name} differs by {difference.max().item()}"


@pytest.fixture(scope="module")
def supervised(tiny_backbone, tmp_path_factory) -> Path:
    """The policy of a supervised run of one process."""
    output = tmp_path_factory.mktemp("alone") / "sft"
    train(1, "sft", tiny_backbone, output)
    return output / "policy"


@pytest.mark.slow
def test_supervised_training_on_two_processes_is_that_of_one(supervised, tiny_backbone, tmp_path):
    train(2, "sft", tiny_backbone, tmp_path / "two")
    alone, together = weights(supervised), weights(tmp_path / "two" / "policy")
    assert PosePolicy.from_pretrained(supervised, dtype=torch.float32).head.action_mean.abs().sum() > 0
    assert_same(together, alone, atol=2e-5, rtol=1e-4)


@pytest.mark.slow
def test_reinforcement_on_two_processes_is_that_of_one_and_resumes_exactly(supervised, tmp_path):
    train(1, "rft", supervised, tmp_path / "one")
    train(2, "rft", supervised, tmp_path / "two")
    start, alone, together = weights(supervised), weights(tmp_path / "one/policy"), weights(tmp_path / "two/policy")
    assert moved(start, alone) > 1e-3
    assert_same(together, alone, atol=5e-5, rtol=1e-3)

    # Killed after the fourth of eight updates: what was written later is gone.
    shutil.copytree(tmp_path / "two", tmp_path / "killed")
    shutil.rmtree(tmp_path / "killed" / "policy")
    newest = sorted((tmp_path / "killed").glob("checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]))
    assert len(newest) == 2
    shutil.rmtree(newest[-1])
    train(2, "rft", supervised, tmp_path / "killed", "--resume")
    resumed = weights(tmp_path / "killed" / "policy")
    assert all(torch.equal(resumed[name], value) for name, value in together.items())


@pytest.mark.slow
def test_processes_that_share_out_the_language_model_make_the_update_of_one(supervised, tmp_path):
    train(1, "rft", supervised, tmp_path / "one", "--unmerged")
    train(2, "rft", supervised, tmp_path / "two", "--shard")
    start, alone, together = weights(supervised), weights(tmp_path / "one/policy"), weights(tmp_path / "two/policy")
    assert moved(start, alone) > 1e-3
    assert_same(together, alone, atol=5e-5, rtol=1e-3)


def test_one_process_has_nobody_to_share_a_language_model_with(tiny_backbone):
    with pytest.raises(UserError, match=r"shard: one process .* set shard: false"):
        PosePolicy.from_pretrained(tiny_backbone, shard=True)


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED"])
def test_a_launch_that_would_wrap_the_model_is_one_line(kind, monkeypatch):
    monkeypatch.setenv(f"ACCELERATE_USE_{kind}", "true")
    with pytest.raises(UserError, match=f"{kind} is not supported; start plain processes") as caught:
        join_processes("cpu")
    assert "\n" not in str(caught.value)
