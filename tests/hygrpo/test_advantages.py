import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pose_rft.hygrpo import group_advantages, per_reward_advantages


def test_hand_worked_group():
    # mean 2, sample standard deviation 1: (1-2)/1, (2-2)/1, (3-2)/1 with epsilon 0
    result = group_advantages(torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64), epsilon=0.0)
    assert result.tolist() == [[-1.0, 0.0, 1.0]]


def test_scale_none_only_subtracts_the_mean():
    result = group_advantages(torch.tensor([[1.0, 2.0, 6.0]]), scale="none")
    assert result.tolist() == [[-2.0, -1.0, 3.0]]


def test_invalid_samples_neither_count_nor_learn():
    rewards = torch.tensor([[1.0, float("nan"), 3.0, 100.0]], dtype=torch.float64)
    valid = torch.tensor([[True, False, True, False]])
    # mean 2 and standard deviation sqrt(2) of the two valid ones
    expected = torch.tensor([[-1.0, 0.0, 1.0, 0.0]], dtype=torch.float64) / 2**0.5
    torch.testing.assert_close(group_advantages(rewards, valid, epsilon=0.0), expected)


def test_a_group_with_one_valid_sample_teaches_nothing():
    valid = torch.tensor([[True, False, False], [False, False, False]])
    assert group_advantages(torch.randn(2, 3), valid).abs().sum() == 0


def test_a_spread_below_the_floor_counts_as_the_floor():
    rewards = torch.tensor([[0.0, 0.002], [0.0, 2.0]], dtype=torch.float64)  # sample deviations .0014 and 1.4
    result = group_advantages(rewards, std_floor=0.02, epsilon=0.0)
    expected = torch.tensor([[-0.05, 0.05], [-(2**-0.5), 2**-0.5]], dtype=torch.float64)  # .001 / .02, and 1 / sqrt(2)
    torch.testing.assert_close(result, expected)


NAN = float("nan")


def test_each_reward_is_normalised_alone_and_then_weighed():
    # The sum would be decided by the second reward, which spreads ten times as far.
    rewards = torch.tensor([[[0.0, 1.0, 2.0]], [[20.0, 10.0, 0.0]]], dtype=torch.float64)
    weights = torch.tensor([3.0, 1.0], dtype=torch.float64)
    result = per_reward_advantages(rewards, weights, epsilon=0.0)
    assert result.tolist() == [[3 * -1.0 + 1.0, 0.0, 3 * 1.0 - 1.0]]


def test_where_a_reward_has_no_grade_the_others_count_alone():
    rewards = torch.tensor([[[1.0, 3.0, NAN, NAN]], [[NAN, 1.0, 2.0, NAN]]], dtype=torch.float64)
    result = per_reward_advantages(rewards, torch.ones(2, dtype=torch.float64), epsilon=0.0)
    half = 0.5**0.5  # of two samples
    torch.testing.assert_close(result, torch.tensor([[-half, 0.0, half, 0.0]], dtype=torch.float64))


def test_one_reward_alone_is_normalised_as_the_sum_is():
    rewards = torch.randn(1, 3, 4)
    result = per_reward_advantages(rewards, torch.tensor([1.0]), std_floor=0.5)
    torch.testing.assert_close(result, group_advantages(rewards[0], std_floor=0.5))


def test_without_rewards_nothing_is_taught():
    assert per_reward_advantages(torch.zeros(0, 2, 3), torch.zeros(0)).tolist() == [[0.0] * 3] * 2


@given(st.floats(-1e4, 1e4), st.integers(2, 9))
def test_equal_rewards_teach_nothing(value, size):
    assert group_advantages(torch.full((1, size), value)).abs().max() == 0


@given(
    st.lists(st.floats(-100, 100), min_size=3, max_size=8).filter(lambda xs: max(xs) - min(xs) > 1),
    st.floats(0.5, 20),
    st.floats(-50, 50),
)
def test_advantages_do_not_change_with_the_unit_or_the_zero_of_a_reward(values, unit, zero):
    rewards = torch.tensor([values], dtype=torch.float64)
    moved = group_advantages(rewards * unit + zero, epsilon=0.0)
    torch.testing.assert_close(moved, group_advantages(rewards, epsilon=0.0), rtol=1e-6, atol=1e-6)


def test_groups_are_independent():
    first, second = torch.randn(1, 5), torch.randn(1, 5)
    together = group_advantages(torch.cat([first, second]))
    torch.testing.assert_close(together, torch.cat([group_advantages(first), group_advantages(second)]))


@pytest.mark.parametrize(
    ("rewards", "valid", "scale", "message"),
    [
        (torch.zeros(3), None, "std", r"\(B, G\)"),
        (torch.zeros(1, 3), torch.ones(1, 2, dtype=torch.bool), "std", "shape"),
        (torch.zeros(1, 3), None, "range", "scale"),
        (torch.tensor([[1.0, float("inf")]]), None, "std", "NaN or infinity"),
    ],
)
def test_bad_arguments_are_refused(rewards, valid, scale, message):
    with pytest.raises(ValueError, match=message):
        group_advantages(rewards, valid, scale)
