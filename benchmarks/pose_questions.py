"""Questions about the pose of somebody in a picture: right answers in words, beside what the policy's own pose says.

    python -m benchmarks.pose_questions --checkpoint default

Renders of recordings kept out of training, seen whole and from unseen cameras; questions whose truth is clear in the
recorded pose (docs/data.md). Prints, over all, by kind of question and by how clear the truth is, the share of right
answers with 95 % intervals: the policy's words at temperature 0; what its attributes say, if it has any; the truth read
off its mean pose for the picture; and the commonest answer to each question among training poses, given always.
"""

import argparse
import json
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.command_line import add_recordings
from benchmarks.support.question_truths import clearness, truth_in
from pose_rft.body import load_body
from pose_rft.data.mixtures.image_samples import ImageMixtureConfig, image_samples
from pose_rft.data.mocap.clips import MocapClips, drawing_weights, read_mocap, train_test_split
from pose_rft.data.questions.questions import ask
from pose_rft.data.questions.reading import is_right
from pose_rft.data.rendering.truths import upright
from pose_rft.data.sample import Sample
from pose_rft.devices import pick_device
from pose_rft.evaluation.caption_benchmark import spread
from pose_rft.evaluation.grading import answered_poses
from pose_rft.evaluation.metrics import bootstrap_interval
from pose_rft.evaluation.picture_benchmark import QUESTION, SEED
from pose_rft.policy import PosePolicy
from pose_rft.policy.training_pictures import crop_of
from pose_rft.vision.crops import Crop

BATCH = 32
KINDS = {"yes": "yes or no", "no": "yes or no"}  # the others ask for a side


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="default", help="a policy that sees")
    add_recordings(parser)
    parser.add_argument("--limit", type=int, default=500, help="questions")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/pose_questions.json"))
    arguments = parser.parse_args()
    console = Console()
    training, held_out = train_test_split(read_mocap(arguments.poses))
    samples = asked(held_out, arguments.limit)
    policy = PosePolicy.from_pretrained(arguments.checkpoint, pick_device("auto"))
    right: dict[str, list[float]] = {"words": [], "attributes": [], "own pose": []}
    clear = []
    for start in track(range(0, len(samples), BATCH), description="Asking the policy", console=Console(stderr=True)):
        batch = samples[start : start + BATCH]
        cuts = [crop_of(sample.image) for sample in batch]
        answers = policy.generate([sample.prompt for sample in batch], cuts, temperature=0.0)
        right["words"] += [
            float(bool(is_right(group[0].text, sample.question.truth)))
            for group, sample in zip(answers, batch, strict=True)
        ]
        poses = answered_poses(policy.generate([QUESTION] * len(batch), cuts, temperature=0.0))[:, 0]
        right["attributes"] += [
            float(truth == sample.question.truth)
            for sample, truth in zip(batch, found(policy, batch, cuts), strict=True)
        ]
        for sample, cut, points in zip(batch, cuts, load_body().points(poses).numpy(), strict=True):
            about, recorded = sample.question.topic, torch.from_numpy(sample.image.camera_pose()[0])
            guess = truth_in(about, standing(points @ cut.turn.T, sample))  # from the crop's frame to the picture's
            right["own pose"].append(float(guess == sample.question.truth))
            clear.append(clearness(about, standing(load_body().points(recorded).numpy(), sample)))
    if not policy.image_branch.attributes:
        del right["attributes"]
    usual = commonest(training.pose)
    right["commonest answer"] = [float(usual[s.question.topic] == s.question.truth) for s in samples]
    kinds = np.array([KINDS.get(sample.question.truth, "which side") for sample in samples])
    groups = {"all": np.ones(len(kinds), bool)} | {kind: kinds == kind for kind in dict.fromkeys(kinds.tolist())}
    for margin, name in ((0.5, "clear by 10 degrees or 5 cm"), (1.0, "clear by 20 degrees or 10 cm")):
        groups[name] = np.array(clear) >= margin
    table, result = Table("questions", "number", *right), {}
    for kind, rows in groups.items():
        figures = {name: bootstrap_interval(np.array(values)[rows]) for name, values in right.items()}
        table.add_row(kind, str(rows.sum()), *(f"{f.mean:.1%} ({f.low:.1%} to {f.high:.1%})" for f in figures.values()))
        result[kind] = {name: asdict(figure) for name, figure in figures.items()}
    console.print(table)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def standing(points: np.ndarray, sample: Sample) -> torch.Tensor:
    """Joints and landmarks (32, 3) in a picture's frame as its question means them."""
    if sample.question.topic != "facing":
        points = upright(points[None], sample.image.up()[None])[0]
    return torch.from_numpy(points.astype(np.float32))


@torch.no_grad()
def found(policy: PosePolicy, samples: list[Sample], cuts: list[Crop]) -> list[str]:
    """The truth of each question that the policy's attributes say is the likeliest; empty texts without attributes."""
    if policy.image_branch is None or policy.image_branch.attributes is None or policy.image_branch.encoder is None:
        return [""] * len(samples)
    pixels = torch.from_numpy(np.stack([cut.pixels for cut in cuts])).to(policy.device)
    logits = policy.image_branch.attribute_classifier(
        policy.image_branch.joint_features(policy.image_branch.encoder.encode(pixels))
    )
    truths = []
    for sample, row in zip(samples, logits.tolist(), strict=True):
        told = zip(policy.image_branch.attributes, row, strict=True)
        of = {statement.truth: logit for statement, logit in told if statement.topic == sample.question.topic}
        truths.append(max(of, key=of.__getitem__) if len(of) > 1 else "yes" if of["yes"] > 0 else "no")
    return truths


def asked(clips: MocapClips, limit: int) -> list[Sample]:
    """Questions with a truth about pictures of recorded poses, spread over the clips."""
    chosen = spread(len(clips), 2 * limit, drawing_weights(clips))  # descriptions have no truth
    mixture = ImageMixtureConfig(single=0, pairs=0, questions=1)
    samples = image_samples(clips.pose[chosen], SEED, mixture)
    with_truth = [sample for sample in samples if sample.question.truth]
    keep = np.linspace(0, len(with_truth) - 1, min(limit, len(with_truth))).round().astype(int)
    return [with_truth[row] for row in keep]


def commonest(poses: np.ndarray) -> dict[str, str]:
    """The most frequent truth of each question, asked of poses (N, 22, 3)."""
    points = load_body().points(torch.from_numpy(poses))
    truths: dict[str, Counter[str]] = defaultdict(Counter, {"facing": Counter({"yes": 1})})
    for seed in range(4):
        for question in ask(points, seed, ("yes_no", "which")):
            truths[question.topic][question.truth] += 1
    return defaultdict(lambda: "yes", {about: counts.most_common(1)[0][0] for about, counts in truths.items()})


if __name__ == "__main__":
    main()
