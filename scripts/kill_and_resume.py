"""Kill tiny runs of `pose-rft sft` and `pose-rft rft` at random moments, resume each, and compare the final weights.

    python scripts/kill_and_resume.py --kills 20

Each run is ended by SIGKILL, resumed to its end, and its policy compared bit for bit with that of an unbroken run.
Kills are shared out among both stages. Prints "N resumes, 0 differences"; exits with 1 if there are any.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

NO_SOURCE = ("captions_procedural", "captions_mocap", "compositions", "wordings", "clips")
DATA = {**dict.fromkeys(NO_SOURCE, 0), "chat": 0.1, "concept_poses": 2}
REWARD = "def letters(completions, **columns):\n    return [text.count('e') - len(text) / 50 for text in completions]\n"
BEGUN = "run.json"  # what a run writes first


def backbone(folder: Path) -> Path:
    """A Llama of three layers over bytes."""
    vocabulary = {"<|end|>": 0, "<|start|>": 1}
    vocabulary |= {byte: index + 2 for index, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    fast.chat_template = "{% for message in messages %}<|start|>{{ message['content'] }}<|end|>{% endfor %}<|start|>"
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=258, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True, eos_token_id=0, bos_token_id=1,
        initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def configs(place: Path) -> dict[str, dict]:
    """Of both stages; the second goes on from the policy of the first."""
    sft = {
        "policy": {"backbone": str(backbone(place / "backbone")), "layer": 2, "lora": {"rank": 2},
                   "head": {"width": 32, "depth": 1, "heads": 4, "rank": 2, "dropout": 0.1}},
        "data": DATA, "device": "cpu",
        "head": {"samples": 32, "steps": 30, "batch_size": 4}, "joint": {"samples": 32, "steps": 20, "batch_size": 4},
        "loop": {"save_steps": 3, "row_tokens": 256, "logging_steps": 1}, "pose_timeline": {"every": 10},
    }  # fmt: skip
    rft = {
        "policy": str(place / "sft" / "policy"), "prompts": 12, "data": DATA, "device": "cpu",
        "rewards": ["posecodes", {"name": "letters.letters", "credits": "text"}],
        "pose_phase": {"steps": 20, "prompts_per_step": 4},
        "hygrpo": {
            "steps": 15, "prompts_per_step": 2, "answers_per_prompt": 2, "poses_per_answer": 4, "max_new_tokens": 12,
            "updates_per_rollout": 2, "save_steps": 3, "learning_rate": 1e-3, "row_tokens": 128,
        },
    }  # fmt: skip
    return {"sft": sft, "rft": rft}


def start(stage: str, place: Path, output: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "pose_rft", stage, str(place / f"{stage}.yaml"), "--output_dir", str(output)]
    with (place / "log.txt").open("a") as log:
        one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # sums in the same order
        return subprocess.Popen([*command, *options], cwd=place, env=one_thread, stdout=log, stderr=log)


def finish(process: subprocess.Popen, place: Path) -> None:
    if process.wait():
        sys.exit(f"a run failed:\n{(place / 'log.txt').read_text()[-2000:]}")


def weights(policy: Path) -> dict[str, torch.Tensor]:
    files = sorted(policy.glob("*.safetensors"))
    return {f"{file.name}:{name}": value for file in files for name, value in load_file(file).items()}


def differ(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() != b.keys() or any(not torch.equal(a[name], b[name]) for name in a)


def wait_for(process: subprocess.Popen, file: Path) -> None:
    while process.poll() is None and not file.exists():
        time.sleep(0.02)


def unbroken(stage: str, place: Path) -> float:
    """Run a stage; how many seconds it takes from where it has begun."""
    process = start(stage, place, place / stage)
    wait_for(process, place / stage / BEGUN)
    begun = time.monotonic()
    finish(process, place)
    return time.monotonic() - begun


def killed_and_resumed(stage: str, place: Path, seconds: float) -> Path:
    """The policy of a run that was killed anywhere in its course."""
    output = place / "killed"
    shutil.rmtree(output, ignore_errors=True)
    process = start(stage, place, output)
    wait_for(process, output / BEGUN)
    moment = random.uniform(0, seconds)
    time.sleep(moment)
    process.kill()
    over = process.wait() == 0
    found = sorted(str(path.relative_to(output)) for path in output.rglob("checkpoint-*"))
    print(f"{stage}: killed after {moment:.2f} s{' (it was over)' if over else ''}, newest of {len(found)} checkpoints")
    kept = ["states.safetensors", "pictures", "images"]
    resumable = found or any((output / name).exists() for name in kept)  # else it begins anew, as it says
    finish(start(stage, place, output, *(["--resume"] if resumable else [])), place)
    return output / "policy"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="of the moments; they are different ones each time")
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    differences = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "letters.py").write_text(REWARD)
        for stage, config in configs(place).items():
            (place / f"{stage}.yaml").write_text(yaml.safe_dump(config))
        seconds = {stage: unbroken(stage, place) for stage in ("sft", "rft")}
        for number in range(arguments.kills):
            stage = ("sft", "rft")[number % 2]
            policy = killed_and_resumed(stage, place, seconds[stage])
            differences += differ(place / stage / "policy", policy)
    print(f"{arguments.kills} resumes, {differences} differences")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
