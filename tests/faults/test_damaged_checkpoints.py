"""A damaged file of a checkpoint is one line that names it and the checkpoint to use instead; all stays as it is."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from pose_rft.errors import UserError
from pose_rft.policy import PosePolicy
from pose_rft.policy.checkpoint import read_policy_config
from pose_rft.run_checkpoints import read_state

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def rewrite(change):
    """A damage to a JSON file: ``change`` gets its document and gives another, or changes it in place."""

    def damage(path: Path) -> None:
        document = json.loads(path.read_text())
        path.write_text(json.dumps(change(document) or document))

    return damage


def tensors(change):
    def damage(path: Path) -> None:
        found = load_file(path)
        save_file(change(found), path)

    return damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def without_one(found):
    return dict(list(found.items())[1:])


def wider(found):
    return {name: torch.cat([value, value], -1) if value.ndim else value for name, value in found.items()}


def with_nan(found):
    return {name: value * float("nan") for name, value in found.items()}


def one_line_or_fine(read) -> None:
    message = ""
    try:
        read()
    except UserError as error:
        message = str(error)
    assert "\n" not in message


DAMAGES = {
    "state: no mapping": ("trainer_state.json", rewrite(lambda document: [1])),
    "state: unknown field": ("trainer_state.json", rewrite(lambda document: document | {"what": 1})),
    "state: step as text": ("trainer_state.json", rewrite(lambda document: document | {"global_step": "4"})),
    "state: another step": ("trainer_state.json", rewrite(lambda document: document | {"global_step": 10**9})),
    "state: no log": ("trainer_state.json", rewrite(lambda document: document | {"log_history": 5})),
    "state: log of texts": ("trainer_state.json", rewrite(lambda document: document | {"log_history": ["a"]})),
    "state: log without steps": ("trainer_state.json", rewrite(lambda document: document | {"log_history": [{}]})),
    "state: empty": ("trainer_state.json", lambda path: path.write_text("")),
    "state: missing": ("trainer_state.json", Path.unlink),
    "state: bytes": ("trainer_state.json", lambda path: path.write_bytes(b"\xff\xfe\x00")),
    "optimizer: no mapping": ("optimizer.json", rewrite(lambda document: [3])),
    "optimizer: no groups": ("optimizer.json", rewrite(lambda document: document.pop("groups") and None)),
    "optimizer: other groups": ("optimizer.json", rewrite(lambda document: document | {"groups": [{"params": [0]}]})),
    "optimizer: groups of numbers": ("optimizer.json", rewrite(lambda document: document | {"groups": [1, 2]})),
    "optimizer: numbers": ("optimizer.json", rewrite(lambda document: document | {"tensors": 3})),
    "optimizer: missing": ("optimizer.json", Path.unlink),
    "moments: cut": ("optimizer.safetensors", cut),
    "moments: lacking": ("optimizer.safetensors", tensors(without_one)),
    "moments: wider": ("optimizer.safetensors", tensors(wider)),
    "moments: empty": ("optimizer.safetensors", lambda path: path.write_bytes(b"")),
    "schedule: no mapping": ("scheduler.json", rewrite(lambda document: [0])),
    "schedule: text": ("scheduler.json", rewrite(lambda document: document | {"last_epoch": "x"})),
    "schedule: negative": ("scheduler.json", rewrite(lambda document: document | {"last_epoch": -3})),
    "random: no mapping": ("random_0.json", rewrite(lambda document: [0])),
    "random: short": ("random_0.json", rewrite(lambda document: document | {"torch": [1, 2]})),
    "random: texts": ("random_0.json", rewrite(lambda document: document | {"python": ["a", "b", "c"]})),
    "random: lacking": ("random_0.json", rewrite(lambda document: document.pop("numpy") and None)),
    "random: missing": ("random_0.json", Path.unlink),
    "policy: no mapping": ("policy.json", rewrite(lambda document: [0])),
    "head: lacking": ("head.safetensors", tensors(without_one)),
    "head: wider": ("head.safetensors", tensors(wider)),
    "head: NaN": ("head.safetensors", tensors(with_nan)),
    "head: missing": ("head.safetensors", Path.unlink),
    "adapter: cut": ("adapter_model.safetensors", cut),
    "adapter: lacking": ("adapter_model.safetensors", tensors(without_one)),
    "adapter: missing": ("adapter_model.safetensors", Path.unlink),
    "drafts: no texts": ("draft_answers.json", lambda path: path.write_text("[1, 2]")),
}


def test_every_damage_is_one_line_that_names_the_older_checkpoint(pose_rft, write_config, rft_fields, tmp_path):
    config = write_config("rft.yaml", rft_fields | {"output_dir": str(tmp_path / "run")})
    assert pose_rft("rft", config).status == 0
    last = tmp_path / "run" / "checkpoint-4"
    shutil.copytree(last, tmp_path / "good")
    for name, (file, damage) in DAMAGES.items():
        damage(last / file)
        before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
        outcome = pose_rft("rft", config, "--resume", "--hygrpo.steps", 6)
        lines = outcome.err.splitlines()
        assert outcome.status == 2, (name, outcome)
        assert len(lines) == 1, (name, lines)
        assert file in lines[0] or "policy checkpoint" in lines[0], (name, lines)
        assert "move checkpoint-4 away to go on from checkpoint-2" in lines[0], (name, lines)
        after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
        assert after == before, name
        shutil.rmtree(last)
        shutil.copytree(tmp_path / "good", last)
    shutil.move(last, tmp_path / "damaged")
    assert pose_rft("rft", config, "--resume").status == 0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(document=JSON, field=st.sampled_from(["backbone", "layer", "head", "lora", "encoder", "image_head", None]))
def test_a_policy_description_of_whatever_json_is_read_or_refused(tmp_path, trained_policy, document, field):
    good = json.loads((trained_policy / "policy.json").read_text())
    (tmp_path / "policy.json").write_text(json.dumps(document if field is None else good | {field: document}))
    one_line_or_fine(lambda: read_policy_config(tmp_path))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(document=JSON, field=st.sampled_from(["global_step", "log_history", "epoch", "stateful_callbacks", None]))
def test_a_trainer_state_of_whatever_json_is_read_or_refused(tmp_path, document, field):
    folder = tmp_path / "checkpoint-4"
    folder.mkdir(exist_ok=True)
    whole = {"global_step": 4} | ({} if field is None else {field: document})
    (folder / "trainer_state.json").write_text(json.dumps(document if field is None else whole))
    one_line_or_fine(lambda: read_state(folder))


def test_a_checkpoint_that_lacks_a_field_is_not_read_with_its_default(tmp_path, trained_policy):
    shutil.copytree(trained_policy, tmp_path / "policy")
    document = json.loads((trained_policy / "policy.json").read_text())
    for field in ("layer", "head", "lora"):
        (tmp_path / "policy" / "policy.json").write_text(
            json.dumps({name: value for name, value in document.items() if name != field})
        )
        with pytest.raises(UserError, match=f"{field} is missing"):
            PosePolicy.from_pretrained(tmp_path / "policy")
