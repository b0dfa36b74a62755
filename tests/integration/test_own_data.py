"""From a file of one's own to a policy and its figures, on the command line alone."""

import json

import numpy as np
import pytest
import yaml

from tests.data.published_sets import write_posescript


@pytest.fixture
def poses(tmp_path):
    poses = np.random.default_rng(0).normal(0, 0.25, (8, 22, 3)).astype(np.float32)
    np.savez(tmp_path / "poses.npz", pose=poses, sequence=np.array(["014_01"] * 5 + ["002_01"] * 3))
    return tmp_path / "poses.npz"


def test_from_poses_to_a_trained_policy_and_its_figures(pose_rft, poses, rft_fields, tiny_backbone, tmp_path):
    pairs, sheet = tmp_path / "pairs.jsonl", tmp_path / "sheet.png"
    outcome = pose_rft("data", "caption", poses, "--out", pairs, "--captions", 2)
    assert outcome.status == 0, outcome.err
    assert "16 pairs written" in outcome.out
    outcome = pose_rft("data", "check", pairs, "--picture", sheet)
    assert outcome.status == 0
    assert "16 with a pose, 0 with an image" in outcome.out
    assert sheet.stat().st_size > 10_000

    fields = {
        "policy": {
            "backbone": tiny_backbone, "layer": 2,
            "head": {"width": 32, "depth": 1, "heads": 4, "rank": 2}, "lora": {"rank": 2},
        },
        "output_dir": str(tmp_path / "sft"),
        "data": {"sources": [{"path": str(pairs)}]},
        "head": {"steps": 3, "batch_size": 4},
        "joint": {"steps": 3, "batch_size": 4},
        "loop": {"row_tokens": 256},
        "device": "cpu",
    }  # fmt: skip
    (tmp_path / "sft.yaml").write_text(yaml.safe_dump(fields))
    outcome = pose_rft("sft", tmp_path / "sft.yaml", "--smoke")
    assert outcome.status == 0, outcome.err
    outcome = pose_rft("sft", tmp_path / "sft.yaml")
    assert outcome.status == 0, outcome.err
    rft = rft_fields | {"data": {}, "output_dir": str(tmp_path / "rft"), "policy": str(tmp_path / "sft" / "policy")}
    (tmp_path / "rft.yaml").write_text(yaml.safe_dump(rft))
    sources = json.dumps([{"path": str(pairs), "weight": 2}])
    outcome = pose_rft("rft", tmp_path / "rft.yaml", "--data.sources", sources)
    assert outcome.status == 0, outcome.err
    result = tmp_path / "result.json"
    outcome = pose_rft(
        "evaluate", "--data", pairs, "--checkpoint", tmp_path / "rft" / "policy", "--num-samples", 1, "--out", result
    )
    assert outcome.status == 0, outcome.err
    assert json.loads(result.read_text())["prompts"] == 6  # two captions of each pose of subject 2


def test_check_names_broken_lines_counts_the_rest_and_leaves_with_status_2(pose_rft, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "good", "answer": "Yes."}\n' + '{"promt": "bad"}\n' * 25)
    outcome = pose_rft("data", "check", path)
    assert outcome.status == 2
    named = [line for line in outcome.out.splitlines() if "prompt: is missing" in line]
    assert [line.split(": ")[0] for line in named] == [f"{path}, line {number}" for number in range(2, 22)]
    assert outcome.err.strip() == (
        f"error: {path}: 25 of 26 lines are broken, of which the first 20 are named above; mend them or leave them out"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "check", "none.jsonl"], "none.jsonl: cannot be read (No such file or directory)"),
        (["data", "caption", "none.npz", "--out", "x.jsonl"], "none.npz: no such file"),
        (["evaluate"], "give the name of a benchmark"),
        (["evaluate", "captions", "--data", "pairs.jsonl"], "give the name of a benchmark"),
    ],
)
def test_mistakes_are_one_line_and_status_2(pose_rft, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    outcome = pose_rft(*arguments)
    assert outcome.status == 2
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_check_of_a_published_set_says_what_is_there_and_what_is_missing(pose_rft, tmp_path):
    write_posescript(tmp_path)
    outcome = pose_rft("data", "check", "posescript", tmp_path)
    assert outcome.status == 0, outcome.err
    for said in ("licence: CC BY-NC-SA 4.0", "test_ids_100k.json (ids of test): 1 found", "3 with a pose"):
        assert said in outcome.out
    (tmp_path / "posescript_release" / "test_ids_100k.json").unlink()
    outcome = pose_rft("data", "check", "posescript", tmp_path)
    assert outcome.status == 2
    assert "test_ids_100k.json (ids of test): MISSING" in outcome.out
    assert "holds no **/test_ids_100k.json" in outcome.err
