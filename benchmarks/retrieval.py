"""The retrieval models on 1,000 poses of recordings that no training saw, one unseen caption each, by caption style.

    python -m benchmarks.retrieval

Poses are chosen to differ (farthest points). "exact reader" knows every statement of a caption and how captions are
made: about what short captions allow. Prints the tables and writes runs/retrieval/benchmark.json.
"""

import argparse
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.command_line import add_recordings
from benchmarks.support.retrieval_gallery import (
    GALLERY,
    agreement_with_checks,
    captions_of_gallery,
    figures,
    gallery,
    oracle_ranks,
    score_table,
    scores_agree,
    statements,
)
from pose_rft.evaluation.metrics import Interval
from pose_rft.evaluation.retrieval_metrics import retrieval_figures
from pose_rft.posescript.captions import Style
from pose_rft.retrieval.model import RetrievalModel
from pose_rft.storage import atomic_file

COLUMNS = [f"{way}/recall@{k}" for way in ("text_to_pose", "pose_to_text") for k in (1, 5, 10)]
POOLED = [
    "pool/text_to_pose/recall@1",
    "pool/text_to_pose/recall@5",
    "pool/mean_recall",
    *(f"r_precision@{k}" for k in (1, 2, 3)),
    "mean_rank_precision@1",
]
EXACT = "exact reader"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_recordings(parser)
    parser.add_argument("--models", nargs="+", default=["reward", "judge"], help="bundled names or files")
    parser.add_argument("--count", type=int, default=GALLERY, help="poses of the gallery")
    parser.add_argument("--out", type=Path, default=Path("runs/retrieval/benchmark.json"))
    arguments = parser.parse_args()
    console = Console()
    models = {name: RetrievalModel.load(name) for name in arguments.models}
    poses = gallery(arguments.poses, arguments.count)
    full = Table(
        "captions", "statements", "model", "mean recall", *("T2P R@1", "R@5", "R@10", "P2T R@1", "R@5", "R@10")
    )
    pooled = Table(
        "captions", "model", "T2P R@1", "R@5", "mean recall", *(f"R-precision {k}" for k in (1, 2, 3)), "mean rank 1"
    )
    agreement = Table("captions", "model", "agreement with the checks", "with the last model: pairs", "all")
    full.title, pooled.title = f"full gallery of {len(poses)}, %", "random pools of 32, %"
    results: dict[str, Any] = {}
    for style in get_args(Style):
        captions = captions_of_gallery(poses, style)
        tables: dict[str, Tensor] = {name: score_table(model, captions, poses) for name, model in models.items()}
        found = {name: figures(table) for name, table in tables.items()}
        found[EXACT] = retrieval_figures(oracle_ranks(captions, poses), len(poses))
        results[style] = {
            "statements": statements(captions),
            "figures": {name: {key: asdict(value) for key, value in each.items()} for name, each in found.items()},
            "agreement": {name: agreement_with_checks(table, captions, poses) for name, table in tables.items()},
            "scores_agree": {name: scores_agree(table, list(tables.values())[-1]) for name, table in tables.items()},
        }
        for name, each in found.items():
            full.add_row(
                style,
                f"{statements(captions):.1f}",
                name,
                _interval(each["mean_recall"]),
                *(_mean(each[c]) for c in COLUMNS),
            )
            pooled.add_row(style, name, *(_mean(each[column]) for column in POOLED))
        for name, same in results[style]["scores_agree"].items():
            share = results[style]["agreement"][name]
            agreement.add_row(style, name, f"{share:.3f}", f"{same['pairs']:.3f}", f"{same['table']:.3f}")
    for table in (full, pooled, agreement):
        console.print(table)
    with atomic_file(arguments.out) as part:
        command = shlex.join(["python", "-m", "benchmarks.retrieval", *sys.argv[1:]])
        document = {"benchmark": "retrieval", "command": command, "gallery": len(poses), "captions": results}
        part.write_text(json.dumps(document, indent=1) + "\n")


def _interval(value: Interval) -> str:
    return f"{100 * value.mean:.1f} ({100 * value.low:.1f} to {100 * value.high:.1f})"


def _mean(value: Interval) -> str:
    return f"{100 * value.mean:.1f}"


if __name__ == "__main__":
    main()
