"""The gallery that retrieval models are measured on, and what one could reach who reads captions exactly."""

import numpy as np
import pytest
import torch

from benchmarks.support.retrieval_gallery import (
    captions_of_gallery,
    farthest_points,
    figures,
    gallery,
    oracle_ranks,
    score_table,
    scores_agree,
)
from pose_rft.body import load_body
from pose_rft.data.splits import is_held_out
from pose_rft.errors import UserError
from pose_rft.posescript.captions import Caption
from pose_rft.posescript.posecodes import classify, load_posecodes
from pose_rft.retrieval.model import RetrievalModel, RetrievalSettings

HELD_OUT = next(name for name in map(str, range(100)) if is_held_out(name))
TRAINED = next(name for name in map(str, range(100)) if not is_held_out(name))


def poses(count: int) -> torch.Tensor:
    return torch.randn(count, 22, 3, generator=torch.Generator().manual_seed(0)) * 0.4


def test_the_gallery_is_of_held_out_recordings_and_leaves_near_duplicates_out(tmp_path):
    pose = poses(40)
    pose[20:30] = pose[10:20] + 1e-4  # of the held-out ones, ten twice
    np.savez(tmp_path / "p.npz", pose=pose.numpy(), sequence=np.array([TRAINED] * 10 + [HELD_OUT] * 30))
    chosen = gallery(tmp_path / "p.npz", 20)
    distances = torch.cdist(chosen.flatten(1), chosen.flatten(1)) + 9 * torch.eye(20)
    assert distances.min() > 0.01
    with pytest.raises(UserError, match="30 poses of held-out recordings are fewer than 31"):
        gallery(tmp_path / "p.npz", 31)


def test_one_who_reads_captions_exactly_finds_a_pose_that_alone_does_what_is_said():
    some = poses(30)
    holds = classify(load_body().joints(some), clearly=True)
    rare = int((holds.sum(0) == 1).nonzero()[0])
    owner = int(holds[:, rare].nonzero()[0])
    said = [Caption("nothing", (), ())] * 30
    said[owner] = Caption("that", (), (load_posecodes()[rare].id,))
    assert oracle_ranks(said, some)[:, owner].tolist() == [1, 1]


def test_reading_exactly_beats_a_model_that_knows_nothing():
    some = poses(60)
    captions = captions_of_gallery(some, "full")
    torch.manual_seed(0)
    blank = RetrievalModel(RetrievalSettings(width=16, heads=2, pose_width=16, pose_blocks=1), ["arm"]).eval()
    by_chance = figures(score_table(blank, captions, some))["mean_recall"].mean
    ranks = oracle_ranks(captions, some)
    assert (ranks <= 10).float().mean() > 0.9  # chance: 10 of 60
    assert by_chance < 0.35


def test_scores_that_differ_by_a_rising_function_agree():
    table = torch.randn(10, 10, generator=torch.Generator().manual_seed(0))
    assert scores_agree(table, table.exp()) == pytest.approx({"pairs": 1, "table": 1})
    assert scores_agree(table, -table)["table"] == pytest.approx(-1)


def test_farthest_points_leave_near_duplicates_to_the_end():
    line = torch.tensor([[0.0], [0.1], [10.0], [5.0], [5.1]])
    # Mean 4.04: 10 is farthest from it, 0 from that, then the two in the middle; duplicates come last.
    assert farthest_points(line, 5).tolist()[:2] == [2, 0]
    assert set(farthest_points(line, 3).tolist()[2:]) <= {3, 4}
    assert len(set(farthest_points(line, 5).tolist())) == 5
    with pytest.raises(ValueError, match="count must be 1 to 5"):
        farthest_points(line, 6)
