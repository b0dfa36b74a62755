"""--dry-run: what is counted, what is missing, and estimates beside steps that were measured."""

import json

import pytest
import yaml

from pose_rft.config import read_config
from pose_rft.runs.dry_run import dry_run
from pose_rft.runs.estimate import FLOAT32, Rates, Sizes, Step, memory, seconds
from pose_rft.runs.sft import SftConfig
from tests.integration.conftest import pose_rft

__all__ = ["pose_rft"]  # a fixture

# Qwen2.5-7B's shape with adapters of rank 16, and what was measured of it on an H200 (docs/results/performance.md).
LAYERS, HIDDEN, KV, MLP, VOCABULARY, RANK = 28, 3584, 512, 18944, 152064, 16
LAYER = HIDDEN * (2 * HIDDEN + 2 * KV + 3 * MLP)
ADAPTERS = LAYERS * RANK * (2 * (HIDDEN + HIDDEN) + 2 * (HIDDEN + KV) + 3 * (HIDDEN + MLP))
SEVEN_B = Sizes(
    layers=LAYERS, hidden=HIDDEN, mlp=MLP, vocabulary=VOCABULARY, kv=KV, product_weights=LAYERS * LAYER,
    output_weights=VOCABULARY * HIDDEN, frozen_bytes=2 * (LAYERS * LAYER + 2 * VOCABULARY * HIDDEN), trained=ADAPTERS,
    item=2,
)  # fmt: skip
H200 = Rates(products=665e12, copies=4210e9)


@pytest.mark.parametrize(
    ("prompt", "prompts", "peak", "step"), [(64, 16, 37.5, 0.792), (320, 6, 33.1, 0.658), (640, 4, 35.6, 0.759)]
)
def test_estimates_are_near_what_was_measured(prompt, prompts, peak, step):
    measured = Step(prompts, prompt, answers=8, answer_tokens=16, samples=True)
    assert memory(SEVEN_B, measured)["peak"] / 2**30 == pytest.approx(peak, rel=0.06)
    assert seconds(SEVEN_B, measured, H200)["step"] == pytest.approx(step, rel=0.2)


def test_a_supervised_step_neither_samples_nor_has_a_reference():
    step = Step(4, 100, answers=1, answer_tokens=10, samples=False)
    parts = memory(SEVEN_B, step)
    assert set(parts) == {"weights", "gradients", "optimiser", "activations", "peak"}
    assert parts["optimiser"] == 2 * FLOAT32 * ADAPTERS
    assert set(seconds(SEVEN_B, step, H200)) == {"update", "step"}


def test_a_shared_prompt_is_counted_once():
    assert Step(2, 100, answers=8, answer_tokens=5, samples=True).tokens == 2 * (100 + 8 * 5)


# ---- the command ----


@pytest.fixture
def config(tmp_path, monkeypatch, tiny_backbone):
    """``config(**fields)`` writes one of a supervised run into an empty working directory."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def write(**fields):
        path = tmp_path / "config.yaml"
        settings = {"policy": {"backbone": tiny_backbone, "lora": {"rank": 2}}, "device": "cpu", **fields}
        path.write_text(yaml.safe_dump(settings))
        return path

    return write


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(config, pose_rft, tmp_path):
    done = pose_rft("sft", config(), "--dry-run")
    assert done.status == 0, done.err
    assert "builtin" in done.out
    assert "joint: 300 steps" in done.out
    assert "memory at most" in done.out
    assert "hours" in done.out
    assert list((tmp_path / "here").iterdir()) == []


def test_a_step_is_shared_out_among_as_many_processes_as_torchrun_would_start(config, tmp_path, monkeypatch):
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"prompt": "hello", "answer": "Hi."}) + "\n")
    settings = read_config(SftConfig, config(data={"sources": [{"path": str(tmp_path / "pairs.jsonl")}]}))
    alone = dry_run(settings, measure=lambda device: H200)
    monkeypatch.setenv("WORLD_SIZE", "8")
    shared = dry_run(settings, measure=lambda device: H200)
    assert shared.phases["joint"]["tokens"] == alone.phases["joint"]["tokens"] / 8  # a batch of 64
    assert shared.phases["joint"]["memory"]["weights"] == alone.phases["joint"]["memory"]["weights"]


def test_missing_data_are_a_line_each_and_status_2(config, pose_rft):
    sources = [{"path": "one.jsonl"}, {"path": "two.jsonl"}]
    done = pose_rft("sft", config(data={"sources": sources}), "--dry-run")
    assert done.status == 2
    assert "wrong: one.jsonl: " in done.out
    assert "wrong: two.jsonl: " in done.out
    assert "2 things are wrong" in done.err
    assert "memory at most" in done.out  # what can be said is said


def test_a_model_that_is_not_here_is_not_downloaded_and_no_mistake(config, pose_rft):
    done = pose_rft("sft", config(policy={"backbone": "nobody/nothing", "encoder": "nobody/else"}), "--dry-run")
    assert done.status == 0, done.err
    assert "not seen: backbone 'nobody/nothing'" in done.out
    assert "cannot be estimated" in done.out


def test_a_policy_that_an_earlier_stage_has_still_to_write_is_no_mistake(pose_rft, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("policy: runs/first/policy\ndevice: cpu\n")
    done = pose_rft("rft", "config.yaml", "--dry-run")
    assert done.status == 0, done.err
    assert "not seen: checkpoint runs/first/policy" in done.out


def test_a_setting_that_does_not_fit_the_model_is_one(config, pose_rft, tiny_backbone):
    done = pose_rft("sft", config(policy={"backbone": tiny_backbone, "layer": 9}), "--dry-run")
    assert done.status == 2
    assert "layer 9" in done.out
