"""Actions that are codes of the bundled pose prior: exact likelihoods, rotations, checkpoints, both stages."""

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch.distributions import MultivariateNormal

from pose_rft.body import load_body
from pose_rft.body.skeleton import mirror_pose
from pose_rft.errors import UserError
from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.policy import HeadConfig, PolicyConfig, PoseHead, PosePolicy
from pose_rft.policy.distribution import PoseGaussian
from pose_rft.policy.pose_prior import CODE_GROUPS, PosePrior
from pose_rft.runs.rft import PosePhaseConfig, RftConfig, run_rft
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.sft.losses import pose_losses
from pose_rft.sft.pose_prior import reconstruction_errors
from pose_rft.sft.trainer import PhaseConfig
from tests.policy.conftest import samples

HIDDEN, GROUPS = 16, 1 + CODE_GROUPS
LATENT = HeadConfig(space="latent", width=32, depth=1, heads=4, rank=2)


@pytest.fixture
def head():
    torch.manual_seed(0)
    return PoseHead(HIDDEN, LATENT)


@pytest.fixture
def latent_policy(tiny_backbone):
    return PosePolicy.create(PolicyConfig(tiny_backbone, 2, LATENT), dtype=torch.float32)


def test_likelihoods_are_those_of_one_gaussian_over_root_and_code(head, plausible):
    memory = torch.randn(3, 5, HIDDEN)
    predicted = head(memory, torch.ones(3, 5, dtype=torch.bool), memory[:, -1])
    action = head.to_action(plausible[:6]).unflatten(0, (3, 2))
    assert action.shape == (3, 2, GROUPS, 6)
    by_hand = MultivariateNormal(predicted.mean[:, None], scale_tril=predicted.scale_tril[:, None])
    torch.testing.assert_close(predicted.log_prob(action).sum(dim=-1), by_hand.log_prob(action.flatten(-2)))


@pytest.mark.parametrize("settings", [{"kind": "mlp"}, {"components": 3}, {"sentence": 24}, {"covariance": "diagonal"}])
def test_every_head_predicts_codes(settings):
    settings = {"rank": HeadConfig.rank} | settings if "covariance" in settings else settings
    latent = PoseHead(HIDDEN, replace(LATENT, **settings))
    memory = torch.randn(3, 5, HIDDEN)
    sampled = latent(memory, torch.ones(3, 5, dtype=torch.bool), memory[:, -1]).sample(2)
    assert latent.to_rotations(sampled).shape == (3, 2, 22, 3, 3)


def test_any_code_is_a_pose(head):
    rotations = head.to_rotations(3 * torch.randn(20, GROUPS, 6))
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand_as(rotations), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(20, 22), atol=1e-5, rtol=0)


def test_plausible_poses_survive_their_codes_and_their_mirrored_codes(head, plausible):
    assert reconstruction_errors(head.prior, plausible).mean() < 15  # millimetres
    mirrored = head.to_rotations(head.mirrored(head.to_action(plausible).flatten(-2)).unflatten(-1, (-1, 6)))
    body = load_body()
    apart = body.joints_from_rotations(mirrored) - body.joints(mirror_pose(plausible))
    assert apart.norm(dim=-1).mean() < 0.03


def test_the_prior_is_of_the_checkpoint_and_never_trained(latent_policy, tmp_path):
    assert not any("prior" in name for name in latent_policy.trainable())
    latent_policy.head.requires_grad_(True)
    assert not any("prior" in name for name in latent_policy.trainable())
    latent_policy.head.prior.linear_decoder.bias += 0.1  # not the bundled one any more
    latent_policy.save_pretrained(tmp_path / "saved")
    assert "prior.decoder.0.weight" in load_file(tmp_path / "saved" / "head.safetensors")
    loaded = PosePolicy.from_pretrained(tmp_path / "saved", dtype=torch.float32)
    action = torch.randn(2, GROUPS, 6)
    assert loaded.head.config == LATENT
    assert torch.equal(loaded.head.to_rotations(action), latent_policy.head.to_rotations(action))


def test_a_head_of_another_space_takes_over_the_roots_scale_alone(tiny_policy, tmp_path):
    tiny_policy.fit_action_space(0.3 * torch.randn(64, 22, 3))
    tiny_policy.save_pretrained(tmp_path / "rotations")
    old, new = tiny_policy.head, PosePolicy.from_pretrained(tmp_path / "rotations", text_head=LATENT).head
    assert torch.equal(new.action_mean[0], old.action_mean[0])
    assert torch.equal(new.action_std[0], old.action_std[0])
    assert torch.equal(new.action_std[1:], torch.ones(CODE_GROUPS, 6))


def test_supervised_losses_are_of_the_code_and_of_the_body_that_it_stands_for(head, plausible):
    code = head.to_action(plausible).flatten(1).requires_grad_()
    exact = PoseGaussian.diagonal(code, torch.ones_like(code))
    losses = pose_losses(head, load_body().points_from_rotations, exact, plausible)
    assert losses["likelihood"].item() == pytest.approx(0.5 * math.log(2 * math.pi))
    lost = reconstruction_errors(head.prior, plausible).mean().item()
    assert 1000 * losses["joints"].item() == pytest.approx(lost, rel=1e-3)
    losses["joints"].backward()
    assert code.grad.unflatten(1, (-1, 6))[:, 1:].abs().sum(dim=(0, 2)).min() > 0  # it moves every part of the code


def test_supervised_training_runs_on_codes(tiny_backbone, tmp_path):
    config = SftConfig(
        policy=PolicyConfig(tiny_backbone, 2, LATENT),
        output_dir=str(tmp_path),
        head=PhaseConfig(samples=8, steps=2, batch_size=8),
        joint=PhaseConfig(samples=8, steps=2, batch_size=8),
        device="cpu",
    )
    trained = run_sft(config, samples=samples())
    again = PosePolicy.from_pretrained(tmp_path / "policy", dtype=torch.float32)
    assert torch.equal(again.head.action_std, trained.head.action_std)
    assert torch.equal(trained.head.prior.linear_decoder.weight, PosePrior.bundled().linear_decoder.weight)


def test_the_pose_phase_of_hygrpo_trains_codes(latent_policy, tmp_path):
    latent_policy.save_pretrained(tmp_path / "start")
    config = RftConfig(
        policy=str(tmp_path / "start"),
        output_dir=str(tmp_path / "run"),
        pose_phase=PosePhaseConfig(steps=4, prompts_per_step=3),
        hygrpo=HyGRPOConfig(steps=0, poses_per_answer=6),
        device="cpu",
    )
    trained, history = run_rft(config, samples=samples(4))
    assert len([entry for entry in history if "objective" in entry]) == 4
    assert not torch.equal(trained.head.mean.weight, latent_policy.head.mean.weight)
    assert torch.equal(trained.head.prior.linear_decoder.weight, latent_policy.head.prior.linear_decoder.weight)


def test_a_ratio_per_joint_is_refused_before_anything_is_sampled(latent_policy, tmp_path):
    latent_policy.save_pretrained(tmp_path / "start")
    hygrpo = HyGRPOConfig(steps=1, pose_ratio="per_joint")
    config = RftConfig(policy=str(tmp_path / "start"), output_dir=str(tmp_path / "run"), hygrpo=hygrpo, device="cpu")
    with pytest.raises(UserError, match="codes of whole poses; take joint"):
        run_rft(config, samples=samples(4))


def test_heads_of_texts_and_pictures_share_a_space():
    with pytest.raises(UserError, match="image_head: its space is rotations"):
        PolicyConfig(head=LATENT, encoder="blazepose", image_head=replace(LATENT, space="rotations"))
