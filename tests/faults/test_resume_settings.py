"""Settings changed with --resume: what may change takes effect and is said, what may not is refused in one line."""

import dataclasses
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from pose_rft.runs.rft import RftConfig
from pose_rft.runs.sft import SftConfig

PHASES = {"pose_phase": {"steps": 2, "prompts_per_step": 4}}


@pytest.fixture
def config(write_config, rft_fields, tmp_path):
    """Of a run of 2 steps of the pose head, then 4 steps of all, with checkpoints at 2 and 4."""
    return write_config("rft.yaml", rft_fields | PHASES | {"output_dir": str(tmp_path / "run")})


@pytest.fixture
def interrupted(pose_rft, config, tmp_path):
    """The directory of a run that was interrupted behind step 2 of its main phase."""
    assert pose_rft("rft", config).status == 0
    run = tmp_path / "run"
    shutil.rmtree(run / "checkpoint-4")
    shutil.rmtree(run / "policy")
    return run


@pytest.mark.parametrize("kind", [RftConfig, SftConfig])
def test_every_field_that_cannot_change_exists(kind):
    for name in kind.FIXED:
        config = kind()
        for part in name.split("."):
            assert part in {field.name for field in dataclasses.fields(config)}, name
            config = getattr(config, part)


def test_what_may_change_takes_effect_and_is_said_in_one_line(pose_rft, config, interrupted):
    changes = [
        "--hygrpo.learning_rate", "1e-5", "--hygrpo.steps", 5, "--hygrpo.save_steps", 1,
        "--hygrpo.schedule", "constant", "--rewards", "[posecodes]", "--hygrpo.max_grad_norm", 0.5,
        "--pose_timeline.every", 0,
    ]  # fmt: skip
    outcome = pose_rft("rft", config, "--resume", *changes)
    assert outcome.status == 0, outcome.err
    [said] = [line for line in outcome.err.splitlines() if line.startswith("Changed")]
    assert said.startswith("Changed from step 2 of hygrpo on: ")
    assert "hygrpo.learning_rate 1e-05 (was 0.001)" in said
    assert 'rewards ["posecodes"] (was ["format", "posecodes"])' in said
    checkpoints = sorted(path.name for path in interrupted.glob("checkpoint-*"))
    assert checkpoints == ["checkpoint-4", "checkpoint-5"]  # every step, of which two are kept
    groups = json.loads((interrupted / "checkpoint-5" / "optimizer.json").read_text())["groups"]
    assert [group["lr"] for group in groups] == pytest.approx([1e-5 * 5 / 5] * len(groups))
    log = json.loads((interrupted / "checkpoint-5" / "trainer_state.json").read_text())["log_history"]
    rates = {entry["step"]: entry["learning_rate"] for entry in log if "learning_rate" in entry}
    assert rates[2] > 1e-4
    assert max(rates[step] for step in (3, 4, 5)) <= 1e-5
    assert "hygrpo.learning_rate" in (interrupted / "report.html").read_text()


def test_a_changed_learning_rate_moves_the_weights_by_less(pose_rft, config, interrupted):
    shutil.copytree(interrupted, interrupted.with_name("other"))
    before = load_file(interrupted / "checkpoint-2" / "head.safetensors")

    def moved(folder, *changes) -> float:
        outcome = pose_rft("rft", config, "--resume", "--output_dir", folder, *changes)
        assert outcome.status == 0, outcome.err
        after = load_file(folder / "policy" / "head.safetensors")
        return max((after[name] - before[name]).abs().max().item() for name in before)

    assert moved(interrupted, "--hygrpo.learning_rate", "1e-9") < 1e-7
    assert moved(interrupted.with_name("other")) > 1e-5


