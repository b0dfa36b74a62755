"""The report: one file that stands alone, says what changed, and takes any text as text."""

import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.evaluation.benchmarks import evaluate_samples
from pose_rft.evaluation.charts import curve, number
from pose_rft.evaluation.report import write_report

REST = torch.zeros(22, 3)
ARM_DOWN = REST.clone()
ARM_DOWN[16, 2] = -math.pi / 2
SAMPLES = [Sample(f"prompt {n}", "", checks=("angle(left_shoulder) < 20",)) for n in range(4)]
PNG = b"\x89PNG not really"
VOID = {"meta", "img"}


class Balance(HTMLParser):
    """Fails on a tag that is not closed in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        """`<line .../>` closes itself."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def results(fake_policy: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Before: one of four prompts is met; after: all."""
    before = evaluate_samples(
        SAMPLES, fake_policy(lambda prompt, *_: ARM_DOWN if prompt == "prompt 0" else REST), num_samples=2
    )
    after = evaluate_samples(SAMPLES, fake_policy(lambda *_: ARM_DOWN), num_samples=2)
    return before, after


def write(folder: Path, results: tuple[dict[str, Any], dict[str, Any]], prompt: str = "wave") -> str:
    curves = {"reward": [(0, 0.1), (10, math.nan), (20, 0.6)], "nothing": [(0, math.nan)]}
    path = folder / "report.html"
    write_report(
        path,
        "A run",
        *results,
        [(prompt, PNG, PNG, "look here")],
        curves,
        {"command": "make demo"},
        [("Who walks?", PNG, PNG, "a frame")],
    )
    return path.read_text(encoding="utf-8")


def test_the_page_says_what_improved(tmp_path: Path, results: Any) -> None:
    text = re.sub(r"<[^>]+>", "", write(tmp_path, results)).replace("\u00a0", " ")
    assert "a sampled pose now does 100 %; before training it did 25 %" in text
    assert "a clear gain of +75 points" in text
    assert "make demo" in text
    assert "Who walks?" in text


def test_the_page_fetches_nothing_and_runs_nothing(tmp_path: Path, results: Any) -> None:
    page = write(tmp_path, results)
    assert not re.search(r"<script|<link|@import|url\(|https?://", page)
    assert re.findall(r'src="([^"]{22})', page) == ["data:image/png;base64,"] * 4


def test_the_page_is_well_formed(tmp_path: Path, results: Any) -> None:
    parser = Balance()
    parser.feed(write(tmp_path, results))
    assert parser.open == []


def test_a_prompt_with_markup_stays_text(tmp_path: Path, results: Any) -> None:
    page = write(tmp_path, results, prompt='<script>alert("x")</script> & more')
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_no_change_is_called_no_change(tmp_path: Path, results: Any) -> None:
    assert "no clear change" in write(tmp_path, (results[0], results[0]))


def test_a_loss_is_called_a_loss(tmp_path: Path, results: Any) -> None:
    assert "a clear loss" in write(tmp_path, (results[1], results[0]))


def test_a_report_that_cannot_be_written_names_the_place(tmp_path: Path, results: Any) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        write(tmp_path / "file", results)


def test_a_curve_leaves_a_gap_where_a_value_is_missing() -> None:
    drawn = curve("reward", [(0, 1.0), (1, 2.0), (2, math.nan), (3, 4.0), (4, 5.0)])
    path = re.search(r'class="line" d="([^"]+)"', drawn)
    assert path is not None
    assert re.sub(r"[^ML]", "", path[1]) == "MLML"


def test_a_flat_curve_and_a_single_point_can_be_drawn() -> None:
    for points in ([(0, 0.5), (1, 0.5)], [(7, 0.0)]):
        assert "nan" not in curve("flat", points)


@pytest.mark.parametrize(
    ("value", "text"), [(0.8643, "0.864"), (118.2, "118"), (12.34, "12.3"), (1.0, "1"), (0, "0"), (6.51e-4, "6.5e-04")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text
