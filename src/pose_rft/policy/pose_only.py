"""A policy whose words are fixed, so that HyGRPO of the pose runs on hidden states that were computed once.

The pose head learns most from reward, and its rollouts need no language model while the words stay what they are: a
step over hundreds of prompts takes about as long as one of a few prompts through the language model. A run of HyGRPO
can open with such a phase, as supervised training does.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose_rft.data.sample import Sample
from pose_rft.generation import random_streams
from pose_rft.policy.hidden_state_cache import CachedModule, HiddenStateCache
from pose_rft.policy.mixture import PoseDistribution
from pose_rft.policy.outputs import Scores
from pose_rft.policy.policy import PosePolicy
from pose_rft.policy.reference import ReferenceWeights


@dataclass(frozen=True)
class CachedPrompt:
    """A sample and its row of the cached states."""

    row: int
    sample: Sample

    @property
    def prompt(self) -> str:
        return self.sample.prompt


@dataclass(frozen=True)
class PoseOnlyRollout:
    """K poses to the one given answer to each of B prompts.

    Attributes:
        rows: (B,) of the cached states.
        texts, answer_ids: B lists of one answer.
        valid: (B, 1), all true.
        action: (B, 1, K, J, 6).
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
        policy: its pose heads at this moment are the reference.
        samples: prompts with the answers that are taken as given; each holds a pose.
        cache: their hidden states.

    Attributes:
        prompts: the samples as ``rollout`` takes them.
    """

    def __init__(self, policy: PosePolicy, samples: Sequence[Sample], cache: HiddenStateCache) -> None:
        super().__init__(policy, cache)
        self.prompts = [CachedPrompt(row, sample) for row, sample in enumerate(samples)]
        parts = (policy.head, policy.image_branch, policy.pose_branch)
        trained = [weight for part in parts if part is not None for weight in part.parameters() if weight.requires_grad]
        self.reference = ReferenceWeights(trained)

    def _pose(self, rows: Tensor) -> PoseDistribution:
        return self.policy.predict(*self.cache.batch(rows))

    @torch.no_grad()
    def rollout(
        self,
        prompts: Sequence[CachedPrompt],
        num_answers: int = 1,
        num_poses: int = 1,
        temperature: float = 1.0,
        seeds: Sequence[int] | int = 0,
        max_new_tokens: int = 0,
    ) -> PoseOnlyRollout:
        """Sample ``num_poses`` poses to the answer of each prompt."""
        if num_answers != 1:
            raise ValueError(f"the words are fixed: one answer to a prompt, not {num_answers}")
        rows = torch.tensor([prompt.row for prompt in prompts])
        texts = [[prompt.sample.answer] for prompt in prompts]
        distribution = self._pose(rows)
        seeds = random_streams.one_per_prompt(seeds, len(prompts))
        noise = random_streams.normal(seeds, num_poses, distribution.noise_size)
        action = distribution.from_noise(noise, temperature)
        ids = [[self.policy.backbone.answer_ids(text) for text in group] for group in texts]
        valid = torch.ones(len(rows), 1, dtype=torch.bool, device=action.device)
        return PoseOnlyRollout(rows, texts, ids, valid, action[:, None])

    def pack(self, rollout: PoseOnlyRollout, row_tokens: int = 0) -> PoseOnlyLayout:
        count = len(rollout.rows)
        no_targets = torch.zeros(count, 1, dtype=torch.bool)
        return PoseOnlyLayout(rollout.rows, no_targets, torch.ones(count, dtype=torch.bool))

    def forward(self, layout: PoseOnlyLayout, temperature: float = 1.0) -> Scores:
        no_words = self.cache.states.new_zeros(layout.target_mask.shape, dtype=torch.float32)
        return Scores(no_words, self._pose(layout.rows).tempered(temperature))

    @contextmanager
    def as_reference(self) -> Iterator[None]:
        """Be the reference policy inside the block, without gradients."""
        with self.reference.in_place(), torch.no_grad():
            yield
