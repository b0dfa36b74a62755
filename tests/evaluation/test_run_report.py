"""The page that a run leaves: every reward has its curve, nothing is fetched, and a run of either stage writes it."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from pose_rft.evaluation.metrics import Interval
from pose_rft.evaluation.phrase_fit import PhraseFit
from pose_rft.evaluation.run_report import log_curves, write_run_report

HISTORY = [
    {"step": step, "loss": 1.0, "rewards/posecodes/mean": step / 20, "rewards/my.own/mean": 3.0, "pose/kl": math.nan}
    for step in range(20)
] + [{"step": 19, "train_runtime": 5.0}]


@dataclass
class Config:
    output_dir: str = "<somewhere>"
    shape: tuple[int, ...] = (1, 2)
    nested: dict[str, float] = field(default_factory=lambda: {"rate": 1e-4})


def test_every_reward_has_a_curve_and_what_was_not_logged_has_none():
    curves = log_curves(HISTORY)
    assert list(curves) == ["Reward: posecodes", "Reward: my.own", "KL to the start, pose (nats)", "Loss"]
    assert curves["Reward: posecodes"][:2] == [(0, 0.0), (1, 0.05)]
    assert len(curves["Loss"]) == 20  # the entry without a loss leaves no gap


def test_the_page_compares_both_ends_of_the_log_and_says_what_it_is_not(tmp_path: Path):
    page = write_run_report(tmp_path, "A run", HISTORY, Config()).read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", page)
    # The middle one of five steps that rise by 0.05: 2 / 20 and 17 / 20.
    assert "mean of the first 5 and of the last 5 steps: posecodes 0.1 → 0.85, my.own 3 → 3." in text
    assert f"pose-rft evaluate everyday-prompts --checkpoint {tmp_path}/policy" in text
    assert "output_dir: &lt;somewhere&gt;" in text
    assert "rate: 0.0001" in text


def test_the_page_holds_its_pictures_and_fetches_nothing(tmp_path: Path):
    timeline = tmp_path / "pose_timeline.png"
    Image.new("RGB", (30, 20)).save(timeline)
    with_poses = write_run_report(tmp_path, "A run", HISTORY, Config(), timeline).read_text("utf-8")
    assert re.findall(r'src="([^"]{22})', with_poses) == ["data:image/png;base64,"]
    assert not re.search(r"<script|<link|@import|url\(|https?://", with_poses)
    without = write_run_report(tmp_path, "A run", HISTORY, Config(), tmp_path / "none.png").read_text("utf-8")
    assert "<img" not in without


def test_a_few_steps_are_not_compared(tmp_path: Path):
    assert "Rewards, mean" not in write_run_report(tmp_path, "A run", HISTORY[:9], Config()).read_text("utf-8")


def test_how_phrases_of_the_training_are_done_stands_in_a_table_by_when_they_were_asked(tmp_path: Path):
    def fit(mean: float) -> PhraseFit:
        return PhraseFit(64, *(Interval(scale * mean, 0, scale, 64) for scale in (1, 0.5, 100)))

    fits = {"At the start": fit(0.1), "At the end": fit(0.8)}
    page = write_run_report(tmp_path, "A run", HISTORY, Config(), fits=fits).read_text("utf-8")
    rows = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    assert rows == [
        "Checks met Kept To the nearest target, mm",
        "At the start 10.0 % 0.0 to 100.0 5.0 % 0.0 to 50.0 10 0 to 100",
        "At the end 80.0 % 0.0 to 100.0 40.0 % 0.0 to 50.0 80 0 to 100",
    ]
    assert "64 phrases among the prompts that it trained on" in page
    assert "Phrases of its training" not in write_run_report(tmp_path, "A run", HISTORY, Config()).read_text("utf-8")


@pytest.mark.parametrize("history", [[], [{"step": 1, "train_runtime": 1.0}]])
def test_a_run_without_a_log_still_has_a_page(tmp_path: Path, history: list):
    assert "The whole config" in write_run_report(tmp_path, "A run", history, Config()).read_text("utf-8")
