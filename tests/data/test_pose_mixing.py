import numpy as np
import torch

from pose_rft.body.skeleton import mirror_pose
from pose_rft.data.mocap.pose_mixing import interpolated, mixed_poses


def poses(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=0.3, size=(n, 22, 3)).astype(np.float32)


def test_a_pose_mixed_with_itself_only_trembles_or_turns_its_sides() -> None:
    pose = np.repeat(poses(1, 0), 400, axis=0)
    mixed = mixed_poses(pose, pose, np.random.default_rng(0))
    assert mixed.shape == (400, 22, 3)
    assert mixed.dtype == np.float32
    turned = mirror_pose(torch.from_numpy(pose)).numpy()
    same, mirrored = (np.isclose(mixed, other, atol=1e-4).all(axis=(1, 2)) for other in (pose, turned))
    assert 0.1 < same.mean() < 0.25  # 30 % keep still, half of them mirrored
    assert 0.1 < mirrored.mean() < 0.25
    nearest = np.minimum(np.abs(mixed - pose).max(axis=(1, 2)), np.abs(mixed - turned).max(axis=(1, 2)))
    assert nearest.max() < 1.0


def test_halves_of_two_poses_meet() -> None:
    first, second = poses(300, 1), poses(300, 2)
    mixed = mixed_poses(first, second, np.random.default_rng(0))
    legs, spine = 1, 9
    halves = np.isclose(mixed[:, legs], first[:, legs], atol=1e-4).all(1) & np.isclose(
        mixed[:, spine], second[:, spine], atol=1e-4
    ).all(1)
    assert halves.any()


def test_the_middle_of_two_turns_is_half_a_turn() -> None:
    first, second = torch.zeros(1, 22, 3), torch.zeros(1, 22, 3)
    second[:, :, 1] = 1.0
    assert torch.allclose(interpolated(first, second, torch.full((1, 1, 1), 0.5))[..., 1], torch.tensor(0.5), atol=1e-6)
    assert torch.allclose(interpolated(first, second, torch.ones(1, 1, 1)), second, atol=1e-6)
