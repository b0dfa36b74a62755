"""A pose without sampled words: one short answer is taken as given, so that a single pass reads all prompts."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

from pose_rft.data.sample import SHORT_ANSWER
from pose_rft.generation.packing import PackedGroups
from pose_rft.generation.sampling import SampledAnswers
from pose_rft.policy.backbone import Backbone
from pose_rft.policy.input_embeddings import PackedPrompts
from pose_rft.policy.prompt_encoder import EncodedPrompt


class Reader(Protocol):
    """What reads prompts and answers: a ``PosePolicy``."""

    @property
    def backbone(self) -> Backbone: ...

    @property
    def device(self) -> torch.device: ...

    def merged_adapters(self) -> AbstractContextManager[None]: ...

    def pack_answers(
        self, prompts: Sequence[EncodedPrompt], answers: Sequence[Sequence[Sequence[int]]], row_tokens: int
    ) -> PackedPrompts: ...

    def hidden_states(self, packed: PackedGroups) -> Tensor: ...


@torch.no_grad()
def short_answers(policy: Reader, prompts: Sequence[EncodedPrompt], num_answers: int = 1) -> SampledAnswers:
    """``SHORT_ANSWER`` to each prompt, as if it had been sampled, with certainty.

    Layers of the language model above the one that the pose head reads are not run.
    """
    answer = policy.backbone.answer_ids(SHORT_ANSWER)
    with policy.merged_adapters():
        packed = policy.pack_answers(prompts, [[answer]] * len(prompts), row_tokens=512).to(policy.device)
        states = policy.hidden_states(packed)
    hidden = [states[places[real]] for places, real in zip(packed.memory, packed.memory_mask, strict=True)]
    return SampledAnswers(
        ids=[[answer] * num_answers for _ in prompts],
        logp=[[[0.0] * len(answer)] * num_answers for _ in prompts],
        hidden=[[each] * num_answers for each in hidden],
    )
