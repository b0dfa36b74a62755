"""A distribution over sequences of tokens, one token given those before it: a pose in the words of a codebook."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import gelu

KL_SAMPLES = 4  # sequences that the divergence is averaged over


@dataclass(frozen=True)
class PoseTokens:
    """N distributions over sequences of T tokens out of V.

    What is likely at a place depends on the prompt and on the sum of vectors of the tokens before it:
    ``logits_t = readout_t gelu(prompt_t + sum_{s < t} spoken_s[token_s]) + bias_t``. All of it is copied from the
    weights that made it, so that a distribution stays what it is when these are trained.

    Attributes:
        prompt: (N, T, H).
        spoken: (T, V, H) what a token at each place says to those behind it.
        readout: (T, H, V), ``bias``: (T, V).
    """

    prompt: Tensor
    spoken: Tensor
    readout: Tensor
    bias: Tensor

    @property
    def noise_size(self) -> int:
        """How many standard normal numbers make one action."""
        return self.prompt.shape[1]

    @property
    def mean(self) -> Tensor:
        """(N, T) the likeliest token at every place, given those before it."""
        with torch.no_grad():
            return self.from_noise(self.prompt.new_zeros(len(self.prompt), 1, self.noise_size), 0.0)[:, 0, :, 0]

    def mean_near(self, action: Tensor) -> Tensor:
        """(N, T) the likeliest tokens, whatever the action (N, T)."""
        del action
        return self.mean

    @torch.no_grad()
    def from_noise(self, noise: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
        """The actions (N, K, T, 1), numbers of tokens, that standard normal numbers (N, K, T) stand for.

        Zeros are the likeliest token at every place, and so is any noise at temperature 0.

        Args:
            temperature: of the softmax; one number, or (K, 1).
        """
        scale = torch.as_tensor(temperature, device=self.prompt.device, dtype=self.prompt.dtype)
        share = (2 * torch.special.ndtr(noise.double().abs()) - 1).to(self.prompt)  # even between 0 and 1
        share = torch.where(scale > 0, share, 0.0)
        context = self.prompt.new_zeros(*noise.shape[:2], self.prompt.shape[-1])
        tokens = []
        for place in range(self.noise_size):
            logits = self._logits(self.prompt[:, None, place] + context, place)
            probability = torch.softmax(logits / scale.clamp_min(1e-6), dim=-1)
            token = _likeliest_first(probability, share[..., place])
            context = context + self.spoken[place][token]
            tokens.append(token)
        return torch.stack(tokens, dim=-1).unsqueeze(-1).to(self.prompt)

    def _logits(self, hidden: Tensor, place: int | slice) -> Tensor:
        """(..., V) of (..., H) at one place, or (..., T, V) of (..., T, H)."""
        return torch.einsum("...h,...hv->...v", gelu(hidden), self.readout[place]) + self.bias[place]

    def sample(self, count: int, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """(N, count, T, 1); temperature 0 gives the likeliest tokens."""
        noise = torch.randn((len(self.prompt), count, self.noise_size), generator=generator)
        return self.from_noise(noise.to(self.prompt.device), temperature)

    def tempered(self, temperature: float) -> "PoseTokens":
        """The distribution that sampling at a temperature above 0 draws from: logits divided by it."""
        return PoseTokens(self.prompt, self.spoken, self.readout / temperature, self.bias / temperature)

    def log_prob(self, action: Tensor) -> Tensor:
        """(N, K, T) log-likelihoods of each token of (N, K, T, 1), given those before it."""
        tokens = action[..., 0].long()
        return self._log_probs(tokens).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)

    def _log_probs(self, tokens: Tensor) -> Tensor:
        """(N, K, T, V) of every token at every place behind those of (N, K, T)."""
        said = self.spoken[torch.arange(self.noise_size, device=tokens.device), tokens]  # (N, K, T, H)
        before = said.cumsum(dim=2) - said
        return self._logits(self.prompt[:, None] + before, slice(None)).log_softmax(dim=-1)

    def kl(self, other: "PoseTokens") -> Tensor:
        """An estimate of ``KL(self || other)``, (N,) nats: of both next tokens exactly, behind sampled ones.

        Never below 0, and 0 where both are the same. Its gradient leaves out that of the samples themselves.
        """
        tokens = self.sample(KL_SAMPLES)[..., 0].long()
        own, theirs = self._log_probs(tokens), other._log_probs(tokens)
        return (own.exp() * (own - theirs)).sum(dim=(-2, -1)).mean(dim=1)

    def total(self) -> Tensor:
        """The sum of all that it is made of, through which every weight that made it has a gradient."""
        return sum((getattr(self, f.name).sum() for f in fields(self)), start=self.prompt.new_zeros(()))

    # ---- as a batch ----

    def detach(self) -> "PoseTokens":
        return PoseTokens(*(getattr(self, f.name).detach() for f in fields(self)))

    def __getitem__(self, index: Tensor | slice) -> "PoseTokens":
        return PoseTokens(self.prompt[index], self.spoken, self.readout, self.bias)

    def scatter(self, places: Tensor, count: int) -> "PoseTokens":
        """``count`` distributions with these N at ``places`` (N,); the others are of no prompt."""
        prompt = self.prompt.new_zeros(count, *self.prompt.shape[1:]).index_copy(0, places, self.prompt)
        return PoseTokens(prompt, self.spoken, self.readout, self.bias)


def _likeliest_first(probability: Tensor, share: Tensor) -> Tensor:
    """The choices (...) that numbers (...) between 0 and 1 fall on, where the likeliest of (..., V) comes first."""
    top, likeliest = probability.max(dim=-1)
    others = probability.scatter(-1, likeliest.unsqueeze(-1), 0.0).cumsum(dim=-1)
    rest = (share - top).unsqueeze(-1)
    other = torch.searchsorted(others.contiguous(), rest.contiguous(), right=True).squeeze(-1)
    return torch.where(rest.squeeze(-1) < 0, likeliest, other.clamp_max(probability.shape[-1] - 1))
