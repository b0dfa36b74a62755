"""Recall, pools, Frechet distance and farthest points against hand-worked numbers and brute force."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_rft.evaluation.retrieval_metrics import (
    both_ranks,
    feature_diversity,
    frechet_distance,
    hits,
    mean_rank_hits,
    pool_hits,
    retrieval_figures,
)


def test_ranks_are_counted_both_ways():
    scores = torch.tensor([[0.9, 0.8, 0.1], [0.95, 0.2, 0.3], [0.0, 0.1, 0.5]])
    # Rows: 1st; behind 0.95 and 0.3; 1st. Columns: behind 0.95; behind 0.8; 1st.
    assert both_ranks(scores).tolist() == [[1, 3, 1], [2, 2, 1]]


def test_an_answer_without_a_pose_is_never_found_and_stands_in_nobody_s_way():
    scores = torch.tensor([[0.2, math.nan], [0.9, math.nan]])
    ranks = both_ranks(scores, torch.tensor([True, False]))
    assert ranks.tolist() == [[1, math.inf], [2, math.inf]]
    assert hits(ranks, 20).tolist() == [[1, 0], [1, 0]]


def test_a_pool_of_two_is_worked_by_hand():
    # Gallery of 4, so the pool's other item is one of 3. Rank 1 is found always, rank 2 unless the one better item is
    # drawn (2/3), rank 3 in 1/3, rank 4 never; among the first two of two everything is found.
    ranks = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert pool_hits(ranks, 4, k=1, pool=2).tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert pool_hits(ranks, 4, k=2, pool=2).tolist() == pytest.approx([1, 1, 1, 1])
    assert pool_hits(torch.tensor([math.inf]), 4, k=2, pool=2).tolist() == [0]


@settings(max_examples=20, deadline=None)
@given(st.integers(32, 300), st.data())
def test_pools_drawn_at_random_tend_to_the_same(gallery, data):
    rank = data.draw(st.integers(1, gallery))
    k = data.draw(st.sampled_from([1, 5, 10]))
    generator = torch.Generator().manual_seed(gallery)
    others = torch.rand(4000, gallery - 1, generator=generator).topk(31).indices  # 4,000 pools of 31 other items
    found = ((others < rank - 1).sum(1) < k).double()
    expected = pool_hits(torch.tensor([float(rank)]), gallery, k).item()
    assert found.mean().item() == pytest.approx(expected, abs=0.035)  # more than four standard errors


def test_mean_ranks_under_a_threshold_flatter():
    # In a gallery of 94, rank 4 means 3 better ones; a pool holds 3 x 31 / 93 = 1 of them on average: not below 1.
    ranks = torch.tensor([1.0, 3.0, 4.0, math.inf])
    assert mean_rank_hits(ranks, 94, k=1).tolist() == [1, 1, 0, 0]
    assert (
        pool_hits(ranks, 94, k=1).tolist()[1] < 0.5
    )  # rank 3 is first in fewer than half of the pools: (62 61)/(93 92)
    assert pool_hits(ranks, 94, k=1).tolist()[1] == pytest.approx(62 * 61 / (93 * 92))


def test_a_pool_larger_than_the_gallery_is_refused():
    with pytest.raises(ValueError, match="a pool of 32 cannot be drawn from a gallery of 31"):
        pool_hits(torch.ones(31), 31, k=1)


def test_chance_recall_is_k_over_the_size():
    ranks = torch.arange(1.0, 65.0).expand(2, -1)  # every rank once, as chance has it
    figures = retrieval_figures(ranks, 64)
    assert figures["text_to_pose/recall@10"].mean == pytest.approx(10 / 64)
    assert figures["mean_recall"].mean == pytest.approx((1 + 5 + 10) / 3 / 64)
    assert figures["pool/pose_to_text/recall@5"].mean == pytest.approx(5 / 32)
    assert figures["r_precision@3"].mean == pytest.approx(3 / 32)
    assert figures["r_precision@3"].n == 64


def test_mean_recall_averages_ways_and_ks_and_samples():
    one = torch.tensor([[1.0, 1.0], [6.0, 30.0]])  # both texts find; poses at 6 and 30
    other = torch.full((2, 2), math.inf)
    figures = retrieval_figures(torch.stack([one, other]), 40)
    # First sample: 3 hits each of the texts, 1 (at 10) and 0 of the poses, of 12 in all; the second has none.
    assert figures["mean_recall"].mean == pytest.approx(7 / 12 / 2)
    assert figures["text_to_pose/recall@1"].mean == 0.5


def test_pools_are_left_out_where_the_gallery_is_smaller():
    assert not [name for name in retrieval_figures(torch.ones(2, 5), 5) if "pool" in name or "precision" in name]


def test_the_frechet_distance_of_two_gaussians_on_a_line():
    # |m1 - m2|^2 + (s1 - s2)^2 with means 0 and 3 and deviations 1 and 2 (of samples: +-1/sqrt 2 has s = 1)
    unit = torch.tensor([[-1.0], [1.0]]) / math.sqrt(2)
    assert frechet_distance(unit, 2 * unit + 3) == pytest.approx(9 + 1)


def test_the_frechet_distance_of_axes_that_do_not_commute():
    # Covariances diag(4, 0) and the same turned by 45 degrees, [[2, 2], [2, 2]]: S1^1/2 S2 S1^1/2 = diag(8, 0),
    # so 4 + 4 - 2 sqrt 8.
    line = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]) * math.sqrt(2)
    turned = line[:, :1] * torch.tensor([[1.0, 1.0]]) / math.sqrt(2)
    assert frechet_distance(line, turned) == pytest.approx(8 - 2 * math.sqrt(8))


def test_the_frechet_distance_is_symmetric_zero_to_itself_and_biased_upwards_for_few_samples():
    samples = torch.randn(400, 20, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(samples, samples) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(samples, 2 * samples + 1) == pytest.approx(frechet_distance(2 * samples + 1, samples))
    few, many = frechet_distance(samples[:20], samples[20:40]), frechet_distance(samples[:200], samples[200:])
    assert few > 5 * many > 0  # one distribution, 20 and 200 samples


def test_a_set_that_has_no_covariance_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        frechet_distance(torch.zeros(1, 3), torch.zeros(5, 3))
    with pytest.raises(ValueError, match="finite"):
        frechet_distance(torch.full((2, 3), math.nan), torch.zeros(5, 3))
    with pytest.raises(ValueError, match="at least two"):
        feature_diversity(torch.zeros(1, 3))


def test_diversity_is_the_mean_distance_of_pairs():
    assert feature_diversity(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])) == pytest.approx((5 + 0 + 5) / 3)
