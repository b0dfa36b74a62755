import math

import pytest
import torch
from torch.distributions import Categorical, LowRankMultivariateNormal, MixtureSameFamily

from pose_rft.policy.mixture import PoseMixture, interleave

JOINTS, DIMS, RANK, COMPONENTS = 4, 24, 3, 3


def make(seed, components=COMPONENTS):
    g = torch.Generator().manual_seed(seed)
    weight = torch.randn(2, components, generator=g, dtype=torch.float64).log_softmax(dim=-1)
    means = torch.randn(2, components, DIMS, generator=g, dtype=torch.float64)
    std = torch.rand(2, components, DIMS, generator=g, dtype=torch.float64) + 0.3
    factor = torch.randn(2, components, DIMS, RANK, generator=g, dtype=torch.float64)
    return PoseMixture(weight, means, std, factor)


def reference(mixture):
    components = LowRankMultivariateNormal(mixture.means, mixture.factor, mixture.std.square())
    return MixtureSameFamily(Categorical(logits=mixture.log_weight), components)


def test_the_likelihood_is_that_of_the_whole_pose():
    mixture, action = make(0), torch.randn(2, 5, JOINTS, 6, dtype=torch.float64)
    expected = torch.stack([reference(mixture).log_prob(action[:, k].flatten(1)) for k in range(5)], dim=1)
    logp = mixture.log_prob(action)
    assert logp.shape == (2, 5, 1)
    torch.testing.assert_close(logp[..., 0], expected)


def test_samples_have_the_stated_moments_and_choose_components_by_their_weight():
    mixture = make(1)
    samples = mixture.sample(40_000, generator=torch.Generator().manual_seed(0)).flatten(-2)
    torch.testing.assert_close(samples.mean(dim=1), reference(mixture).mean, atol=0.06, rtol=0)
    torch.testing.assert_close(samples.var(dim=1), reference(mixture).variance, atol=0.2, rtol=0.05)
    apart = PoseMixture(mixture.log_weight, 50.0 * mixture.means, mixture.std, mixture.factor)
    samples = apart.sample(10_000, generator=torch.Generator().manual_seed(0)).flatten(-2)
    nearest = torch.cdist(samples, apart.means).argmin(dim=-1)
    shares = torch.stack([(nearest == c).double().mean(dim=1) for c in range(COMPONENTS)], dim=1)
    torch.testing.assert_close(shares, mixture.log_weight.exp(), atol=0.02, rtol=0)


def test_temperature_zero_is_the_likeliest_components_mean_and_lower_temperatures_choose_it_more_often():
    mixture = make(2)
    apart = PoseMixture(mixture.log_weight, 50.0 * mixture.means, mixture.std, mixture.factor)
    torch.testing.assert_close(apart.sample(2, 0.0)[:, 1].flatten(-2), apart.mean)
    assert torch.equal(apart.mean, apart.means[torch.arange(2), apart.log_weight.argmax(dim=-1)])

    def share(temperature):
        samples = apart.sample(4_000, temperature, torch.Generator().manual_seed(0)).flatten(-2)
        return (torch.cdist(samples, apart.means).argmin(dim=-1) == apart.likeliest[:, None]).double().mean(dim=1)

    assert (share(0.5) > share(1.0)).all()


@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.7])
def test_what_is_sampled_at_a_temperature_is_a_sample_of_the_tempered_mixture(temperature):
    mixture = make(6)
    noise = torch.randn(2, 50, mixture.noise_size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tempered = mixture.tempered(temperature)
    torch.testing.assert_close(mixture.from_noise(noise, temperature), tempered.from_noise(noise))
    by_pose = torch.full((50, 1), temperature, dtype=torch.float64)
    torch.testing.assert_close(mixture.from_noise(noise, by_pose), tempered.from_noise(noise))
    weights = mixture.log_weight.exp() ** (1 / temperature)
    torch.testing.assert_close(tempered.log_weight.exp(), weights / weights.sum(dim=-1, keepdim=True))
    covariance = reference(mixture).component_distribution.covariance_matrix
    torch.testing.assert_close(
        reference(tempered).component_distribution.covariance_matrix, temperature**2 * covariance
    )


def test_the_kl_is_a_bound_that_is_zero_for_the_same_mixture():
    p, q = make(3), make(4)
    torch.testing.assert_close(p.kl(p), torch.zeros(2, dtype=torch.float64), atol=1e-9, rtol=0)
    samples = p.sample(20_000, generator=torch.Generator().manual_seed(0))
    estimate = (p.log_prob(samples) - q.log_prob(samples)).mean(dim=(1, 2))
    assert (p.kl(q) > estimate - 0.1).all()


def test_the_kl_of_one_component_is_exact():
    p, q = make(3, 1), make(4, 1)
    samples = p.sample(60_000, generator=torch.Generator().manual_seed(0))
    estimate = (p.log_prob(samples) - q.log_prob(samples)).mean(dim=(1, 2))
    torch.testing.assert_close(p.kl(q), estimate, rtol=0.02, atol=0)


def test_the_mean_near_an_action_is_that_of_its_component():
    mixture = make(5)
    for c in range(COMPONENTS):
        action = mixture.means[:, c] + 0.01
        apart = PoseMixture(mixture.log_weight, 10.0 * mixture.means, mixture.std, mixture.factor)
        torch.testing.assert_close(apart.mean_near(10.0 * action), apart.means[:, c])


def test_mixtures_of_different_size_stand_in_one_batch():
    first, second = make(6), make(7, 1)
    both = interleave(torch.tensor([False, True, True, False]), first, second)
    action = torch.randn(4, 2, JOINTS, 6, dtype=torch.float64)
    logp = both.log_prob(action)
    torch.testing.assert_close(logp[[0, 3]], first.log_prob(action[[0, 3]]))
    torch.testing.assert_close(logp[[1, 2]], second.log_prob(action[[1, 2]]))
    assert torch.isfinite(both.kl(both)).all()


def test_what_is_scattered_is_found_again_and_the_rest_is_standard_normal():
    mixture = make(8)
    spread = mixture.scatter(torch.tensor([0, 2]), 3)
    action = torch.zeros(3, 1, JOINTS, 6, dtype=torch.float64)
    torch.testing.assert_close(spread.log_prob(action)[[0, 2]], mixture.log_prob(action[[0, 2]]))
    assert spread.log_prob(action)[1].item() == pytest.approx(-DIMS / 2 * math.log(2 * math.pi))


def test_gradients_reach_every_part():
    parts = [part.requires_grad_() for part in vars(make(9)).values()]
    mixture = PoseMixture(*parts)
    (mixture.log_prob(torch.randn(2, 3, JOINTS, 6, dtype=torch.float64)).sum() + mixture.kl(make(10)).sum()).backward()
    assert all(part.grad is not None and torch.isfinite(part.grad).all() and part.grad.any() for part in parts)
