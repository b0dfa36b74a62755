"""The central comparison: the supervised start, GRPO on tokens alone, and HyGRPO, over seeds, on held-out captions.

    python -m benchmarks.hygrpo_ablation

Prints the table (rich and Markdown) and writes runs/ablation/table.json. Every run and every judgement is kept in
runs/ablation, so a killed comparison goes on where it stopped.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.command_line import add_recordings
from benchmarks.support.ablation_table import Run, as_json, as_markdown, as_rich, rft_table
from pose_rft.config import read_config
from pose_rft.devices import pick_device
from pose_rft.evaluation.benchmarks import evaluate_samples, load_benchmark, save_result
from pose_rft.policy import PosePolicy
from pose_rft.runs.rft import POSE_PHASE, PosePhaseConfig, RftConfig, run_rft
from pose_rft.runs.run import has_begun

TOKEN_STEPS = 10  # with the language model in each, which take as long as a hundred of the pose head


def tokens_only(config: RftConfig) -> RftConfig:
    """All that GRPO on tokens could learn from: it sees every reward, but only the words are reinforced."""
    hygrpo = replace(config.hygrpo, steps=TOKEN_STEPS, pose_coefficient=0.0, text_sees_pose_rewards=True)
    return replace(config, pose_phase=PosePhaseConfig(), hygrpo=hygrpo)


VARIANTS: dict[str, Callable[[RftConfig], RftConfig]] = {
    "GRPO on tokens only": tokens_only,
    "HyGRPO": lambda config: config,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_recordings(parser)
    parser.add_argument("--config", type=Path, default=Path("configs/ablation_rft.yaml"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--prompts", type=int, default=256, help="held-out captions to judge on")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("overrides", nargs=argparse.REMAINDER, help="-- --hygrpo.steps 10: fields of the config")
    arguments = parser.parse_args()
    console = Console()
    config = read_config(RftConfig, arguments.config, [item for item in arguments.overrides if item != "--"])
    config = replace(config, data=replace(config.data, mocap=str(arguments.poses)))
    samples, reference = load_benchmark("captions", poses=arguments.poses, limit=arguments.prompts)
    device = pick_device(config.device)

    def judged(path: Path, load: str) -> dict[str, Any]:
        if not path.exists():
            policy = PosePolicy.from_pretrained(load, device)
            save_result(evaluate_samples(samples, policy, reference=reference, seed=0, show_progress=True), path)
        return json.loads(path.read_text())

    start = Run("SFT start", 0, judged(arguments.out / "start.json", config.policy))
    runs = []
    for name in arguments.variants:
        for seed in arguments.seeds:
            folder = arguments.out / f"{name.replace(' ', '-').lower()}-{seed}"
            log = folder / "log.json"
            if not log.exists():
                console.rule(f"{name}, seed {seed}")
                run = replace(config, output_dir=str(folder), hygrpo=replace(config.hygrpo, seed=seed))
                _, history = run_rft(VARIANTS[name](run), resume=has_begun(folder, [folder, folder / POSE_PHASE]))
                log.write_text(json.dumps(history))
            result = judged(folder / "judged.json", str(folder / "policy"))
            kl = [entry["pose/kl"] for entry in json.loads(log.read_text()) if "pose/kl" in entry]
            runs.append(Run(name, seed, result, sum(kl[-10:]) / len(kl[-10:]) if kl else None))
    table = rft_table(start, runs)
    console.print(as_rich(table))
    console.print(as_markdown(table), highlight=False, soft_wrap=True)
    (arguments.out / "table.json").write_text(json.dumps(as_json(table), indent=1) + "\n")


if __name__ == "__main__":
    main()
