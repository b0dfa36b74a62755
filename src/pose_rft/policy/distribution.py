"""The continuous half of the action: a Gaussian over a pose's 6D rotations."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

JOINT_DIMS = 6  # the 6D rotation representation: the first two columns of the matrix (Zhou et al., CVPR 2019)


@dataclass(frozen=True)
class PoseGaussian:
    """N Gaussians over actions ``x`` of (J, 6) numbers: 6D rotations, centred and scaled per number.

    Attributes:
        mean: (N, J*6).
        scale_tril: (N, J*6, J*6) lower Cholesky factor of the covariance, or (N, J*6) the standard deviations when
            the covariance is diagonal.
    """

    mean: Tensor
    scale_tril: Tensor

    @classmethod
    def diagonal(cls, mean: Tensor, std: Tensor) -> "PoseGaussian":
        return cls(mean, std)

    @classmethod
    def low_rank(cls, mean: Tensor, std: Tensor, factor: Tensor) -> "PoseGaussian":
        """Covariance ``diag(std^2) + factor factor^T``; std (N, D), factor (N, D, R)."""
        covariance = factor @ factor.mT + torch.diag_embed(std.square())
        return cls(mean, torch.linalg.cholesky(covariance))

    @property
    def is_diagonal(self) -> bool:
        return self.scale_tril.ndim == 2

    @property
    def joints(self) -> int:
        return self.mean.shape[-1] // JOINT_DIMS

    @property
    def noise_size(self) -> int:
        """How many standard normal numbers make one action."""
        return self.mean.shape[-1]

    def mean_near(self, action: Tensor) -> Tensor:
        """(N, D) the mean: there is but one, whatever the action (N, D)."""
        del action
        return self.mean

    def with_mean(self, rows: Tensor, mean: Tensor) -> "PoseGaussian":
        """The same, but for ``rows`` (N,) bool, which have another ``mean`` (rows, D)."""
        means = self.mean.clone()
        means[rows] = mean
        return PoseGaussian(means, self.scale_tril)

    def with_means(self, made_of: Callable[[Tensor], Tensor]) -> "PoseGaussian":
        """The same spread about other means, which a function makes of these, (N, C, D) of N and C = 1."""
        return PoseGaussian(made_of(self.mean[:, None])[:, 0], self.scale_tril)

    def total(self) -> Tensor:
        """The sum of all that it is made of, through which every weight that made it has a gradient."""
        return self.mean.sum() + self.scale_tril.sum()

    def detach(self) -> "PoseGaussian":
        return PoseGaussian(self.mean.detach(), self.scale_tril.detach())

    @classmethod
    def interleave(cls, which: Tensor, first: "PoseGaussian", second: "PoseGaussian") -> "PoseGaussian":
        """Where ``which`` (N,) bool is false the next of ``first``, where it is true the next of ``second``."""
        places = torch.cat([(~which).nonzero()[:, 0], which.nonzero()[:, 0]]).argsort()
        return cls(torch.cat([first.mean, second.mean]), torch.cat([first.scale_tril, second.scale_tril]))[places]

    def scatter(self, places: Tensor, count: int) -> "PoseGaussian":
        """``count`` Gaussians with these N at ``places`` (N,); the others are standard normal."""
        mean = self.mean.new_zeros(count, self.mean.shape[1]).index_copy(0, places, self.mean)
        size = self.scale_tril.shape[1:]
        unit = torch.ones(size) if self.is_diagonal else torch.eye(size[0])
        scale_tril = unit.to(self.scale_tril).repeat(count, *(1 for _ in size)).index_copy(0, places, self.scale_tril)
        return PoseGaussian(mean, scale_tril)

    def __getitem__(self, index: Tensor | slice) -> "PoseGaussian":
        return PoseGaussian(self.mean[index], self.scale_tril[index])

    def sample(self, count: int, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """(N, count, J, 6); temperature scales the standard deviation, 0 gives the mean."""
        shape = (self.mean.shape[0], count, self.mean.shape[1])
        return self.from_noise(torch.randn(shape, generator=generator), temperature)

    def from_noise(self, noise: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
        """The actions (N, K, J, 6) that standard normal numbers (N, K, J*6) stand for; zeros are the mean.

        Args:
            temperature: scales the standard deviations, as ``tempered`` does; one number, or (K, 1).
        """
        noise = (noise * temperature).to(self.mean)
        spread = noise * self.scale_tril[:, None] if self.is_diagonal else noise @ self.scale_tril.mT
        return (self.mean[:, None] + spread).unflatten(-1, (-1, JOINT_DIMS))

    def tempered(self, temperature: float) -> "PoseGaussian":
        """The distribution that sampling at a temperature above 0 draws from: standard deviations scaled by it."""
        return PoseGaussian(self.mean, self.scale_tril * temperature)

    def log_prob(self, action: Tensor) -> Tensor:
        """Log-likelihood of actions, joint by joint.

        Args:
            action: (N, K, J, 6).

        Returns:
            (N, K, J). With a full covariance the joint j's term is its density *given joints before it* (chain rule
            through the Cholesky factor), so the terms always add up to the log-likelihood of the whole pose.
        """
        residual = action.flatten(-2) - self.mean[:, None]  # (N, K, D)
        if self.is_diagonal:
            white, log_scale = residual / self.scale_tril[:, None], self.scale_tril.log()
        else:
            white = torch.linalg.solve_triangular(self.scale_tril, residual.mT, upper=False).mT
            log_scale = self.scale_tril.diagonal(dim1=-2, dim2=-1).log()
        terms = -0.5 * white.square() - log_scale[:, None] - 0.5 * math.log(2 * math.pi)
        return terms.unflatten(-1, (-1, JOINT_DIMS)).sum(dim=-1)

    def kl(self, other: "PoseGaussian") -> Tensor:
        """Closed-form ``KL(self || other)`` of each pair, (N,), nats over the whole pose.

        ``1/2 (tr(S2^-1 S1) + |m2 - m1|^2_{S2^-1} - D + ln det S2 - ln det S1)``.
        """
        difference = other.mean - self.mean
        if self.is_diagonal and other.is_diagonal:
            variance_ratio = (self.scale_tril / other.scale_tril).square()
            shift = (difference / other.scale_tril).square()
            return 0.5 * (variance_ratio + shift - 1 - variance_ratio.log()).sum(dim=-1)
        own, theirs = self.dense_scale_tril(), other.dense_scale_tril()
        relative = torch.linalg.solve_triangular(theirs, own, upper=False)
        shift = torch.linalg.solve_triangular(theirs, difference[..., None], upper=False)
        log_det = (theirs.diagonal(dim1=-2, dim2=-1).log() - own.diagonal(dim1=-2, dim2=-1).log()).sum(dim=-1)
        trace = relative.square().sum(dim=(-2, -1))
        return 0.5 * (trace + shift.square().sum(dim=(-2, -1)) - self.mean.shape[-1]) + log_det

    def dense_scale_tril(self) -> Tensor:
        """(N, D, D), also when the covariance is diagonal."""
        return torch.diag_embed(self.scale_tril) if self.is_diagonal else self.scale_tril
