"""Distances between poses against numbers worked by hand and against brute force."""

import math

import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_rft.body import distances


def poses(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random joints, spread like a body: about half a metre."""
    return torch.randn(*shape, 22, 3, generator=torch.Generator().manual_seed(seed)) * 0.5


def rotation(*rotvec: float) -> torch.Tensor:
    return roma.rotvec_to_rotmat(torch.tensor(rotvec))


def test_mpjpe_ignores_where_the_body_stands() -> None:
    joints = poses(3)
    torch.testing.assert_close(distances.mpjpe(joints + torch.tensor([5.0, -2.0, 1.0]), joints), torch.zeros(3))


def test_mpjpe_of_one_displaced_joint_is_its_displacement_over_the_joint_count() -> None:
    target = poses(1)
    predicted = target.clone()
    predicted[0, 7] += torch.tensor([0.3, 0.0, 0.4])  # 0.5 m away, 22 joints: 0.5 / 22
    torch.testing.assert_close(distances.mpjpe(predicted, target), torch.tensor([0.5 / 22]))


def test_mpjpe_counts_a_displaced_pelvis_at_every_other_joint() -> None:
    target = poses(1)
    predicted = target.clone()
    predicted[0, 0, 1] += 0.1  # after alignment the 21 others are off by 0.1 each
    torch.testing.assert_close(distances.mpjpe(predicted, target), torch.tensor([0.1 * 21 / 22]))


def test_mpjpe_equals_the_loop_it_abbreviates() -> None:
    a, b = poses(4, seed=1), poses(4, seed=2)
    expected = [
        sum(math.dist((a[n, j] - a[n, 0]).tolist(), (b[n, j] - b[n, 0]).tolist()) for j in range(22)) / 22
        for n in range(4)
    ]
    torch.testing.assert_close(distances.mpjpe(a, b), torch.tensor(expected))


def test_mpjpe_refuses_sets_of_different_shape() -> None:
    with pytest.raises(ValueError, match="equal shape"):
        distances.mpjpe(poses(2), poses(3))


@settings(max_examples=20, deadline=None)
@given(st.floats(-3, 3), st.floats(-1.5, 1.5), st.floats(-3, 3), st.floats(0.3, 3.0), st.integers(0, 1000))
def test_pa_mpjpe_is_zero_for_a_turned_moved_and_scaled_copy(
    a: float, b: float, c: float, scale: float, seed: int
) -> None:
    target = poses(1, seed=seed)
    copy = scale * target @ rotation(a, b, c).T + torch.tensor([1.0, -2.0, 0.5])
    assert distances.pa_mpjpe(copy, target).item() < 1e-5


def test_pa_mpjpe_does_not_reflect() -> None:
    target = poses(1)
    assert distances.pa_mpjpe(target * torch.tensor([-1.0, 1.0, 1.0]), target).item() > 0.1


def test_pa_mpjpe_squared_error_is_not_improved_by_any_nearby_alignment() -> None:
    predicted, target = poses(1, seed=3).double(), poses(1, seed=4).double()
    turn, shift, scale = roma.rigid_points_registration(predicted, target, compute_scaling=True)

    def squared(turn: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> float:
        return float((scale * (predicted @ turn.transpose(-1, -2)) + shift.unsqueeze(-2) - target).square().sum())

    best = squared(turn, shift, scale)
    for k in range(3):
        for sign in (-1.0, 1.0):
            axis = torch.zeros(3, dtype=torch.float64)
            axis[k] = sign * 0.02
            assert squared(roma.rotvec_to_rotmat(axis) @ turn, shift, scale) > best
            assert squared(turn, shift + axis, scale) > best
            assert squared(turn, shift, scale * (1 + sign * 0.02)) > best


def test_pa_mpjpe_of_a_mirrored_pair_of_points_is_half_their_gap() -> None:
    # Two points fit two points exactly; a third, alone in its place, is what remains. Worked by hand:
    # source (-1,0,0),(1,0,0),(0,0,0); goal the same with (0,0.3,0) last. Best: no turn, shift (0,0.1,0), scale 1.
    source = torch.tensor([[[-1.0, 0, 0], [1, 0, 0], [0, 0, 0]]])
    goal = torch.tensor([[[-1.0, 0, 0], [1, 0, 0], [0, 0.3, 0]]])
    torch.testing.assert_close(distances.pa_mpjpe(source, goal), torch.tensor([(0.1 + 0.1 + 0.2) / 3]))


def test_pve_aligns_by_the_pelvis_and_not_by_the_mesh() -> None:
    target = torch.zeros(1, 5, 3)
    predicted = target + torch.tensor([0.0, 0.0, 2.0])
    pelvis = torch.zeros(1, 3)
    torch.testing.assert_close(
        distances.pve(predicted, target, pelvis + torch.tensor([0, 0, 2.0]), pelvis), torch.zeros(1)
    )
    torch.testing.assert_close(distances.pve(predicted, target, pelvis, pelvis), torch.tensor([2.0]))
