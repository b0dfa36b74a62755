"""pose-rft sft and rft: from YAML to a policy, overrides, resuming, and a run that is killed."""

import itertools
import random
import re
import shutil
import signal
import time

import pytest
import torch
from safetensors.torch import load_file

from pose_rft.policy import PosePolicy

from .conftest import DATA, as_users_do


def weights(policy_directory) -> dict[str, torch.Tensor]:
    files = sorted(policy_directory.glob("*.safetensors"))
    assert len(files) == 2
    return {f"{file.name}:{name}": tensor for file in files for name, tensor in load_file(file).items()}


def phrase_fits(run_directory) -> list[str]:
    """The rows of the table of a run's page that says how phrases of its training are done."""
    page = (run_directory / "report.html").read_text()
    _, found, rest = page.partition("<h2>Phrases of its training</h2>")
    return re.findall(r"<tr><td>.*?</tr>", rest.partition("</table>")[0]) if found else []


def assert_same_weights(one, other) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


@pytest.fixture
def sft_config(write_config, tiny_backbone, tmp_path):
    return write_config(
        "sft.yaml",
        {
            "policy": {
                "backbone": tiny_backbone, "layer": 2,
                "head": {"width": 32, "depth": 1, "heads": 4, "rank": 2}, "lora": {"rank": 2},
            },
            "output_dir": str(tmp_path / "sft"),
            "data": DATA,
            "head": {"samples": 16, "steps": 4, "batch_size": 4},
            "joint": {"samples": 16, "steps": 4, "batch_size": 4},
            "loop": {"save_steps": 2, "row_tokens": 256, "logging_steps": 1},
            "device": "cpu",
        },
    )  # fmt: skip


@pytest.fixture
def rft_config(write_config, rft_fields, tmp_path):
    return write_config("rft.yaml", rft_fields | {"output_dir": str(tmp_path / "rft")})


def test_sft_follows_the_file_and_the_overrides_and_rft_takes_its_policy(pose_rft, sft_config, rft_config, tmp_path):
    outcome = pose_rft("sft", sft_config, "--joint.steps", 3, "--loop.save-steps=3")
    assert outcome.status == 0, outcome.err
    checkpoints = sorted(path.name for path in (tmp_path / "sft").rglob("checkpoint-*"))
    assert checkpoints == ["checkpoint-3", "checkpoint-3", "checkpoint-4"]  # nothing overrides the head's 4 steps
    policy = tmp_path / "sft" / "policy"
    assert str(policy) in outcome.out
    assert "Pose: joint error" in (tmp_path / "sft" / "report.html").read_text()
    assert pose_rft("rft", rft_config, "--policy", policy, "--hygrpo.steps=2").status == 0
    trained = tmp_path / "rft" / "policy"
    assert pose_rft("generate", "wave", "--checkpoint", trained, "--out", tmp_path / "o").status == 0


def test_rft_changes_the_policy_and_shows_the_rewards(pose_rft, rft_config, trained_policy, tmp_path):
    outcome = pose_rft("rft", rft_config)
    assert outcome.status == 0, outcome.err
    assert "posecodes 0." in outcome.out
    page = (tmp_path / "rft" / "report.html").read_text()
    assert "Reward: posecodes" in page
    assert "data:image/png;base64," in page  # the pose timeline
    said = [line.split(": ")[0] for line in outcome.err.splitlines() if "training phrases: " in line]
    assert said == ["At the start", "At the end"]
    assert [row[8:].partition("<")[0] for row in phrase_fits(tmp_path / "rft")] == said
    after, before = weights(tmp_path / "rft" / "policy"), weights(trained_policy)
    assert {name.partition(":")[0] for name in before if not torch.equal(after[name], before[name])} == {
        "adapter_model.safetensors",
        "head.safetensors",
    }


def test_an_opening_phase_alone_trains_the_pose_head_and_leaves_the_words(
    pose_rft, rft_config, trained_policy, tmp_path
):
    outcome = pose_rft("rft", rft_config, "--hygrpo.steps", 0, "--pose_phase.steps", 2)
    assert outcome.status == 0, outcome.err
    after, before = weights(tmp_path / "rft" / "policy"), weights(trained_policy)
    changed = {name.partition(":")[0] for name in before if not torch.equal(after[name], before[name])}
    assert changed == {"head.safetensors"}


