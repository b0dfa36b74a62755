import torch

from pose_rft.policy.pose_head import rotation_6d
from pose_rft.sft.pose_prior import fit_pose_prior, reconstruction_errors


def test_a_prior_learns_the_poses_it_is_shown_and_normalises_their_codes():
    generator = torch.Generator().manual_seed(0)
    directions = 0.5 * torch.randn(3, 22, 3, generator=generator)
    poses = torch.einsum("nk,kjc->njc", torch.rand(512, 3, generator=generator), directions)
    weights = torch.ones(len(poses))
    short, long, again = (fit_pose_prior(poses, weights, steps, 64, progress=False) for steps in (1, 80, 80))
    assert reconstruction_errors(long, poses).mean() < 0.4 * reconstruction_errors(short, poses).mean()
    assert torch.equal(again.linear_decoder.weight, long.linear_decoder.weight)
    codes = long.encode(rotation_6d(poses))[:, 1:].flatten(1)
    torch.testing.assert_close(codes.mean(dim=0), torch.zeros(48), atol=0.3, rtol=0)
    torch.testing.assert_close(codes.std(dim=0), torch.ones(48), atol=0.3, rtol=0)
    assert not list(long.parameters())
