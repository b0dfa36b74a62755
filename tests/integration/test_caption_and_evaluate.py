"""pose-rft caption, check, evaluate, benchmarks, and what their --help says."""

import json

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.everyday import everyday_prompts
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.edits.comparisons import compare
from pose_rft.retrieval.model import RetrievalModel


def some_poses(frames: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.4, (frames, 22, 3)).astype(np.float32)


@pytest.mark.parametrize("kind", ["plain", "AMASS"])
def test_captions_are_true_of_their_poses(pose_rft, tmp_path, kind):
    pose = some_poses()
    wide = np.concatenate([pose.reshape(3, 66), np.zeros((3, 90), np.float32)], axis=1)
    np.savez(tmp_path / "poses.npz", **({"pose": pose} if kind == "plain" else {"poses": wide, "up": "y"}))
    outcome = pose_rft("caption", tmp_path / "poses.npz", "--out", tmp_path / "new" / "c.jsonl", "--captions", 2)
    assert outcome.status == 0, outcome.err
    assert f"Written to {tmp_path}/new/c.jsonl\n" in outcome.out  # in one piece, however narrow the terminal
    lines = [json.loads(line) for line in (tmp_path / "new" / "c.jsonl").read_text().splitlines()]
    assert [line["pose"] for line in lines] == [0, 0, 1, 1, 2, 2]
    joints = load_body().joints(torch.from_numpy(pose))
    for line in lines:
        assert line["text"]
        assert line["checks"]
        assert satisfied(line["checks"], joints[line["pose"]][None]).all()


def test_captions_of_a_seed_are_the_same_again(pose_rft, tmp_path):
    np.savez(tmp_path / "poses.npz", pose=some_poses(8))
    texts = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert pose_rft("caption", tmp_path / "poses.npz", "--out", tmp_path / name, "--seed", seed).status == 0
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1] != texts[2]


def test_two_files_of_poses_become_edit_instructions(pose_rft, tmp_path):
    before, after = some_poses(4)[:2], some_poses(4)[2:]
    np.savez(tmp_path / "a.npz", pose=before)
    np.savez(tmp_path / "b.npz", pose=after)
    outcome = pose_rft("caption", tmp_path / "a.npz", "--to", tmp_path / "b.npz", "--out", tmp_path / "edits.jsonl")
    assert outcome.status == 0, outcome.err
    lines = [json.loads(line) for line in (tmp_path / "edits.jsonl").read_text().splitlines()]
    assert [line["pose"] for line in lines] == [0, 0, 0, 1, 1, 1]
    source, target = (load_body().joints(torch.from_numpy(poses)) for poses in (before, after))
    for line in lines:
        row = slice(line["pose"], line["pose"] + 1)
        assert line["checks"] or line["changes"]
        assert satisfied(line["checks"], target[row]).all()
        assert compare(line["changes"], source[row], target[row]).all()


def test_what_generate_writes_can_be_captioned(pose_rft, trained_policy, tmp_path):
    assert pose_rft("generate", "wave", "--checkpoint", trained_policy, "--out", tmp_path, "--seed", 1).status == 0
    assert pose_rft("caption", tmp_path / "pose_00.npz", "--out", tmp_path / "c.jsonl").status == 0
    assert len((tmp_path / "c.jsonl").read_text().splitlines()) == 3


def test_check_says_which_statements_hold_and_what_was_not_understood(pose_rft, tmp_path):
    pose = np.zeros((2, 22, 3), np.float32)  # arms out as in a T, legs straight
    pose[1, 4, 0] = 2.0  # the left knee bent by 115 degrees: an angle of 65
    np.savez(tmp_path / "poses.npz", pose=pose)
    text = "A pirate with both arms spread like a T, the left knee bent and the right leg straight."
    outcome = pose_rft("check", text, tmp_path / "poses.npz")
    assert outcome.status == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0] == "left_knee.bent: angle(left_knee) < 150  holds for 1 of 2"
    assert lines[1] == "right_knee.straight: angle(right_knee) > 138  holds for 2 of 2"
    assert lines[2:4] == ["pose 0: 1 of 2 hold, not left_knee.bent", "pose 1: 2 of 2 hold"]
    assert lines[4].startswith("Understood: ")
    assert "pirate" in lines[4]


