"""A mixture of Gaussians over poses: where several poses fit the words, each has a component and none is averaged."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from pose_rft.policy.distribution import JOINT_DIMS, PoseGaussian
from pose_rft.policy.pose_tokens import PoseTokens

NEVER = -1e4  # log-weight of a component that is there for its shape alone


@dataclass(frozen=True)
class PoseMixture:
    """N mixtures of C low-rank Gaussians over actions of D = J * 6 numbers.

    A component is a whole pose, not a joint: what is likely is the left arm up or the right one, not half of each.

    Attributes:
        log_weight: (N, C) logarithms of the components' probabilities.
        means: (N, C, D).
        std: (N, C, D) square roots of the diagonal part of the covariance.
        factor: (N, C, D, R): the covariance is ``diag(std^2) + factor factor^T``.
    """

    log_weight: Tensor
    means: Tensor
    std: Tensor
    factor: Tensor

    @property
    def likeliest(self) -> Tensor:
        """(N,) the component of the largest weight."""
        return self.log_weight.argmax(dim=-1)

    @property
    def mean(self) -> Tensor:
        """(N, D) of the likeliest component: a pose that the mixture stands for, as the mean of all is not."""
        return self._chosen(self.means, self.likeliest)

    @property
    def noise_size(self) -> int:
        """How many standard normal numbers make one action."""
        components, numbers, rank = self.factor.shape[1:]
        return numbers + rank + components

    @staticmethod
    def _chosen(of_components: Tensor, which: Tensor) -> Tensor:
        return of_components[torch.arange(len(which), device=which.device), which]

    def mean_near(self, action: Tensor) -> Tensor:
        """(N, D) the mean of the component that most probably made the action (N, D)."""
        with torch.no_grad():
            which = (self.log_weight + self._log_densities(action[:, None])[:, 0]).argmax(dim=-1)
        return self._chosen(self.means, which)

    def with_mean(self, rows: Tensor, mean: Tensor) -> "PoseMixture":
        """The same, but for ``rows`` (N,) bool, whose likeliest component has another ``mean`` (rows, D)."""
        means = self.means.clone()
        means[rows.nonzero()[:, 0], self.likeliest[rows]] = mean
        return PoseMixture(self.log_weight, means, self.std, self.factor)

    def with_means(self, made_of: Callable[[Tensor], Tensor]) -> "PoseMixture":
        """The same spread about other means, which a function makes of these, (N, C, D)."""
        return PoseMixture(self.log_weight, made_of(self.means), self.std, self.factor)

    def from_noise(self, noise: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
        """The actions (N, K, J, 6) that standard normal numbers (N, K, ``noise_size``) stand for.

        The last C numbers choose the component by the Gumbel-max trick, so that zeros are the likeliest component's
        mean, and so is any noise at temperature 0.

        Args:
            temperature: as ``tempered`` has it; one number, or (K, 1).
        """
        components, numbers, rank = self.factor.shape[1:]
        own, shared, choice = noise.split([numbers, rank, components], dim=-1)
        uniform = torch.special.ndtr(choice.double()).clamp(1e-12, 1 - 1e-12)
        gumbel = (-torch.log(-torch.log(uniform)) * temperature).to(self.log_weight)
        which = (self.log_weight[:, None] + gumbel).argmax(dim=-1)  # (N, K)
        rows = torch.arange(len(which), device=which.device)[:, None]
        own, shared = ((part * temperature).to(self.means) for part in (own, shared))
        spread = torch.einsum("nkdr,nkr->nkd", self.factor[rows, which], shared)
        action = self.means[rows, which] + own * self.std[rows, which] + spread
        return action.unflatten(-1, (-1, JOINT_DIMS))

    def sample(self, count: int, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """(N, count, J, 6); temperature 0 gives the mean of the likeliest component."""
        shape = (len(self.means), count, self.noise_size)
        return self.from_noise(torch.randn(shape, generator=generator), temperature)

    def tempered(self, temperature: float) -> "PoseMixture":
        """The distribution that sampling at a temperature above 0 draws from.

        Weights are sharpened as a softmax's are, ``w^(1/T)``, and the components' standard deviations scaled by it.
        """
        log_weight = torch.log_softmax(self.log_weight / temperature, dim=-1)
        return PoseMixture(log_weight, self.means, self.std * temperature, self.factor * temperature)

    def log_prob(self, action: Tensor) -> Tensor:
        """(N, K, 1) log-likelihoods of whole actions (N, K, J, 6): a mixture's are no sum over joints."""
        terms = self.log_weight[:, None] + self._log_densities(action.flatten(-2))
        return torch.logsumexp(terms, dim=-1, keepdim=True)

    def _log_densities(self, action: Tensor) -> Tensor:
        """(N, K, C) of (N, K, D) under each component, by the matrix inversion and determinant lemmas."""
        white = (action[:, :, None] - self.means[:, None]) / self.std[:, None]  # (N, K, C, D)
        scaled = self.factor / self.std[..., None]  # (N, C, D, R)
        inner = scaled.mT @ scaled + torch.eye(scaled.shape[-1], device=scaled.device)
        lower = torch.linalg.cholesky(inner)  # (N, C, R, R)
        projected = torch.einsum("nkcd,ncdr->ncrk", white, scaled)
        explained = torch.linalg.solve_triangular(lower, projected, upper=False).square().sum(dim=-2)  # (N, C, K)
        log_scale = self.std.log().sum(dim=-1) + lower.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
        square = white.square().sum(dim=-1) - explained.mT
        return -0.5 * square - log_scale[:, None] - 0.5 * white.shape[-1] * math.log(2 * math.pi)

    def kl(self, other: "PoseMixture") -> Tensor:
        """The matched bound of ``KL(self || other)``, (N,) nats; it is 0 where both are the same.

        ``KL(w || v) + sum_c w_c KL(g_c || h_c)``, which is never below the KL (log-sum inequality; Do, "Fast
        approximation of Kullback-Leibler distance", 2003). Components of a policy and its reference match by number.
        """
        apart = self._gaussians().kl(other._gaussians()).unflatten(0, self.log_weight.shape)
        return (self.log_weight.exp() * (self.log_weight - other.log_weight + apart)).sum(dim=-1)

    def _gaussians(self) -> PoseGaussian:
        """All N * C components."""
        return PoseGaussian.low_rank(*(part.flatten(0, 1) for part in (self.means, self.std, self.factor)))

    def total(self) -> Tensor:
        """The sum of all that it is made of, through which every weight that made it has a gradient."""
        return sum((getattr(self, f.name).sum() for f in fields(self)), start=self.means.new_zeros(()))

    # ---- as a batch ----

    def detach(self) -> "PoseMixture":
        return PoseMixture(*(getattr(self, f.name).detach() for f in fields(self)))

    def __getitem__(self, index: Tensor | slice) -> "PoseMixture":
        return PoseMixture(*(getattr(self, f.name)[index] for f in fields(self)))

    def padded(self, components: int) -> "PoseMixture":
        """The same with components that are never drawn, until there are so many."""
        more = components - self.log_weight.shape[1]
        if more <= 0:
            return self
        copies = [part[:, :1].expand(-1, more, *part.shape[2:]) for part in (self.means, self.std, self.factor)]
        weight = torch.cat([self.log_weight, self.log_weight.new_full((len(self.means), more), NEVER)], dim=1)
        parts = zip((self.means, self.std, self.factor), copies, strict=True)
        return PoseMixture(weight, *(torch.cat(pair, dim=1) for pair in parts))

    @classmethod
    def interleave(cls, which: Tensor, first: "PoseMixture", second: "PoseMixture") -> "PoseMixture":
        """Where ``which`` (N,) bool is false the next of ``first``, where it is true the next of ``second``."""
        components = max(first.log_weight.shape[1], second.log_weight.shape[1])
        first, second = first.padded(components), second.padded(components)
        places = torch.cat([(~which).nonzero()[:, 0], which.nonzero()[:, 0]]).argsort()
        both = (torch.cat([getattr(first, f.name), getattr(second, f.name)])[places] for f in fields(cls))
        return cls(*both)

    def scatter(self, places: Tensor, count: int) -> "PoseMixture":
        """``count`` mixtures with these N at ``places`` (N,); the others are standard normal."""

        def spread(part: Tensor, value: float) -> Tensor:
            return part.new_full((count, *part.shape[1:]), value).index_copy(0, places, part)

        even = -math.log(self.log_weight.shape[1])
        return PoseMixture(
            spread(self.log_weight, even), spread(self.means, 0.0), spread(self.std, 1.0), spread(self.factor, 0.0)
        )


PoseDistribution = PoseGaussian | PoseMixture | PoseTokens


def interleave(which: Tensor, first: PoseDistribution, second: PoseDistribution) -> PoseDistribution:
    """Where ``which`` (N,) bool is false the next of ``first``, where it is true the next of ``second``.

    Raises:
        TypeError: one is a mixture and the other is not.
    """
    if isinstance(first, PoseMixture) and isinstance(second, PoseMixture):
        return PoseMixture.interleave(which, first, second)
    if isinstance(first, PoseGaussian) and isinstance(second, PoseGaussian):
        return PoseGaussian.interleave(which, first, second)
    raise TypeError(f"a {type(first).__name__} does not stand beside a {type(second).__name__}")
