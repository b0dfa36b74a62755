import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from pose_rft.policy.distribution import PoseGaussian

JOINTS, DIMS, RANK = 4, 24, 3


def make(seed, diagonal=False):
    g = torch.Generator().manual_seed(seed)
    mean = torch.randn(2, DIMS, generator=g, dtype=torch.float64)
    std = torch.rand(2, DIMS, generator=g, dtype=torch.float64) + 0.3
    if diagonal:
        return PoseGaussian.diagonal(mean, std), torch.diag_embed(std.square())
    factor = torch.randn(2, DIMS, RANK, generator=g, dtype=torch.float64)
    return PoseGaussian.low_rank(mean, std, factor), factor @ factor.mT + torch.diag_embed(std.square())


@pytest.mark.parametrize("diagonal", [True, False])
def test_joint_terms_add_up_to_the_density_of_the_whole_pose(diagonal):
    gaussian, covariance = make(0, diagonal)
    action = torch.randn(2, 5, JOINTS, 6, dtype=torch.float64)
    reference = MultivariateNormal(gaussian.mean[:, None], covariance[:, None])
    terms = gaussian.log_prob(action)
    assert terms.shape == (2, 5, JOINTS)
    torch.testing.assert_close(terms.sum(-1), reference.log_prob(action.flatten(-2)))


def test_a_joints_term_is_its_density_given_the_joints_before_it():
    gaussian, covariance = make(1)
    action = torch.randn(2, 1, JOINTS, 6, dtype=torch.float64)
    first_two = MultivariateNormal(gaussian.mean[:, :12], covariance[:, :12, :12]).log_prob(
        action[:, 0, :2].flatten(-2)
    )
    torch.testing.assert_close(gaussian.log_prob(action)[:, 0, :2].sum(-1), first_two)


@pytest.mark.parametrize(("first", "second"), [(True, True), (False, False), (True, False), (False, True)])
def test_kl_is_the_closed_form(first, second):
    (p, p_covariance), (q, q_covariance) = make(2, first), make(3, second)
    expected = kl_divergence(MultivariateNormal(p.mean, p_covariance), MultivariateNormal(q.mean, q_covariance))
    torch.testing.assert_close(p.kl(q), expected)
    torch.testing.assert_close(p.kl(p), torch.zeros(2, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("diagonal", [True, False])
def test_samples_have_the_stated_mean_and_covariance(diagonal):
    gaussian, covariance = make(4, diagonal)
    samples = gaussian.sample(60_000, generator=torch.Generator().manual_seed(0)).flatten(-2)
    torch.testing.assert_close(samples.mean(1), gaussian.mean, atol=0.05, rtol=0)
    for n in range(2):
        torch.testing.assert_close(torch.cov(samples[n].T), covariance[n], atol=0.25, rtol=0.05)


def test_temperature_zero_is_the_mean_and_temperature_scales_the_spread():
    gaussian, _ = make(5)
    assert torch.equal(gaussian.sample(2, 0.0)[:, 0].flatten(-2), gaussian.mean)

    def sample(temperature):
        return gaussian.sample(1, temperature, torch.Generator().manual_seed(1))[:, 0].flatten(-2) - gaussian.mean

    torch.testing.assert_close(sample(2.0), 4 * sample(0.5))


@pytest.mark.parametrize("diagonal", [True, False])
def test_what_is_sampled_at_a_temperature_is_a_sample_of_the_tempered_gaussian(diagonal):
    gaussian, covariance = make(5, diagonal)
    tempered = gaussian.tempered(0.5)
    noise = torch.randn(2, 4, gaussian.noise_size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(gaussian.from_noise(noise, 0.5), tempered.from_noise(noise))
    action = torch.randn(2, 1, JOINTS, 6, dtype=torch.float64)
    expected = MultivariateNormal(gaussian.mean, 0.25 * covariance).log_prob(action[:, 0].flatten(1))
    torch.testing.assert_close(tempered.log_prob(action).sum(dim=-1)[:, 0], expected)


@pytest.mark.parametrize("diagonal", [True, False])
def test_places_without_a_distribution_of_their_own_are_standard_normal(diagonal):
    gaussian, _ = make(0, diagonal)
    spread = gaussian.scatter(torch.tensor([3, 1]), 5)
    action = torch.randn(5, 1, JOINTS, 6, dtype=torch.float64)
    expected = torch.distributions.Normal(0, 1).log_prob(action).sum(dim=-1)
    expected[[3, 1]] = gaussian.log_prob(action[[3, 1]])
    torch.testing.assert_close(spread.log_prob(action), expected)
