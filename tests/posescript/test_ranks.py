"""Ranks and rank correlations, by hand."""

import math

import pytest
import torch

from pose_rft.retrieval.ranks import rank_correlation, rankings_agree, retrieval_ranks


def test_the_rank_is_one_more_than_the_number_of_better_items():
    scores = torch.tensor([[0.1, 0.9, 0.5], [0.9, 0.5, 0.1], [0.1, 0.2, 0.3]])
    assert retrieval_ranks(scores).tolist() == [3, 2, 1]


def test_equal_items_share_the_mean_of_their_places():
    assert retrieval_ranks(torch.ones(5, 5)).tolist() == [3.0] * 5
    assert retrieval_ranks(torch.tensor([[1.0, 1.0, 0.0]] * 3)).tolist() == [1.5, 1.5, 3.0]


def test_an_item_that_is_no_number_counts_as_better():
    scores = torch.eye(3)
    scores[0, 2] = math.nan
    assert retrieval_ranks(scores).tolist() == [2, 1, 1]
    assert retrieval_ranks(torch.full((3, 3), math.nan)).tolist() == [3, 3, 3]


def test_rank_correlation_is_spearman_s():
    rising = torch.tensor([0.0, 0.5, 1.0])
    assert rank_correlation(torch.tensor([1.0, 2.0, 9.0]), rising) == pytest.approx(1)
    assert rank_correlation(torch.tensor([9.0, 2.0, 1.0]), rising) == pytest.approx(-1)
    # ranks (0, 1, 2, 3) against (0, 1.5, 1.5, 3): 4.5 / sqrt(5 * 4.5)
    tied = rank_correlation(torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0.0, 0.5, 0.5, 1.0]))
    assert tied == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert math.isnan(rank_correlation(rising, torch.ones(3)))


def test_rankings_agree_by_the_mean_over_rows():
    share = torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.5, 1.0]])
    assert rankings_agree(torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), share) == pytest.approx(0.0)


def test_rows_without_numbers_or_without_difference_are_left_out():
    share = torch.tensor([[math.nan] * 3, [1.0] * 3, [0.0, 0.5, 1.0]])
    assert rankings_agree(torch.tensor([[1.0, 2.0, 3.0]] * 3), share) == pytest.approx(1.0)
    assert math.isnan(rankings_agree(torch.ones(1, 3), share[1:2]))
