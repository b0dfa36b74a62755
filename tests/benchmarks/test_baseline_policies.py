"""What a policy has to beat answers as a policy does."""

import math

import pytest
import torch

from benchmarks.support.baseline_policies import MeanPose, NearestPose, VaePolicy
from benchmarks.support.pose_vae import VaeTraining, gaussian_kl, train_pose_vae
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.evaluation.benchmarks import evaluate_samples
from pose_rft.evaluation.grading import answered_poses
from pose_rft.retrieval.model import RetrievalModel, RetrievalSettings

ELBOW = JOINT_INDEX["left_elbow"]
SMALL = VaeTraining(latent=4, width=16, steps=150, batch_size=32, learning_rate=1e-2, kl=1e-4, kl_standard=1e-6)


def bent(amount: float) -> torch.Tensor:
    pose = torch.zeros(22, 3)
    pose[ELBOW, 1] = -amount
    return pose


def pairs(count: int) -> list[Sample]:
    amounts = {"straight": 0.1, "bent": 1.5}
    names = [list(amounts)[n % 2] for n in range(count)]
    return [Sample(f"the elbow is {name}", "", pose=bent(amounts[name]).numpy()) for name in names]


def test_the_mean_pose_is_the_mean_rotation_and_heeds_no_words():
    policy = MeanPose(torch.stack([bent(0.4), bent(0.8)]))
    poses = answered_poses(policy.generate(["a", "b"], num_samples=3))
    assert poses.shape == (2, 3, 22, 3)
    assert torch.allclose(poses, bent(0.6).expand(2, 3, 22, 3), atol=1e-5)


def retriever() -> RetrievalModel:
    torch.manual_seed(0)
    return RetrievalModel(RetrievalSettings(width=16, heads=2, pose_width=16, pose_blocks=1), ["a", "b"]).eval()


def test_the_nearest_pose_is_the_one_with_the_highest_score():
    model, poses = retriever(), torch.randn(50, 22, 3, generator=torch.Generator().manual_seed(0)) * 0.5
    answers = answered_poses(NearestPose(model, poses).generate(["a", "b"], num_samples=2, temperature=0))
    best = (model.embed_text(["a", "b"]) @ model.embed_pose(poses).T).argmax(1)
    assert torch.equal(answers[:, 0], poses[best])
    assert torch.equal(answers[:, 0], answers[:, 1])


def test_sampled_nearest_poses_follow_the_seed_and_are_of_the_training_set():
    poses = torch.randn(50, 22, 3, generator=torch.Generator().manual_seed(0)) * 0.5
    policy = NearestPose(retriever(), poses)
    first, again, other = (answered_poses(policy.generate(["a"], num_samples=8, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert all((pose == poses).flatten(1).all(1).any() for pose in first[0])


def test_a_vae_learns_which_words_go_with_which_pose():
    policy = VaePolicy(train_pose_vae(pairs(64), SMALL))
    elbow = answered_poses(policy.generate(["the elbow is straight", "the elbow is bent"], temperature=0))[:, 0, ELBOW]
    assert elbow.norm(dim=-1).tolist() == pytest.approx([0.1, 1.5], abs=0.35)
    sampled = answered_poses(policy.generate(["the elbow is bent"], num_samples=4, seed=3))
    assert sampled.isfinite().all()
    assert (sampled[0, 0] - sampled[0, 1]).abs().max() > 0


def test_training_a_vae_is_repeatable_and_needs_a_batch_of_pairs():
    short = VaeTraining(latent=4, width=16, steps=2, batch_size=32)
    first, again = (train_pose_vae(pairs(40), short).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    with pytest.raises(UserError, match="10 pairs of text and pose are fewer than batch_size 32"):
        train_pose_vae(pairs(10), short)


def test_the_divergence_of_two_gaussians_is_worked_by_hand():
    # N(1, 2^2) from N(0, 1): log(1/2) + (4 + 1) / 2 - 1/2, in each of two dimensions
    first = torch.tensor([[1.0, 1.0, math.log(2), math.log(2)]])
    assert gaussian_kl(first, torch.zeros(1, 4)).item() == pytest.approx(2 * (2 - math.log(2)))
    assert gaussian_kl(first, first).item() == pytest.approx(0, abs=1e-6)


def test_baselines_are_judged_like_policies():
    samples = [Sample("a", "", checks=("angle(left_elbow) < 150",)), Sample("b", "")]
    result = evaluate_samples(samples, MeanPose(bent(1.5).unsqueeze(0)), num_samples=2)
    assert result["mean_pose"]["satisfaction"]["mean"] == 1
    assert result["sampled"]["diversity_mm"]["mean"] == 0
