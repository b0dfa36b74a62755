"""What users get wrong ends with one line that says what, where and what to do, status 2, and nothing is changed."""

import json
import pickle
import shutil
import signal
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from .conftest import as_users_do


@pytest.fixture
def place(tmp_path, trained_policy, rft_fields, write_config, byte_tokenizer):
    """A folder with a good config, earlier results and all kinds of broken files; ``place / name`` is a path."""
    write_config("rft.yaml", rft_fields | {"output_dir": str(tmp_path / "run")})
    write_config("sft.yaml", {"output_dir": str(tmp_path / "run"), "device": "cpu"})
    (tmp_path / "bad.yaml").write_text("a: [1, 2\nb: }")
    (tmp_path / "part.yaml").write_text("data: {part: both}")
    (tmp_path / "list.yaml").write_text("- 1\n- 2\n")
    (tmp_path / "result.json").write_text("earlier result")
    (tmp_path / "notes.txt").write_text("no numbers")
    np.savez(tmp_path / "good.npz", pose=np.zeros((2, 22, 3), np.float32))
    np.savez(tmp_path / "one.npz", pose=np.zeros((1, 22, 3), np.float32))
    np.savez(tmp_path / "wrong.npz", pose=np.zeros((2, 20, 3), np.float32))
    np.savez(tmp_path / "keys.npz", joints=np.zeros((2, 22, 3), np.float32))
    np.save(tmp_path / "array.npy", np.zeros((2, 22, 3), np.float32))
    np.save(tmp_path / "numbers.npy", np.zeros(5))
    (tmp_path / "bodies.pkl").write_bytes(pickle.dumps({"poses": np.zeros((2, 72))}))
    (tmp_path / "nothing.npz").touch()
    (tmp_path / "empty").mkdir()
    _policies(tmp_path, trained_policy, byte_tokenizer)
    return tmp_path


