"""Metrics against numbers worked by hand and against brute force."""

import itertools
import math

import numpy as np
import pytest
import roma
import torch

from pose_rft.body.distances import mpjpe
from pose_rft.evaluation import metrics


def poses(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random joints, spread like a body: about half a metre."""
    return torch.randn(*shape, 22, 3, generator=torch.Generator().manual_seed(seed)) * 0.5


def rotation(*rotvec: float) -> torch.Tensor:
    return roma.rotvec_to_rotmat(torch.tensor(rotvec))


def test_diversity_of_three_poses_is_the_mean_of_three_pairs() -> None:
    joints = poses(3, seed=7)
    pairs = [mpjpe(joints[i], joints[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    torch.testing.assert_close(metrics.mean_pairwise_distance(joints), torch.stack(pairs).mean())


def test_diversity_of_one_pose_is_refused() -> None:
    with pytest.raises(ValueError, match="two samples"):
        metrics.mean_pairwise_distance(poses(1))


def test_nearest_pose_distance_equals_brute_force_and_does_not_depend_on_the_block() -> None:
    joints, reference = poses(5, seed=8), poses(9, seed=9)
    brute = torch.stack([mpjpe(pose.expand_as(reference), reference).amin() for pose in joints])
    for block in (1, 2, 512):
        torch.testing.assert_close(metrics.nearest_pose_distance(joints, reference, "root", block), brute)


def test_nearest_pose_distance_forgives_a_turn_only_with_heading_alignment() -> None:
    reference = poses(6, seed=10)
    turned = reference @ rotation(0.0, 1.9, 0.0).T + torch.tensor([3.0, 0.0, 0.0])
    assert metrics.nearest_pose_distance(turned, reference, "heading").max().item() < 1e-5
    assert metrics.nearest_pose_distance(turned, reference, "root").min().item() > 0.05


def test_heading_alignment_makes_the_hips_face_forward() -> None:
    aligned = metrics.heading_aligned(poses(8, seed=11))
    assert metrics.measure("turn()", aligned).abs().max().item() < 1e-3


def test_bootstrap_is_deterministic_and_holds_the_mean() -> None:
    values = np.random.default_rng(1).normal(2.0, 1.0, size=80)
    first, second = metrics.bootstrap_interval(values), metrics.bootstrap_interval(values)
    assert first == second
    assert first.low < values.mean() < first.high
    assert first.n == 80


def test_bootstrap_interval_has_the_width_of_the_normal_theory() -> None:
    # 1.96 standard errors each side for 400 standard normal values: 2 * 1.96 / sqrt(400) = 0.196.
    values = np.random.default_rng(2).normal(size=400)
    interval = metrics.bootstrap_interval(values / values.std())
    assert interval.high - interval.low == pytest.approx(0.196, rel=0.08)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        interval = metrics.bootstrap_interval(generator.normal(size=60), resamples=300)
        hits += interval.low <= 0 <= interval.high
    assert 0.88 <= hits / 200 <= 0.99  # nominal 0.95; four standard errors below and above are 0.89 and 1.0


def test_bootstrap_leaves_out_prompts_without_a_value() -> None:
    assert metrics.bootstrap_interval([1.0, math.nan, 3.0]).n == 2
    assert metrics.bootstrap_interval([1.0, math.nan, 3.0]).mean == 2.0
    nothing = metrics.bootstrap_interval([math.nan])
    assert nothing.n == 0
    assert math.isnan(nothing.mean)


def test_paired_difference_sees_a_small_gain_that_two_intervals_hide() -> None:
    before = np.random.default_rng(4).normal(size=100)
    gain = metrics.paired_difference(before, before + 0.05)
    assert gain.low == pytest.approx(0.05)
    assert gain.high == pytest.approx(0.05)
    assert metrics.bootstrap_interval(before).high > metrics.bootstrap_interval(before + 0.05).low


def test_paired_difference_refuses_different_prompts() -> None:
    with pytest.raises(ValueError, match="same prompts"):
        metrics.paired_difference([1.0], [1.0, 2.0])


def test_over_seeds_the_interval_is_that_of_all_draws_of_seeds_and_prompts() -> None:
    gains = np.array([[1.0, 4.0, -2.0], [0.0, 7.0, 3.0]])
    drawn = [
        gains[np.ix_(seeds, prompts)].mean()
        for seeds in itertools.product(range(2), repeat=2)
        for prompts in itertools.product(range(3), repeat=3)
    ]  # 4 x 27, all as likely
    before = np.random.default_rng(5).normal(size=(2, 3))
    interval = metrics.paired_difference_over_seeds(before, before + gains, confidence=0.7, resamples=20_000)
    assert interval.mean == pytest.approx(13 / 6)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(drawn, [0.15, 0.85])))
    assert interval.n == 6


def test_seeds_that_disagree_widen_the_interval_however_many_prompts_there_are() -> None:
    gains = np.repeat([[1.0], [-1.0]], 500, axis=1)
    interval = metrics.paired_difference_over_seeds(0 * gains, gains)
    assert (interval.mean, interval.low, interval.high) == (0, -1, 1)
    assert metrics.paired_difference(0 * gains.ravel(), gains.ravel()).high < 0.1


def test_over_seeds_a_place_without_a_value_is_left_out() -> None:
    after = np.array([[1.0, math.nan], [3.0, math.nan]])
    assert metrics.paired_difference_over_seeds(np.zeros((2, 2)), after).mean == 2
    assert metrics.paired_difference_over_seeds(np.zeros((2, 2)), np.full((2, 2), math.nan)).n == 0
    with pytest.raises(ValueError, match="same seeds and prompts"):
        metrics.paired_difference_over_seeds(np.zeros((1, 2)), after)
