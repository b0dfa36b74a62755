"""A pose without sampled words: one short answer is taken as given, so that a single pass reads all prompts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from pose_rft.data.sample import SHORT_ANSWER
from pose_rft.generation.sampling import SampledAnswers
from pose_rft.policy.prompt_encoder import EncodedPrompt

if TYPE_CHECKING:
    from pose_rft.policy.policy import PosePolicy


@torch.no_grad()
def short_answers(policy: "PosePolicy", prompts: Sequence[EncodedPrompt], num_answers: int = 1) -> SampledAnswers:
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
