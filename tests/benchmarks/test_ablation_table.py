"""The comparison table, on results made by hand."""

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from benchmarks.support.ablation_table import Run, Spread, as_json, as_markdown, as_rich, rft_table


def result(satisfaction: float, mpjpe: float = 100.0, nearest: float = 50.0) -> dict[str, Any]:
    row = {"satisfaction": satisfaction, "valid": 1.0, "mpjpe_mm": mpjpe, "nearest_mm": nearest}
    summary = {measure: {"mean": value} for measure, value in row.items()}
    return {"mean_pose": summary, "sampled": summary, "rows": [{"prompt": "p", "mean_pose": row, "sampled": row}]}


START = Run("SFT start", 0, result(0.7))
RUNS = [
    Run("GRPO on tokens only", 0, result(0.7), kl=0.0),
    Run("HyGRPO", 0, result(0.85, mpjpe=105.0), kl=5.0),
    Run("HyGRPO", 1, result(0.88, mpjpe=115.0, nearest=55.0), kl=7.0),
]


def test_half_of_the_unsatisfied_share_is_a_ratio_of_one_half() -> None:
    start, tokens, hybrid = rft_table(START, RUNS)
    assert start.unsatisfied_ratio["sampled"].mean == 1
    assert tokens.unsatisfied_ratio["sampled"].mean == pytest.approx(1)
    # 0.15 / 0.3 and 0.12 / 0.3
    spread = hybrid.unsatisfied_ratio["sampled"]
    assert (spread.low, spread.high, spread.mean) == pytest.approx((0.4, 0.5, 0.45))


def test_changes_are_relative_to_the_start_and_spread_over_seeds() -> None:
    hybrid = rft_table(START, RUNS)[-1]
    assert hybrid.seeds == (0, 1)
    assert hybrid.mpjpe_change["mean_pose"].mean == pytest.approx(0.1)  # +5 % and +15 %
    assert hybrid.nearest_change["mean_pose"].high == pytest.approx(0.1)
    assert hybrid.kl == Spread(6.0, 5.0, 7.0)
    assert hybrid.paired[1]["sampled"]["mpjpe_mm"]["mean"] == pytest.approx(15)


def test_a_start_that_meets_everything_leaves_no_ratio() -> None:
    perfect = Run("start", 0, result(1.0))
    assert rft_table(perfect, [Run("HyGRPO", 0, result(1.0), kl=1.0)])[1].unsatisfied_ratio == {}


def test_every_form_shows_every_row() -> None:
    rows = rft_table(START, RUNS)
    console = Console(file=StringIO(), width=200)
    console.print(as_rich(rows))
    assert isinstance(console.file, StringIO)
    for text in (as_markdown(rows), console.file.getvalue(), json.dumps(as_json(rows))):
        for name in ("SFT start", "GRPO on tokens only", "HyGRPO"):
            assert name in text


def test_markdown_reads_mean_pose_then_sampled() -> None:
    assert as_markdown(rft_table(START, RUNS)).splitlines()[-3] == (
        "| HyGRPO | 2 | 0.865 / 0.865 | 0.45 / 0.45 | 110 (+10%) / 110 (+10%) | 52 (+5%) / 52 (+5%) | 100.0% | 6.0 |"
    )
