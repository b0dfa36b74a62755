"""What the semantic reward does to text to pose: under the model that is the reward, and under the judge that never is.

    python -m benchmarks.semantic_reward

Fine-tunes the pose head of one supervised policy by HyGRPO under different pose rewards, with the same prompts and
steps, and judges all on captions of held-out recordings. Prints the table (rich and Markdown) and writes
runs/semantic_reward/table.json. Every run and every judgement is kept there: a killed comparison goes on where it was.
"""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.command_line import add_recordings
from pose_rft.config import read_config
from pose_rft.data.mixtures.text_to_pose import text_to_pose_mixture
from pose_rft.devices import pick_device
from pose_rft.evaluation.benchmarks import JUDGE, load_benchmark
from pose_rft.evaluation.grading import answered_poses, grade_poses, summarise
from pose_rft.evaluation.retrieval_judge import judge_answers, judge_scores
from pose_rft.policy import PosePolicy
from pose_rft.policy.hidden_state_cache import cache_hidden_states
from pose_rft.retrieval.model import RetrievalModel
from pose_rft.runs.rft import POSE_PHASE, RftConfig, run_rft
from pose_rft.runs.run import STATES_FILE, has_begun
from pose_rft.storage import atomic_file, ensure_directory

SAMPLES = 8
BATCH = 32  # prompts that are answered at once
SEMANTIC: dict[str, Any] = {"name": "semantic", "weight": 3.0}  # cosines differ less than shares of checks do
SPATIAL: dict[str, Any] = {"name": "spatial_bounded", "weight": 1.5}
VARIANTS: dict[str, list[Any]] = {
    "semantic": ["format", SEMANTIC],
    "posecodes, spatial": ["format", "posecodes", SPATIAL],
    "posecodes, spatial, semantic": ["format", "posecodes", SPATIAL, SEMANTIC],
}
COLUMNS = {
    "reward model": "reward_score",
    "judge": "judge_score",
    "checks met": "satisfaction",
    "nearest real pose, mm": "nearest_mm",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_recordings(parser)
    parser.add_argument("--config", type=Path, default=Path("configs/ablation_rft.yaml"))
    parser.add_argument("--steps", type=int, default=60, help="of the pose head; its language model stays as it is")
    parser.add_argument("--training-prompts", type=int, default=4000)
    parser.add_argument("--prompts", type=int, default=256, help="held-out captions to judge on")
    parser.add_argument("--out", type=Path, default=Path("runs/semantic_reward"))
    arguments = parser.parse_args()
    console = Console()
    config = read_config(RftConfig, arguments.config)
    config = replace(
        config,
        data=replace(config.data, mocap=str(arguments.poses)),
        pose_phase=replace(config.pose_phase, steps=arguments.steps),
        hygrpo=replace(config.hygrpo, steps=0),
    )
    device = pick_device(config.device)
    samples, reference = load_benchmark("captions", poses=arguments.poses, limit=arguments.prompts)
    models = {name: RetrievalModel.load(name) for name in ("reward", JUDGE)}

    def judged(path: Path, load: str) -> dict[str, Any]:
        if not path.exists():
            with atomic_file(path) as part:
                part.write_text(json.dumps(figures(PosePolicy.from_pretrained(load, device))))
        return json.loads(path.read_text())

    def figures(policy: PosePolicy) -> dict[str, Any]:
        found = {}
        prompts = [sample.prompt for sample in samples]
        for way, count, temperature in (("mean_pose", 1, 0.0), ("sampled", SAMPLES, 1.0)):
            parts = range(0, len(prompts), BATCH)
            answers = [policy.generate(prompts[at : at + BATCH], None, count, temperature) for at in parts]
            poses = torch.cat([answered_poses(part) for part in answers])  # (N, K, 22, 3)
            graded = grade_poses(samples, poses, reference, models[JUDGE])
            liked = judge_scores(models["reward"], prompts, poses).nanmean(1)  # (N,)
            recall = judge_answers(models[JUDGE], prompts, poses)["mean_recall"]["mean"]
            summary = summarise(graded)
            found[way] = {name: summary[name]["mean"] for name in COLUMNS.values() if name in summary}
            found[way] |= {"reward_score": liked[liked.isfinite()].mean().item(), "mean_recall": recall}
        return found

    drawn = text_to_pose_mixture(arguments.training_prompts, config.hygrpo.seed, config.data, config.processes)
    told = [sample for sample in drawn if sample.pose is not None and sample.checks]
    states = arguments.out / STATES_FILE  # of all variants
    ensure_directory(arguments.out)
    cache_hidden_states(PosePolicy.from_pretrained(config.policy, device), told, config.hygrpo.row_tokens, file=states)
    rows = {"SFT start": judged(arguments.out / "start.json", config.policy)}
    for name, rewards in VARIANTS.items():
        folder = arguments.out / name.replace(", ", "-")
        if not (folder / "policy").exists():
            console.rule(name)
            run = replace(config, output_dir=str(folder), rewards=rewards)
            if not has_begun(folder, [folder, folder / POSE_PHASE]):
                ensure_directory(folder)
                os.link(states, folder / STATES_FILE)
            run_rft(run, resume=True, samples=told)
        rows[name] = judged(folder / "judged.json", str(folder / "policy"))

    header = ["pose rewards", *COLUMNS, "judge's mean recall"]
    table, lines = Table(*header), []
    for name, row in rows.items():
        cells = []
        for measure in (*COLUMNS.values(), "mean_recall"):
            form = "{:.0f}" if measure == "nearest_mm" else "{:.3f}"
            cells.append(" / ".join(form.format(row[way][measure]) for way in ("mean_pose", "sampled")))
        table.add_row(name, *cells)
        lines.append([name, *cells])
    console.print("Each: mean pose / sampled poses.")
    console.print(table)
    for line in (header, ["---"] * len(header), *lines):
        console.print("| " + " | ".join(line) + " |", highlight=False, soft_wrap=True)
    with atomic_file(arguments.out / "table.json") as part:
        part.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
