"""Actions that are words of the bundled codebook: exact likelihoods, sampling, checkpoints, both stages."""

import itertools
from dataclasses import replace

import pytest
import torch

from pose_rft.errors import UserError
from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.policy import HeadConfig, PolicyConfig, PoseBranchConfig, PosePolicy
from pose_rft.policy.hidden_state_cache import cache_hidden_states
from pose_rft.policy.pose_codebook import TOKENS, WORDS, PoseCodebook
from pose_rft.policy.pose_head import make_pose_head
from pose_rft.policy.pose_prior import PosePrior
from pose_rft.policy.pose_tokens import PoseTokens
from pose_rft.runs.rft import PosePhaseConfig, RftConfig, run_rft
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.sft.losses import LossWeights, pose_losses
from pose_rft.sft.pose_codebook import fit_pose_codebook
from pose_rft.sft.pose_prior import reconstruction_errors
from pose_rft.sft.trainer import PhaseConfig
from tests.policy.conftest import samples

HIDDEN = 16
SPOKEN = HeadConfig(space="tokens", width=32, depth=1, heads=4)


def small(count=2, places=3, words=4, width=5, seed=0):
    """Distributions over all 64 sequences of three tokens out of four, in double precision."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return PoseTokens(
        drawn(count, places, width), drawn(places, words, width), drawn(places, width, words), drawn(places, words)
    )


def every_sequence(places=3, words=4):
    """(words ** places, places, 1)."""
    return torch.tensor(list(itertools.product(range(words), repeat=places)), dtype=torch.float64).unsqueeze(-1)


@pytest.fixture
def head():
    torch.manual_seed(0)
    return make_pose_head(HIDDEN, SPOKEN)


@pytest.fixture
def tokens_policy(tiny_backbone):
    return PosePolicy.create(PolicyConfig(tiny_backbone, 2, SPOKEN), dtype=torch.float32)


def test_the_likelihoods_of_all_sequences_add_up_to_one():
    sequences = every_sequence().expand(2, -1, -1, -1)
    likelihood = small().log_prob(sequences).sum(dim=-1).exp()
    torch.testing.assert_close(likelihood.sum(dim=1), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_sequences_are_sampled_as_often_as_they_are_likely(temperature):
    predicted, sequences = small(), every_sequence()
    sampled = predicted.sample(40_000, temperature, torch.Generator().manual_seed(1))[..., 0]
    seen = torch.stack([(sampled == each[:, 0]).all(dim=-1).double().mean(dim=1) for each in sequences], dim=1)
    likely = predicted.tempered(temperature).log_prob(sequences.expand(2, -1, -1, -1)).sum(dim=-1).exp()
    torch.testing.assert_close(seen, likely, atol=0.01, rtol=0)


def test_zeros_and_temperature_0_are_the_likeliest_token_at_every_place():
    predicted = small()
    noise = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(predicted.from_noise(torch.zeros(2, 1, 3))[:, 0, :, 0], predicted.mean)
    cold = predicted.from_noise(noise, torch.tensor([[0.0], [0.0], [0.0], [1.0], [1.0], [1.0]]))[..., 0]
    assert (cold[:, :3] == predicted.mean[:, None]).all()
    assert (cold[:, 3:] != predicted.mean[:, None]).any()
    first = predicted.log_prob(every_sequence().expand(2, -1, -1, -1))[:, ::16, 0]  # of the four first tokens
    assert torch.equal(predicted.mean[:, 0], first.argmax(dim=1).double())


def test_the_divergence_is_estimated_without_bias_and_is_zero_of_the_same():
    one, other, sequences = small(), small(seed=3), every_sequence().expand(2, -1, -1, -1)
    logp, theirs = (each.log_prob(sequences).sum(dim=-1) for each in (one, other))
    exact = (logp.exp() * (logp - theirs)).sum(dim=1)
    torch.manual_seed(0)
    estimate = torch.stack([one.kl(other) for _ in range(500)])
    assert estimate.min() >= 0
    torch.testing.assert_close(estimate.mean(dim=0), exact, rtol=0.1, atol=0.05)
    assert torch.equal(one.kl(one), torch.zeros(2, dtype=torch.float64))


def test_a_distribution_stays_what_it_is_when_its_head_is_trained(head):
    memory = torch.randn(3, 5, HIDDEN)
    predicted = head(memory, torch.ones(3, 5, dtype=torch.bool), memory[:, -1])
    action = predicted.sample(2)
    before = predicted.log_prob(action)
    before.sum().backward()
    assert all(weight.grad is not None for weight in head.parameters())
    with torch.no_grad():
        for weight in head.parameters():
            weight += 1.0
    assert torch.equal(predicted.log_prob(action), before)


def test_rows_are_chosen_and_put_in_their_places():
    predicted, sequences = small(3), every_sequence().expand(5, -1, -1, -1)
    spread = predicted.scatter(torch.tensor([4, 0, 2]), 5).log_prob(sequences)
    torch.testing.assert_close(spread[[4, 0, 2]], predicted.log_prob(sequences[:3]))
    torch.testing.assert_close(predicted[1:].log_prob(sequences[:2]), predicted.log_prob(sequences[:3])[1:])


@pytest.mark.parametrize("settings", [{}, {"kind": "mlp"}, {"sentence": 24}])
def test_every_head_speaks_and_every_sentence_is_a_pose(settings):
    head = make_pose_head(HIDDEN, replace(SPOKEN, **settings))
    memory = torch.randn(3, 5, HIDDEN)
    sampled = head(memory, torch.ones(3, 5, dtype=torch.bool), memory[:, -1]).sample(2)
    assert sampled.shape == (3, 2, TOKENS, 1)
    rotations = head.to_rotations(sampled)
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand_as(rotations), atol=1e-5, rtol=0)


def test_plausible_poses_survive_their_words(head, plausible):
    assert reconstruction_errors(head.prior, plausible).mean() < 30  # millimetres
    words = head.to_action(plausible)
    assert words.shape == (16, TOKENS, 1)
    assert ((words >= 0) & (words < WORDS) & (words == words.round())).all()


def test_a_codebook_of_few_poses_says_each_of_them_exactly(plausible):
    prior = PosePrior.bundled()
    codebook = fit_pose_codebook(prior, plausible[:4], torch.ones(4))
    lost = reconstruction_errors(codebook, plausible[:4]) - reconstruction_errors(prior, plausible[:4])
    assert lost.abs().max() < 0.1  # millimetres: no more than the prior loses
    assert isinstance(codebook, PoseCodebook)


def test_the_supervised_loss_is_of_the_tokens_alone(head, plausible):
    memory = torch.randn(16, 5, HIDDEN)
    predicted = head(memory, torch.ones(16, 5, dtype=torch.bool), memory[:, -1])
    losses = pose_losses(head, lambda r: r.new_zeros(len(r), 32, 3), predicted, plausible)
    by_hand = -predicted.log_prob(head.to_action(plausible)[:, None]).mean()
    torch.testing.assert_close(losses["likelihood"], by_hand)
    assert not losses["joints"].requires_grad


def test_supervised_training_and_the_pose_phase_of_hygrpo_teach_words(tiny_backbone, tmp_path):
    config = SftConfig(
        policy=PolicyConfig(tiny_backbone, 2, SPOKEN),
        output_dir=str(tmp_path / "sft"),
        head=PhaseConfig(samples=8, steps=30, batch_size=8, learning_rate=1e-2),
        joint=PhaseConfig(samples=8, steps=2, batch_size=8),
        loss=LossWeights(joints=0),
        device="cpu",
    )
    before = pose_likelihood(PosePolicy.create(config.policy, dtype=torch.float32))
    trained = run_sft(config, samples=samples())
    assert pose_likelihood(trained) > before + 20  # nats
    rft = RftConfig(
        policy=str(tmp_path / "sft" / "policy"),
        output_dir=str(tmp_path / "rft"),
        pose_phase=PosePhaseConfig(steps=4, prompts_per_step=3),
        hygrpo=HyGRPOConfig(steps=0, poses_per_answer=6, pose_ratio="per_joint"),
        device="cpu",
    )
    reinforced, history = run_rft(rft, samples=samples(4))
    assert len([entry for entry in history if "objective" in entry]) == 4
    assert not torch.equal(reinforced.head.readout, trained.head.readout)
    assert torch.equal(reinforced.head.prior.words, trained.head.prior.words)
    answers = reinforced.generate(["number 3"], num_samples=2, seed=0, best_of=4, words=False)
    assert answers[0][0].pose.joints().shape == (22, 3)


def pose_likelihood(policy):
    """Of the words of a pose that training shows, nats."""
    known = samples()
    cache = cache_hidden_states(policy, known, progress=False)
    with torch.no_grad():
        action = policy.head.to_action(torch.stack([torch.from_numpy(sample.pose) for sample in known]))
        return policy.predict(*cache.batch(torch.arange(8))).log_prob(action[:, None]).sum(dim=-1).mean().item()


def test_hygrpo_of_words_and_tokens_runs(tokens_policy, tmp_path):
    tokens_policy.save_pretrained(tmp_path / "start")
    hygrpo = HyGRPOConfig(steps=1, prompts_per_step=2, answers_per_prompt=2, poses_per_answer=3, max_new_tokens=6)
    config = RftConfig(policy=str(tmp_path / "start"), output_dir=str(tmp_path / "run"), hygrpo=hygrpo, device="cpu")
    _, history = run_rft(config, samples=samples(4))
    assert any("objective" in entry for entry in history)


def test_losses_that_teach_no_token_are_refused(tiny_backbone, tmp_path):
    config = SftConfig(policy=PolicyConfig(tiny_backbone, 2, SPOKEN), output_dir=str(tmp_path), device="cpu")
    with pytest.raises(UserError, match=r"loss\.joints: the pose head answers in tokens"):
        run_sft(config, samples=samples())


def test_tokens_answer_texts_alone_and_have_no_covariance():
    with pytest.raises(UserError, match="tokens answers texts alone"):
        PolicyConfig(head=SPOKEN, encoder="blazepose")
    with pytest.raises(UserError, match="tokens answers texts alone"):
        PolicyConfig(head=SPOKEN, pose_branch=PoseBranchConfig())
    with pytest.raises(UserError, match="space is tokens"):
        replace(SPOKEN, rank=4)
