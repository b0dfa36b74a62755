"""How the time and memory of a HyGRPO step grow with answers, poses, prompt length and batch.

    python -m benchmarks.scaling --figure docs/images/scaling.png

One setting is varied at a time around 2 prompts of 320 tokens, 8 answers of 16 tokens and 16 poses to each answer
(SmolLM2-135M, LoRA; bfloat16, or float32 where the CPU does not multiply in that). Several processes share the cores
and a step's prompts. Every measurement has processes of its own. Prints the readings with the exponent that fits
``time ~ size^exponent``, and writes runs/benchmarks/scaling.json and a figure.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.steps import cores, in_process, markdown, measure_hygrpo

CENTRE = {"length": 320, "prompts": 2, "answers": 8, "poses": 16, "processes": 1}
AXES = {
    "answers": ("answers per prompt (G)", [4, 8, 16, 32]),
    "poses": ("poses per answer (K)", [8, 64, 512]),
    "length": ("tokens of a prompt", [80, 160, 320, 640, 1280]),
    "prompts": ("prompts per step (B)", [2, 4, 8]),
    "processes": ("processes", [1, 2]),
}


def exponent(sizes: list[int], values: list[float]) -> float:
    """Slope of a straight line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def draw(results: dict[str, list[dict[str, float]]], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    size = (3.4 * len(results), 3.2)
    figure, panels = plt.subplots(1, len(results), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for panel, (axis, runs) in zip(panels[0], results.items(), strict=True):
        label, sizes = AXES[axis]
        for key, name, style in (("step", "step", "o-"), ("rollout", "of it rollout", "s--")):
            panel.loglog(sizes, [run[key] for run in runs], style, label=name, markersize=4)
        panel.set_xticks(sizes, [str(size) for size in sizes])
        panel.minorticks_off()
        panel.set_xlabel(label)
        panel.set_title(f"time ~ size^{exponent(sizes, [run['step'] for run in runs]):.2f}", fontsize=10)
        panel.grid(alpha=0.3)
    panels[0, 0].set_ylabel("seconds")
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]
    lowest, highest = panels[0, 0].get_ylim()
    shown = [tick for tick in ticks if lowest <= tick <= highest]
    panels[0, 0].set_yticks(shown, [f"{tick:g}" for tick in shown])
    panels[0, 0].legend(frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3, help="measured steps of a process, after one to warm up")
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=list(AXES), help="what to vary")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/scaling.json"))
    parser.add_argument("--figure", type=Path, default=Path("runs/benchmarks/scaling.png"))
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print("RESULT", json.dumps(measure_hygrpo(**arguments.one)))
        return

    known: dict[str, dict[str, float]] = {}  # the centre is part of every axis
    axes = {axis: AXES[axis] for axis in arguments.axes}
    results: dict[str, list[dict[str, float]]] = {axis: [] for axis in axes}
    points = [(axis, size) for axis, (_, sizes) in axes.items() for size in sizes]
    for axis, size in track(points, "Measuring", console=Console(stderr=True)):
        setting: dict[str, Any] = {**CENTRE, axis: size, "steps": arguments.steps}
        key, processes = json.dumps(setting), setting.pop("processes")
        known[key] = known.get(key) or in_process("benchmarks.scaling", setting, processes)
        results[axis].append(known[key])

    lines = []
    for axis, (label, sizes) in axes.items():
        runs = results[axis]
        fits = {name: exponent(sizes, [run[name] for run in runs]) for name in ("step", "peak_gb")}
        lines.append(
            [
                label, ", ".join(map(str, sizes)), ", ".join(f"{run['step']:.2f}" for run in runs),
                ", ".join(f"{run['rollout']:.2f}" for run in runs), f"{fits['step']:.2f}",
                ", ".join(f"{run['peak_gb']:.1f}" for run in runs), f"{fits['peak_gb']:.2f}",
            ]
        )  # fmt: skip
    header = ["varied", "sizes", "step s", "rollout s", "exponent", "peak GB", "exponent of memory"]
    Console().print(markdown(header, lines), highlight=False, soft_wrap=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"cores": cores(), "centre": CENTRE, "axes": results}, indent=1) + "\n")
    draw(results, arguments.figure)


if __name__ == "__main__":
    main()