def test_resuming_without_changes_says_nothing(pose_rft, config, interrupted):
    outcome = pose_rft("rft", config, "--resume")
    assert outcome.status == 0
    assert "Changed" not in outcome.err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("--policy default", "policy was"),
        ("--hygrpo.seed 1", "hygrpo.seed was 0 and is now 1, which cannot be changed while a run goes on"),
        ("--data.concept_poses 3", "data.concept_poses was 2 and is now 3"),
        ("--prompts 13", "prompts was 12 and is now 13"),
        ("--hygrpo.prompts_per_step 3", "hygrpo.prompts_per_step was 2 and is now 3"),
        ("--hygrpo.updates_per_rollout 2", "hygrpo.updates_per_rollout was 1 and is now 2"),
        (
            "--pose_phase.steps 3",
            "pose_phase.steps was 2 and is now 3, which cannot be changed any more: pose_phase is",
        ),
        ("--pose_phase.learning_rate 0.1", "pose_phase is over"),
        ("--pose_phase.prompts_per_step 3", "pose_phase.prompts_per_step was 4 and is now 3"),
        ("--hygrpo.steps 1", "hygrpo.steps was 4 and is now 1, but 2 steps are done; set it to at least 2"),
        ("--hygrpo.steps 0", "hygrpo.steps was 4 and is now 0, which cannot be changed from or to 0"),
    ],
)
def test_what_may_not_change_is_refused_in_one_line_and_nothing_changes(
    pose_rft, config, interrupted, changes, message
):
    before = {path: path.read_bytes() for path in interrupted.rglob("*") if path.is_file()}
    outcome = pose_rft("rft", config, "--resume", *changes.split(" "))
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1, outcome.err
    assert message in outcome.err
    assert {path: path.read_bytes() for path in interrupted.rglob("*") if path.is_file()} == before


def test_a_directory_may_move(pose_rft, config, interrupted, tmp_path):
    interrupted.rename(tmp_path / "moved")
    assert pose_rft("rft", config, "--resume", "--output_dir", tmp_path / "moved").status == 0


def test_a_damaged_record_is_named_and_can_be_done_without(pose_rft, config, interrupted):
    for content in ("", "[]", '{"config": 3, "changes": [], "samples": null}', "{", '{"config": {}}'):
        (interrupted / "run.json").write_text(content)
        outcome = pose_rft("rft", config, "--resume")
        assert outcome.status == 2
        assert outcome.err.count("\n") == 1
        assert "run.json: cannot be read" in outcome.err
    (interrupted / "run.json").unlink()
    assert pose_rft("rft", config, "--resume").status == 0


def test_samples_of_another_origin_are_refused(pose_rft, config, interrupted):
    record = json.loads((interrupted / "run.json").read_text())
    (interrupted / "run.json").write_text(json.dumps(record | {"samples": "0" * 64}))
    outcome = pose_rft("rft", config, "--resume")
    assert outcome.status == 2
    assert "began with other samples" in outcome.err


def test_a_run_that_is_over_says_that_a_change_has_no_effect(pose_rft, config, tmp_path):
    assert pose_rft("rft", config).status == 0
    outcome = pose_rft("rft", config, "--resume", "--hygrpo.learning_rate", "1e-5")
    assert outcome.status == 0
    assert "all steps are done, so that it changes nothing" in outcome.err


def test_sft_phases_take_a_new_rate_and_keep_their_batches(pose_rft, write_config, tiny_backbone, tmp_path):
    from tests.integration.conftest import DATA

    config = write_config(
        "sft.yaml",
        {
            "policy": {"backbone": tiny_backbone, "layer": 2, "lora": {"rank": 2},
                       "head": {"width": 32, "depth": 1, "heads": 4, "rank": 2}},
            "output_dir": str(tmp_path / "sft"), "data": DATA, "device": "cpu",
            "head": {"samples": 16, "steps": 4, "batch_size": 4}, "joint": {"samples": 16, "steps": 4, "batch_size": 4},
            "loop": {"save_steps": 2, "row_tokens": 256, "logging_steps": 1},
        },
    )  # fmt: skip
    assert pose_rft("sft", config).status == 0
    shutil.rmtree(tmp_path / "sft" / "joint" / "checkpoint-4")
    for changes, message in [
        (["--joint.batch_size", 2], "joint.batch_size was 4 and is now 2"),
        (["--head.learning_rate", 0.1], "head is over"),
        (["--start", "default"], "sft"),
        (["--loop.seed", 3], "loop.seed was 0"),
        (["--attributes.steps", 2], "attributes"),
    ]:
        outcome = pose_rft("sft", config, "--resume", *changes)
        assert outcome.status == 2
        assert message in outcome.err
    outcome = pose_rft("sft", config, "--resume", "--joint.learning_rate", "1e-7", "--joint.weight_decay", 0.5)
    assert outcome.status == 0, outcome.err
    groups = json.loads((tmp_path / "sft" / "joint" / "checkpoint-4" / "optimizer.json").read_text())["groups"]
    assert {group["weight_decay"] for group in groups} == {0.0, 0.5}
    assert max(group["lr"] for group in groups) <= 1e-7
    assert torch.isfinite(load_file(tmp_path / "sft" / "policy" / "head.safetensors")["queries"]).all()
