"""A policy whose words are fixed, so that HyGRPO of the pose runs on hidden states that were computed once.

The pose head learns most from reward, and its rollouts need no language model while the words stay what they are: a
step over hundreds of prompts takes about as long as one of a few prompts through the language model. ``run_rft`` can
open with such a phase, as supervised training does.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose_rft.data.sample import Sample
from pose_rft.generation import random_streams
from pose_rft.policy.distribution import PoseGaussian
from pose_rft.policy.hidden_state_cache import CachedModule, HiddenStateCache
from pose_rft.policy.policy import PosePolicy, Scores


@dataclass(frozen=True)
class PoseOnlyRollout:
    """K poses to the one given answer to each of B prompts.

    Attributes:
        rows: (B,) of the cached states.
        texts, answer_ids: B lists of one answer.
        valid: (B, 1), all true.
        action: (B, 1, K, 22, 6).
    """

    rows: Tensor
    texts: list[list[str]]
    answer_ids: list[list[list[int]]]
    valid: Tensor
    action: Tensor


@dataclass(frozen=True)
class PoseOnlyLayout:
    """What stands in for a packed layout: no token is predicted, every answer has its action."""

    rows: Tensor
    target_mask: Tensor
    has_action: Tensor

    def to(self, device: torch.device | str) -> "PoseOnlyLayout":
        return replace(self, target_mask=self.target_mask.to(device), has_action=self.has_action.to(device))


class PoseOnlyPolicy(CachedModule[HiddenStateCache]):
    """The pose head of a policy, as a HybridPolicy for ``HyGRPOTrainer``; trains ``policy`` in place.

    Args:
        policy: its head at this moment is the reference.
        samples: prompts with the answers that are taken as given; each holds a pose.
        cache: their hidden states.
    """

    def __init__(self, policy: PosePolicy, samples: Sequence[Sample], cache: HiddenStateCache) -> None:
        super().__init__(policy, cache)
        self.answers = [sample.answer for sample in samples]
        self.rows = {id(sample): row for row, sample in enumerate(samples)}
        self.samples = samples  # kept, so that no other object gets one's id
        parts = [policy.head] if policy.image_branch is None else [policy.head, policy.image_branch]
        self.reference = {weight: weight.detach().clone() for part in parts for weight in part.parameters()}

    def _pose(self, rows: Tensor) -> PoseGaussian:
        return self.policy.predict(*self.cache.batch(rows))

    @torch.no_grad()
    def rollout(
        self,
        prompts: Sequence[Sample],
        answers: int = 1,
        poses: int = 1,
        temperature: float = 1.0,
        seeds: Sequence[int] | int = 0,
        max_new_tokens: int = 0,
    ) -> PoseOnlyRollout:
        """Sample ``poses`` poses to the answer of each prompt, all of them of ``samples``."""
        if answers != 1:
            raise ValueError(f"the words are fixed: one answer to a prompt, not {answers}")
        rows = torch.tensor([self.rows[id(prompt)] for prompt in prompts])
        texts = [[self.answers[row]] for row in rows.tolist()]
        gaussian = self._pose(rows)
        seeds = random_streams.one_per_prompt(seeds, len(prompts))
        action = gaussian.from_noise(random_streams.normal(seeds, poses, gaussian.mean.shape[1]) * temperature)
        ids = [[self.policy.backbone.answer_ids(text) for text in group] for group in texts]
        valid = torch.ones(len(rows), 1, dtype=torch.bool, device=action.device)
        return PoseOnlyRollout(rows, texts, ids, valid, action[:, None])

    def pack(self, rollout: PoseOnlyRollout, row_tokens: int = 0) -> PoseOnlyLayout:
        count = len(rollout.rows)
        return PoseOnlyLayout(
            rollout.rows, torch.zeros(count, 1, dtype=torch.bool), torch.ones(count, dtype=torch.bool)
        )

    def forward(self, layout: PoseOnlyLayout) -> Scores:
        return Scores(
            self.cache.states.new_zeros(layout.target_mask.shape, dtype=torch.float32), self._pose(layout.rows)
        )

    @contextmanager
    def as_reference(self) -> Iterator[None]:
        current = {weight: weight.data for weight in self.reference}
        try:
            for weight, value in self.reference.items():
                weight.data = value
            with torch.no_grad():
                yield
        finally:
            for weight, value in current.items():
                weight.data = value