def _policies(folder, good, byte_tokenizer) -> None:
    shutil.copytree(good, folder / "no_head")
    (folder / "no_head" / "head.safetensors").unlink()
    shutil.copytree(good, folder / "cut")
    content = (good / "adapter_model.safetensors").read_bytes()
    (folder / "cut" / "adapter_model.safetensors").write_bytes(content[: len(content) // 2])
    shutil.copytree(good, folder / "other_rank")
    adapter = load_file(good / "adapter_model.safetensors")
    save_file(
        {k: torch.cat([v, v]) if "lora_A" in k else v for k, v in adapter.items()},
        folder / "other_rank" / "adapter_model.safetensors",
    )
    shutil.copytree(good, folder / "no_json")
    (folder / "no_json" / "policy.json").write_text("{")
    # A checkpoint whose backbone has been exchanged for a wider one.
    byte_tokenizer(folder / "wide")
    config = LlamaConfig(
        vocab_size=258, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, eos_token_id=0, bos_token_id=1, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder / "wide")
    shutil.copytree(good, folder / "other_backbone")
    document = json.loads((good / "policy.json").read_text()) | {"backbone": str(folder / "wide")}
    (folder / "other_backbone" / "policy.json").write_text(json.dumps(document))


# Words that begin with @ are files of `place`; POLICY is the good checkpoint.
MISTAKES = {
    "missing config": ("rft @absent.yaml", "absent.yaml: cannot be read (No such file or directory)"),
    "config is a directory": ("sft @empty", "empty: cannot be read (Is a directory)"),
    "not YAML": ("rft @bad.yaml", "bad.yaml: not valid YAML"),
    "YAML, but no mapping": ("sft @list.yaml", "must be a mapping of fields"),
    "unknown field": ("rft @rft.yaml --hygrpo.setps 3", "unknown field hygrpo.setps; known here: steps,"),
    "wrong type": ("rft @rft.yaml --prompts many", "prompts must be int, not 'many'"),
    "override without value": ("rft @rft.yaml --prompts", "--prompts needs a value"),
    "value out of range": ("rft @rft.yaml --hygrpo.steps 0", "hygrpo.steps and pose_phase.steps are both 0"),
    "unknown reward": ("rft @rft.yaml --rewards [niceness]", "unknown reward 'niceness': built in are format,"),
    "unknown option of a reward": (
        "rft @rft.yaml --rewards [{name:\u00a0posecodes,options:\u00a0{best:\u00a01}}]", "has no option 'best'"),
    "no reward": ("rft @rft.yaml --rewards []", "rewards: name at least one"),
    "unknown preset": ("sft @sft.yaml --policy.backbone smollm3", "backbone 'smollm3': not a preset (smollm2-135m)"),
    "unreadable mocap": ("sft @sft.yaml --data.mocap @good.npz --policy.backbone @wide", "'sequence'"),
    "output cannot be written": ("rft @rft.yaml --output_dir @notes.txt/run", "cannot be written to"),
    "output is a file": ("sft @sft.yaml --output_dir @notes.txt", "cannot be written to"),
    "policy to start from is missing": ("rft @rft.yaml --policy @nowhere", "nowhere: no such directory"),
    "no benchmark": ("evaluate", "evaluate: give the name of a benchmark"),
    "unknown benchmark": ("evaluate nonsense --checkpoint POLICY", "no benchmark is called 'nonsense'; there are:"),
    "poses of the wrong shape": (
        "evaluate everyday-prompts --checkpoint POLICY --poses @wrong.npz", "'pose' has shape (2, 20, 3)"),
    "no recordings": ("evaluate captions --checkpoint POLICY --poses @array.npy", "no readable 'sequence' (N,)"),
    "result cannot be written": ("evaluate everyday-prompts --checkpoint POLICY --out /proc/x.json", "/proc/x.json"),
    "result is a directory": ("evaluate everyday-prompts --checkpoint POLICY --out @empty", "empty: is a directory"),
    "caption: no such file": ("caption @absent.npz --out @c.jsonl", "absent.npz: no such file"),
    "caption: wrong shape": ("caption @wrong.npz --out @result.json", "'pose' has shape (2, 20, 3)"),
    "caption: other keys": ("caption @keys.npz --out @result.json", "holds joints, but no 'pose'"),
    "caption: an array": ("caption @numbers.npy --out @result.json", "'array' has shape (5,)"),
    "caption: a pickle": ("caption @bodies.pkl --out @result.json", "bodies.pkl: pickles are not read"),
    "caption: an empty file": ("caption @nothing.npz --out @result.json", "nothing.npz: is empty"),
    "caption: a text": ("caption @notes.txt --out @result.json", "not an .npz of plain arrays"),
    "caption: nothing to go to": ("caption @good.npz --to @absent.npz --out @result.json", "absent.npz: no such file"),
    "caption: other lengths": ("caption @good.npz --to @one.npz --out @result.json", "one.npz: has 1 poses, but"),
    "caption: place": ("caption @good.npz --out /proc/c.jsonl", "/proc/c.jsonl: cannot be written"),
    "empty prompt": ("generate \u00a0 --checkpoint POLICY --out @o", "prompt is empty"),
    "an image": ("generate wave --image @notes.txt --checkpoint POLICY --out @o", "images: this policy answers texts"),
    "unknown device": ("generate wave --device abacus --checkpoint POLICY --out @o", "device 'abacus': not available"),
    "no such checkpoint": ("generate wave --checkpoint @nowhere --out @o", "nowhere: no such directory"),
    "no model in the directory": ("generate wave --checkpoint @empty --out @o", "empty"),
    "head missing": ("generate wave --checkpoint @no_head --out @o", "no_head: cannot be read as a policy checkpoint"),
    "adapter cut short": ("generate wave --checkpoint @cut --out @o", "cut: cannot be read as a policy checkpoint"),
    "adapter of another rank": ("generate wave --checkpoint @other_rank --out @o", "size mismatch for"),
    "broken description": ("generate wave --checkpoint @no_json --out @o", "policy.json: cannot be read ("),
    "another backbone": ("generate wave --checkpoint @other_backbone --out @o", "made for another backbone"),
    "retrieval: missing config": ("retrieval train @absent.yaml", "absent.yaml: cannot be read"),
    "retrieval: unknown part": ("retrieval train @part.yaml", "data.part is 'both'; choose one of all, reward, judge"),
    "score: no such model": ("retrieval score wave @good.npz --model best", "no retrieval model 'best': give a file"),
    "score: no model": ("retrieval score wave @good.npz --model @notes.txt", "notes.txt is not a retrieval model"),
    "score: no text": ("retrieval score \u00a0 @good.npz", "no word of '' is known"),
    "score: no known word": ("retrieval score El_brazo @good.npz --out @o", "no word of 'El_brazo' is known"),
    "score: wrong shape": ("retrieval score wave @wrong.npz --out @result.json", "'pose' has shape (2, 20, 3)"),
    "score: place": ("retrieval score wave @good.npz --out @empty", "empty: is a directory"),
    "a judge as reward": (
        "rft @rft.yaml --rewards [{name:\u00a0semantic,options:\u00a0{model:\u00a0judge}}]", "is a judge and must not"),
}  # fmt: skip


def _contents(folder) -> dict:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("words", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_status_2_and_changes_nothing(pose_rft, place, trained_policy, words, message):
    words = words.replace("@", f"{place}/").replace("POLICY", str(trained_policy))
    before = _contents(place)
    outcome = pose_rft(*(word.replace("\u00a0", " ") for word in words.split(" ")))
    assert outcome.status == 2, outcome
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1, outcome.err
    assert message in outcome.err
    assert _contents(place) == before


def test_a_broken_checkpoint_to_resume_from_is_named(pose_rft, place):
    assert pose_rft("rft", place / "rft.yaml").status == 0
    last = place / "run" / "checkpoint-4"
    for name in ("head.safetensors", "optimizer.safetensors", "scheduler.json", "random_0.json", "trainer_state.json"):
        content = (last / name).read_bytes()
        (last / name).write_bytes(content[: len(content) // 2])
        outcome = pose_rft("rft", place / "rft.yaml", "--resume", "--hygrpo.steps", 6)
        assert outcome.status == 2, name
        assert outcome.err.count("\n") == 1
        assert "checkpoint-4" in outcome.err
        (last / name).write_bytes(content)
    assert pose_rft("rft", place / "rft.yaml", "--resume", "--hygrpo.steps", 6).status == 0


def test_a_process_of_its_own_says_only_this_line_even_after_loading_a_policy(place, trained_policy):
    process = as_users_do("generate", " ", "--checkpoint", trained_policy, "--out", place / "o", cwd=place)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert err == "error: prompts: a prompt is empty; say what pose you want\n"


def test_an_interrupted_run_says_how_to_go_on(place):
    process = as_users_do("rft", place / "rft.yaml", "--hygrpo.steps", 2000, "--hygrpo.save_steps", 1, cwd=place)
    for _ in range(2000):
        if process.poll() is not None or any((place / "run").glob("checkpoint-*")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.strip() == "interrupted; sft and rft go on from their last checkpoint with --resume"


@pytest.mark.parametrize("words", ["generate", "generate wave", "caption x.npz", "dance", "rft"])
def test_a_missing_argument_is_told_with_the_usage(pose_rft, words):
    outcome = pose_rft(*words.split())
    assert outcome.status == 2
    assert "Usage: pose-rft" in outcome.err
    assert "Traceback" not in outcome.err