@pytest.mark.parametrize(
    ("text", "file", "says"),
    [("the moon", "poses.npz", "nothing in 'the moon'"), ("kneel", "none.npz", "no such file")],
)
def test_check_refuses_what_it_cannot_check(pose_rft, tmp_path, text, file, says):
    np.savez(tmp_path / "poses.npz", pose=some_poses())
    outcome = pose_rft("check", text, tmp_path / file)
    assert outcome.status == 2
    assert says in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_caption_holds_for_the_pose_it_was_made_of(pose_rft, tmp_path):
    np.savez(tmp_path / "poses.npz", pose=some_poses(1))
    assert pose_rft("caption", tmp_path / "poses.npz", "--out", tmp_path / "c.jsonl", "--captions", 3).status == 0
    for line in map(json.loads, (tmp_path / "c.jsonl").read_text().splitlines()):
        outcome = pose_rft("check", line["text"], tmp_path / "poses.npz")
        count = len(line["checks"])
        assert outcome.out.splitlines()[-2:] == [f"pose 0: {count} of {count} hold", "Understood: 100% of the words"]


def test_evaluate_prints_a_table_and_writes_what_it_says(pose_rft, trained_policy, tmp_path):
    arguments = ("everyday-prompts", "--checkpoint", trained_policy, "--limit", 5, "--num-samples", 2)
    outcome = pose_rft("evaluate", *arguments, "--out", tmp_path / "result.json")
    assert outcome.status == 0, outcome.err
    result = json.loads((tmp_path / "result.json").read_text())
    assert [row["prompt"] for row in result["rows"]] == [sample.prompt for sample in everyday_prompts("test")[:5]]
    met = np.mean([row["mean_pose"]["satisfaction"] for row in result["rows"]])
    assert result["mean_pose"]["satisfaction"]["mean"] == pytest.approx(met)
    assert f"{100 * met:.1f} %" in outcome.out
    assert "rest pose" in outcome.out


@pytest.mark.parametrize("model", ["reward", "judge"])
def test_poses_are_scored_against_a_text(pose_rft, tmp_path, model):
    np.savez(tmp_path / "poses.npz", pose=some_poses())
    text = "Both arms are raised."
    outcome = pose_rft("retrieval", "score", text, tmp_path / "poses.npz", "--model", model)
    assert outcome.status == 0, outcome.err
    expected = RetrievalModel.load(model).score([text] * 3, torch.from_numpy(some_poses())).tolist()
    assert outcome.out.splitlines() == [f"pose {row}  {score:+.3f}" for row, score in enumerate(expected)]
    assert (
        pose_rft("retrieval", "score", text, tmp_path / "poses.npz", "--model", model, "--out", tmp_path / "s").status
        == 0
    )
    lines = [json.loads(line) for line in (tmp_path / "s").read_text().splitlines()]
    assert [line["score"] for line in lines] == pytest.approx(expected, abs=1e-5)
    assert lines[2] | {"score": 0} == {"pose": 2, "text": text, "model": model, "score": 0}


def test_raised_arms_score_higher_than_hanging_ones(pose_rft, tmp_path):
    pose = np.zeros((2, 22, 3), np.float32)
    pose[0, 16:18, 2] = 1.4, -1.4  # from the T-pose up
    pose[1, 16:18, 2] = -1.3, 1.3
    np.savez(tmp_path / "poses.npz", pose=pose)
    for model in ("reward", "judge"):
        outcome = pose_rft(
            "retrieval", "score", "Both arms are raised overhead.", tmp_path / "poses.npz", "--model", model
        )
        up, down = (float(line.split()[-1]) for line in outcome.out.splitlines())
        assert up > down + 0.2


