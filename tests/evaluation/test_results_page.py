"""The page of results: our figures with intervals, those of papers beside them, and where each is from."""

import json
from dataclasses import asdict

import pytest
import torch

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.evaluation.benchmarks import evaluate_samples, save_result
from pose_rft.evaluation.protocols import REGISTRY, find_protocol
from pose_rft.evaluation.results_page import paired_page, published_rows, results_page
from pose_rft.storage import package_table

REST = torch.zeros(22, 3)


def table(page: str) -> list[dict[str, str]]:
    """The rows of a page's table by the names of its columns."""
    lines = [line.strip("| ").split(" | ") for line in page.split("\n\n")[0].splitlines()]
    return [dict(zip(lines[0], [cell.strip() for cell in line], strict=True)) for line in lines[2:]]


@pytest.fixture
def result(tmp_path, fake_policy):
    """``result(name, **more)`` writes the JSON of a policy that errs by nothing."""

    def write(name, **more):
        samples = [Sample("stand", "", REST.numpy(), checks=("lean() < 20",)), Sample("stand up", "", REST.numpy())]
        found = evaluate_samples(samples, fake_policy(lambda *_: REST), num_samples=1)
        path = tmp_path / name
        save_result(
            {"command": f"pose-rft evaluate --out {name}", "checkpoint": "mine", "benchmark": "own", **found, **more},
            path,
        )
        return path

    return write


def test_figures_stand_with_intervals_and_the_command_that_printed_them(result):
    page = results_page([result("a.json")])
    rows = table(page)
    mean = next(row for row in rows if row["figures of"] == "mine, mean pose")
    assert (mean["benchmark"], mean["gallery"], mean["kept"]) == ("own", "2", "100.0 % (100.0 to 100.0)")
    assert mean["MPJPE mm"] == "0.0 (0.0 to 0.0)"
    assert mean["from"] == "[1]"
    assert "rest pose" in {row["figures of"] for row in rows}
    assert page.endswith("1. `pose-rft evaluate --out a.json`\n")
    assert "Pose-RFT" not in page  # nobody published figures of one's own data


def test_published_figures_of_the_same_benchmark_stand_beside_ours(result):
    of_3dpw = result("b.json", protocol=asdict(find_protocol("3dpw-14")))
    rows = table(results_page([result("a.json"), of_3dpw]))
    ours = [row for row in rows if row["benchmark"] == "3DPW (3dpw-14)"]
    theirs = {row["figures of"]: row for row in rows if row["benchmark"] == "3DPW"}
    assert ours
    assert theirs["Pose-RFT"]["MPJPE mm"] == "85.9"
    assert theirs["Pose-RFT"]["PA-MPJPE mm"] == "51.6"
    assert not any("Human3.6M" in row["benchmark"] for row in rows)


def test_the_gallery_and_the_retriever_are_named(result):
    interval = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 2}
    judge = {"mean_pose": {"text_to_pose/recall@5": interval, "fid_judge": 3.0}}
    protocol = asdict(find_protocol("posescript-full"))
    rows = table(results_page([result("a.json", judge=judge, protocol=protocol)]))
    mean = next(row for row in rows if row["figures of"] == "mine, mean pose")
    assert mean["T2P R@5"] == "50.0 % (40.0 to 60.0)"
    assert mean["gallery"] == "2"
    assert mean["retriever"].startswith("judge of pose-rft ")
    assert next(row for row in rows if row["figures of"] == "ChatPose")["T2P R@5"] == "17.6 %"


def test_figures_of_retrieval_models_are_rows_too(tmp_path):
    interval = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 9}
    captions = {"short": {"figures": {"judge": {"mean_recall": interval, "text_to_pose/recall@1": interval}}}}
    document = {"benchmark": "retrieval", "command": "python -m benchmarks.retrieval", "gallery": 1000}
    (tmp_path / "r.json").write_text(json.dumps(document | {"captions": captions}))
    (row,) = table(results_page([tmp_path / "r.json"]))
    assert (row["figures of"], row["retriever"], row["gallery"]) == ("judge", "judge", "1000")
    assert row["mean recall"] == "50.0 % (40.0 to 60.0)"


def test_every_published_figure_says_where_it_was_read_and_by_which_protocol():
    named = {protocol.benchmark for protocol in REGISTRY}
    for entry in package_table("pose_rft.evaluation", "published.yaml"):
        assert all(entry[name] for name in ("system", "source", "table", "protocol", "measures"))
        assert entry["benchmark"] in named or entry["benchmark"].startswith("PoseScript, retrieval")
        assert all(0 < value < (1 if "recall" in name else 500) for name, value in entry["measures"].items())
    assert len(table(results_page([]))) == len(published_rows())


@pytest.mark.parametrize(
    ("text", "message"), [("{", "cannot be read"), ("{}", "holds no result"), ("[]", "holds no result")]
)
def test_another_file_is_one_line(tmp_path, text, message):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=message):
        results_page([tmp_path / "x.json"])


def test_paired_differences_are_those_of_the_same_prompts(result, tmp_path):
    better, worse = result("better.json"), result("worse.json")
    data = json.loads(worse.read_text())
    for row in data["rows"]:
        row["mean_pose"]["kept"] = 0.0
    worse.write_text(json.dumps(data))
    rows = table(paired_page([better, worse]) + "\n")
    kept = next(row for row in rows if (row["answer"], row["measure"]) == ("mean pose", "kept"))
    assert kept["pair"] == "better less worse"
    assert kept["difference, 95 % interval over prompts"] == "**+100.0 (+100.0 to +100.0)**"
    distance = next(row for row in rows if (row["answer"], row["measure"]) == ("mean pose", "MPJPE mm"))
    assert distance["difference, 95 % interval over prompts"] == "+0.0 (+0.0 to +0.0)"


def test_what_cannot_be_paired_is_refused_in_a_line(result):
    mine, other = result("a.json"), result("b.json")
    with pytest.raises(UserError, match="two files or more"):
        paired_page([mine])
    data = json.loads(other.read_text())
    data["rows"][0]["prompt"] = "sit"
    other.write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"b\.json: has other prompts than .*a\.json"):
        paired_page([mine, other])
    data["rows"] = []
    other.write_text(json.dumps(data))
    with pytest.raises(UserError, match="prompt by prompt"):
        paired_page([mine, other])
