"""Sampling answers: one prefill per prompt, its cache shared by all answers, no work after an answer has ended."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel


@dataclass
class SampledAnswers:
    """G answers to each of B prompts, and what was seen on the way.

    Attributes:
        ids: B lists of G token lists; an answer ends with an end token unless it was cut off.
        logp: the same shape; log-probability of each token as it was sampled.
        hidden: B lists of G tensors (S, H): hidden states of the prompt and of the answer's tokens but the last end
            token, at the layer asked for.
    """

    ids: list[list[list[int]]]
    logp: list[list[list[float]]]
    hidden: list[list[Tensor]]


@torch.no_grad()
def sample_answers(
    decoder: PreTrainedModel,
    logits_of,
    prompts: Sequence[Sequence[int]],
    group_size: int,
    end_tokens: Sequence[int],
    layer: int,
    max_new_tokens: int = 48,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> SampledAnswers:
    """Sample ``group_size`` answers to every prompt.

    Args:
        decoder: a transformer decoder (the inner model, without the vocabulary layer).
        logits_of: maps (..., H) last hidden states to (..., V) float logits.
        prompts: B token lists.
        layer: index into the decoder's ``hidden_states`` of the states to keep.
        temperature: 0 takes the likeliest token.
        generator: source of randomness (CPU), for repeatable rollouts.
    """
    device = decoder.device
    batch = len(prompts)
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(batch, width, dtype=torch.long)
    mask = torch.zeros(batch, width, dtype=torch.long)
    for row, prompt in enumerate(prompts):  # padded on the left: every prompt ends in the last column
        ids[row, width - len(prompt) :] = torch.as_tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    ids, mask = ids.to(device), mask.to(device)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)

    cache = DynamicCache(config=decoder.config)
    out = decoder(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        output_hidden_states=True,
    )
    prompt_hidden = [out.hidden_states[layer][row, width - len(prompt) :] for row, prompt in enumerate(prompts)]
    if group_size > 1:
        cache.batch_repeat_interleave(group_size)
    logits = logits_of(out.last_hidden_state[:, -1]).repeat_interleave(group_size, dim=0)  # (B*G, V)
    mask = mask.repeat_interleave(group_size, dim=0)
    position = positions[:, -1].repeat_interleave(group_size) + 1

    rows = batch * group_size
    answers: list[list[int]] = [[] for _ in range(rows)]
    logps: list[list[float]] = [[] for _ in range(rows)]
    states: list[list[Tensor]] = [[] for _ in range(rows)]
    alive = list(range(rows))
    ends = set(end_tokens)
    for step in range(max_new_tokens):
        token, logp = _choose(logits, temperature, generator)
        for row, t, lp in zip(alive, token.tolist(), logp.tolist(), strict=True):
            answers[row].append(t)
            logps[row].append(lp)
        going = [k for k, row in enumerate(alive) if answers[row][-1] not in ends]
        if not going:
            break
        if len(going) < len(alive):
            keep = torch.tensor(going, device=device)
            cache.batch_select_indices(keep)
            token, mask, position = token[keep], mask[keep], position[keep]
            alive = [alive[k] for k in going]
        mask = torch.cat([mask, mask.new_ones(len(alive), 1)], dim=1)
        out = decoder(
            input_ids=token[:, None],
            attention_mask=mask,
            position_ids=position[:, None],
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=True,
        )
        for k, row in enumerate(alive):
            states[row].append(out.hidden_states[layer][k])
        if step + 1 < max_new_tokens:
            logits = logits_of(out.last_hidden_state[:, -1])
        position = position + 1

    def by_prompt(items: list) -> list[list]:
        return [items[b * group_size : (b + 1) * group_size] for b in range(batch)]

    hidden = [torch.cat([prompt_hidden[row // group_size], *states[row]]) for row in range(rows)]
    return SampledAnswers(by_prompt(answers), by_prompt(logps), by_prompt(hidden))


def _choose(logits: Tensor, temperature: float, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """(N, V) -> tokens (N,) and their log-probabilities under the untempered policy (N,)."""
    logp = torch.log_softmax(logits, dim=-1)
    if temperature == 0:
        token = logits.argmax(dim=-1)
    else:
        probabilities = torch.softmax(logits / temperature, dim=-1).cpu()
        token = torch.multinomial(probabilities, 1, generator=generator)[:, 0].to(logits.device)
    return token, logp.gather(1, token[:, None])[:, 0]