@pytest.mark.parametrize("stage", ["sft", "rft"])
def test_a_run_is_neither_overwritten_nor_resumed_from_nothing(pose_rft, sft_config, rft_config, tmp_path, stage):
    config = {"sft": sft_config, "rft": rft_config}[stage]
    outcome = pose_rft(stage, config, "--resume")
    assert (outcome.status, outcome.out) == (2, "")
    assert "no checkpoint to resume from" in outcome.err
    assert pose_rft(stage, config).status == 0
    before = {path: path.read_bytes() for path in (tmp_path / stage).rglob("*") if path.is_file()}
    outcome = pose_rft(stage, config)
    assert outcome.status == 2
    assert "holds a run already; go on with --resume" in outcome.err
    assert {path: path.read_bytes() for path in (tmp_path / stage).rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("stage", ["sft", "rft"])
def test_resuming_a_finished_run_changes_nothing(pose_rft, sft_config, rft_config, tmp_path, stage):
    config = {"sft": sft_config, "rft": rft_config}[stage]
    assert pose_rft(stage, config).status == 0
    shutil.move(tmp_path / stage / "policy", tmp_path / "whole")
    fits = phrase_fits(tmp_path / stage)
    outcome = pose_rft(stage, config, "--resume")
    assert outcome.status == 0, outcome.err
    assert_same_weights(tmp_path / "whole", tmp_path / stage / "policy")
    assert phrase_fits(tmp_path / stage) == fits
    assert len(fits) == 2


def test_sft_killed_between_its_phases_ends_with_the_same_weights(pose_rft, sft_config, tmp_path):
    assert pose_rft("sft", sft_config).status == 0
    shutil.move(tmp_path / "sft" / "policy", tmp_path / "whole")
    shutil.rmtree(tmp_path / "sft" / "joint")
    fits = phrase_fits(tmp_path / "sft")
    outcome = pose_rft("sft", sft_config, "--resume")
    assert outcome.status == 0, outcome.err
    assert_same_weights(tmp_path / "whole", tmp_path / "sft" / "policy")
    assert phrase_fits(tmp_path / "sft") == fits


def test_a_run_that_draws_no_phrases_says_nothing_of_them(pose_rft, rft_config, tmp_path):
    captions = ["--data", "{captions_procedural: 1, concept_poses: 2}", "--data.phrases", 0]
    others = [
        word
        for name in ("captions_mocap", "compositions", "wordings", "clips", "chat")
        for word in (f"--data.{name}", 0)
    ]
    outcome = pose_rft("rft", rft_config, *captions, *others, "--hygrpo.steps", 1)
    assert outcome.status == 0, outcome.err
    assert "training phrases" not in outcome.err
    assert phrase_fits(tmp_path / "rft") == []


@pytest.mark.slow
def test_a_killed_run_that_is_resumed_ends_with_the_weights_of_an_unbroken_one(pose_rft, rft_config, tmp_path):
    long = ["--hygrpo.steps", 40, "--hygrpo.save_steps", 3]
    killed = as_users_do("rft", rft_config, *long, "--output_dir", tmp_path / "killed", cwd=tmp_path)
    for _ in itertools.takewhile(lambda _: killed.poll() is None, range(6_000)):
        if any((tmp_path / "killed").glob("checkpoint-*")):
            break
        time.sleep(0.05)
    time.sleep(random.uniform(0, 0.6))  # anywhere: between steps, in one, or while a checkpoint is written
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL, killed.communicate()[1]
    assert not (tmp_path / "killed" / "policy").exists()
    resumed = as_users_do("rft", rft_config, *long, "--output_dir", tmp_path / "killed", "--resume", cwd=tmp_path)
    assert pose_rft("rft", rft_config, *long, "--output_dir", tmp_path / "whole").status == 0
    _, errors = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, errors
    assert_same_weights(tmp_path / "whole" / "policy", tmp_path / "killed" / "policy")
    assert PosePolicy.from_pretrained(tmp_path / "killed" / "policy").generate(["wave"])[0][0].text
