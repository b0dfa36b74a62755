"""What a policy has to beat, in one table: mean pose, nearest training pose, PoseScript's pose VAE, beside a policy.

    python -m benchmarks.baselines

The baselines learn from the training mixture: captions and phrases of procedural poses and of the recordings that are
not held out. All answer the captions of held-out recordings. Prints the table (Markdown) and writes
runs/baselines/table.json. The VAE is trained within the run, on the CPU in minutes.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.command_line import add_recordings
from benchmarks.support.baseline_policies import MeanPose, NearestPose, VaePolicy
from benchmarks.support.pose_vae import PoseVae, VaeTraining, train_pose_vae
from pose_rft.data.mixtures.text_to_pose import MixtureConfig, text_to_pose_mixture
from pose_rft.evaluation.asking import Answering
from pose_rft.evaluation.benchmarks import JUDGE, evaluate_samples, load_benchmark
from pose_rft.policy import PosePolicy
from pose_rft.retrieval.model import RetrievalModel
from pose_rft.retrieval.training import stacked_poses
from pose_rft.storage import atomic_file

HEADINGS = (
    "answers", "checks met, %", "judge score", "judge: mean recall, %", "FID, judge", "FID, joints, cm2",
    "MPJPE, mm", "nearest real pose, mm", "diversity, mm",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_recordings(parser)
    parser.add_argument("--checkpoints", nargs="*", default=["default"], help="policies to put beside the baselines")
    parser.add_argument("--prompts", type=int, default=300, help="held-out captions to answer")
    parser.add_argument("--num-samples", type=int, default=4)
    parser.add_argument("--samples", type=int, default=40_000, help="training pairs of the baselines")
    parser.add_argument("--steps", type=int, default=1500, help="training steps of the VAE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/baselines/table.json"))
    arguments = parser.parse_args()
    console = Console()
    samples, reference = load_benchmark("captions", poses=arguments.poses, limit=arguments.prompts)
    config = MixtureConfig(mocap=str(arguments.poses), chat=0.0)
    pairs = text_to_pose_mixture(arguments.samples, arguments.seed, config)
    known = stacked_poses(pairs)
    policies: dict[str, Answering] = {
        "mean pose": MeanPose(known),
        "nearest training pose (reward model)": NearestPose(RetrievalModel.load("reward"), known),
        "PoseScript's pose VAE": VaePolicy(_vae(pairs, VaeTraining(steps=arguments.steps, seed=arguments.seed))),
    }
    policies |= {name: PosePolicy.from_pretrained(name) for name in arguments.checkpoints}
    results = {
        name: evaluate_samples(
            samples, policy, reference=reference, num_samples=arguments.num_samples, seed=arguments.seed,
            show_progress=True, retrieval=RetrievalModel.load(JUDGE),
        )
        for name, policy in policies.items()
    }  # fmt: skip
    some = next(iter(results.values()))
    lines = [[name, *_figures(summary, some["judge"][name])] for name, summary in some["references"].items()]
    for name, result in results.items():
        for way in ("mean_pose", "sampled"):
            lines.append([f"{name}, {way.replace('_', ' ')}", *_figures(result[way], result["judge"][way])])
    for cells in (HEADINGS, ["---"] * len(HEADINGS), *lines):
        console.print("| " + " | ".join(cells) + " |", highlight=False, soft_wrap=True)
    with atomic_file(arguments.out) as part:
        kept = {name: {key: value for key, value in each.items() if key != "rows"} for name, each in results.items()}
        part.write_text(json.dumps(kept, indent=1) + "\n")


def _vae(pairs: list, training: VaeTraining) -> PoseVae:
    with Progress() as bar:
        task = bar.add_task("pose VAE", total=training.steps)
        return train_pose_vae(pairs, training, lambda step, *_: bar.update(task, completed=step))


def _figures(summary: dict[str, Any], judged: dict[str, Any]) -> list[str]:
    def mean(table: dict[str, Any], name: str, scale: float, digits: int) -> str:
        return f"{scale * table[name]['mean']:.{digits}f}" if name in table else "-"

    def plain(name: str) -> str:
        return "-" if judged.get(name) is None else f"{judged[name]:.3g}"

    return [
        mean(summary, "satisfaction", 100, 1), mean(summary, "judge_score", 1, 3), mean(judged, "mean_recall", 100, 1),
        plain("fid_judge"), plain("fid_joints_cm2"), mean(summary, "mpjpe_mm", 1, 0),
        mean(summary, "nearest_mm", 1, 0), mean(summary, "diversity_mm", 1, 0),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
