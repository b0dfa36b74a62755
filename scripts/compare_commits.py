"""Whether two commits answer alike: the default policy's words and poses, bit for bit.

    python scripts/compare_commits.py BEFORE AFTER

Both commits answer the same 50 typed prompts, by sampling and most likely, and the same ten pictures, drawn once by the
checkout that this script stands in. AFTER may be "." for the checkout as it is.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROMPTS, PICTURES = 50, 10

# Run in each commit: what it uses is public and the same in both.
ANSWER = """
import json, sys, torch
from pathlib import Path
from pose_rft import PosePolicy
from pose_rft.errors import UserError

torch.set_num_threads(1)  # sums of several threads depend on how busy a machine is
prompts, pictures = json.loads(Path(sys.argv[1]).read_text())
policy = PosePolicy.from_pretrained("default")


def of_picture(prompt, picture, **how):
    try:
        return policy.generate([prompt], images=[picture], **how)[0]
    except UserError as error:  # nobody found in it: the same must be said by both
        return str(error)


answered = [
    policy.generate(prompts, num_samples=2, seed=0),
    policy.generate(prompts, temperature=0.0),
    [of_picture("What is the SMPL pose of this person?", picture, seed=0) for picture in pictures],
    [of_picture("Which arm is higher in this picture?", picture, temperature=0.0) for picture in pictures],
]
numbers = lambda pose: None if pose is None else [float(x).hex() for x in pose.axis_angle().ravel()]
said = lambda answer: [answer.text, answer.logp_text, answer.logp_pose, numbers(answer.pose)]
print(json.dumps([[answers] if isinstance(answers, str) else [said(answer) for answer in answers]
                  for group in answered for answers in group]))
"""


@contextmanager
def checkout(commit: str):
    """The folder of a commit."""
    if commit == ".":
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(place), commit], cwd=ROOT, check=True)
        try:
            yield place
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(place)], cwd=ROOT, check=True)


def answers_of(commit: str, inputs: Path) -> list[list]:
    """What a commit's default policy answers."""
    with checkout(commit) as place:
        environment = os.environ | {"PYTHONPATH": str(place / "src")}
        command = [sys.executable, "-c", ANSWER, str(inputs)]
        run = subprocess.run(command, cwd=place, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def write_inputs(folder: Path) -> Path:
    """Fifty prompts and ten drawn pictures, as a file that names both."""
    from pose_rft.data.everyday import everyday_prompts
    from pose_rft.data.rendering.renders import RenderSpec
    from pose_rft.evaluation.caption_benchmark import procedural_poses

    prompts = [sample.prompt for sample in everyday_prompts("all")[:PROMPTS]]
    poses = procedural_poses()
    pictures = []
    for index, row in enumerate(range(0, len(poses), len(poses) // PICTURES)[:PICTURES]):
        pictures.append(str(folder / f"{index}.png"))
        RenderSpec(poses[row].numpy(), seed=1, index=index, size=512, clear=True).image().save(pictures[-1])
    file = folder / "inputs.json"
    file.write_text(json.dumps([prompts, pictures]))
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after", nargs="?", default=".")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inputs = write_inputs(Path(folder))
        before, after = answers_of(arguments.before, inputs), answers_of(arguments.after, inputs)
    differ = [index for index, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    refused = sum(isinstance(group[0], str) for group in before)
    answers = sum(map(len, before))
    print(f"{len(before)} questions, {answers} answers, {refused} with nobody in the picture; {len(differ)} differ")
    for index in differ[:5]:
        print(f"  {index}: {str(before[index])[:80]} -> {str(after[index])[:80]}")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