def test_evaluate_lets_the_judge_speak(pose_rft, trained_policy, tmp_path):
    arguments = ("everyday-prompts", "--checkpoint", trained_policy, "--limit", 3, "--num-samples", 2)
    assert pose_rft("evaluate", *arguments, "--out", tmp_path / "result.json").status == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert -1 <= result["mean_pose"]["judge_score"]["mean"] <= 1
    assert 0 <= result["judge"]["sampled"]["mean_recall"]["mean"] <= 1


def test_evaluate_draws_samples_at_the_temperature_that_is_asked(pose_rft, trained_policy, tmp_path):
    spread = {}
    for temperature in (0.1, 1):
        arguments = ("--checkpoint", trained_policy, "--limit", 3, "--temperature", temperature, "--best-of", 1)
        outcome = pose_rft("evaluate", "everyday-prompts", *arguments, "--out", tmp_path / "result.json")
        assert outcome.status == 0, outcome.err
        assert f"samples at temperature {temperature}," in " ".join(outcome.out.split())
        result = json.loads((tmp_path / "result.json").read_text())
        assert result["settings"]["temperature"] == temperature
        spread[temperature] = result["sampled"]["diversity_mm"]["mean"]
    assert spread[0.1] < spread[1] / 2


def test_the_splits_hold_other_prompts(pose_rft, trained_policy, tmp_path):
    prompts = {}
    for split in ("dev", "test"):
        arguments = ("--split", split, "--checkpoint", trained_policy, "--limit", 3, "--num-samples", 1)
        assert pose_rft("evaluate", "everyday-prompts", *arguments, "--out", tmp_path / "r.json").status == 0
        prompts[split] = {row["prompt"] for row in json.loads((tmp_path / "r.json").read_text())["rows"]}
    assert not prompts["dev"] & prompts["test"]


def test_benchmarks_are_listed_with_their_needs(pose_rft):
    outcome = pose_rft("benchmarks")
    assert outcome.status == 0
    for word in ("everyday-prompts", "captions", "--poses"):
        assert word in outcome.out


def test_the_version_is_the_package_s(pose_rft):
    from importlib.metadata import version

    assert pose_rft("--version").out == f"pose-rft {version('pose-rft')}\n"


@pytest.mark.parametrize("command", ["generate", "sft", "rft", "evaluate", "caption", "check"])
def test_help_shows_an_example(pose_rft, command):
    outcome = pose_rft(command, "--help")
    assert outcome.status == 0
    assert f"Example:  pose-rft {command} " in outcome.out


def test_results_of_evaluate_become_a_page_with_the_command_that_printed_them(pose_rft, tmp_path, trained_policy):
    line = {"prompt": "stand", "pose": np.zeros((22, 3)).tolist(), "checks": ["lean() < 20"]}
    (tmp_path / "mine.jsonl").write_text(json.dumps(line) + "\n")
    found, page = tmp_path / "found.json", tmp_path / "page.md"
    common = ("--checkpoint", trained_policy, "--best-of", 1, "--num-samples", 1, "--device", "cpu", "--out", found)
    outcome = pose_rft("evaluate", "--data", tmp_path / "mine.jsonl", "--protocol", "own-22", *common)
    assert outcome.status == 0, outcome.err
    outcome = pose_rft("results", found, "--out", page)
    assert outcome.status == 0, outcome.err
    text = page.read_text()
    assert f"| {trained_policy}, mean pose | one's own data (own-22) | 1 |" in text
    assert f"1. `pose-rft evaluate --data {tmp_path}/mine.jsonl --protocol own-22 --checkpoint {trained_policy}" in text


def test_a_protocol_without_data_and_models_that_none_reads_are_one_line(pose_rft, tmp_path):
    refused = pose_rft("evaluate", "canonical", "--protocol", "3dpw-14")
    assert (refused.status, "give --data FILE" in refused.err) == (2, True)
    refused = pose_rft("evaluate", "--data", "a.jsonl", "--protocol", "posescript-full", "--smpl", tmp_path)
    assert (refused.status, "--smpl: is read for a protocol that measures poses" in refused.err) == (2, True)
