"""Sampling answers: one prefill per prompt, its cache shared by all answers, no work after an answer has ended.

The layout of the training pass (``pose_rft.hygrpo.layout``) serves here too. A row of the cache holds one prompt and,
behind it, the tokens of all its answers as they grow; a mask lets each answer see its prompt and itself only. So a
prompt's keys and values exist once, not once per answer, and each step reads them once for all answers.

Language models that cannot read that layout sample without a cache, from padded batches: slow, and right for any.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from pose_rft.hygrpo.layout import additive_mask

PROMPT, NOBODY = -1, -2  # owners of keys: what every answer sees, and what none does


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
    logits_of: Callable[[Tensor], Tensor],
    prompts: Sequence[Sequence[int]],
    group_size: int,
    end_tokens: Sequence[int],
    layer: int,
    max_new_tokens: int = 48,
    temperature: float = 1.0,
    uniform: Tensor | None = None,
) -> SampledAnswers:
    """Sample ``group_size`` answers to every prompt.

    Args:
        decoder: a transformer decoder (the inner model, without the vocabulary layer).
        logits_of: maps (..., H) last hidden states to (..., V) float logits.
        prompts: B token lists.
        layer: index into the decoder's ``hidden_states`` of the states to keep.
        temperature: 0 takes the likeliest token.
        uniform: (B, G, max_new_tokens) numbers in [0, 1) that choose the tokens (CPU); not looked at for temperature 0.
    """
    device = decoder.device
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    owner = torch.full((len(prompts), width), NOBODY)
    for row, prompt in enumerate(prompts):  # padded on the left: every prompt ends in the last column
        ids[row, width - len(prompt) :] = torch.as_tensor(prompt)
        owner[row, width - len(prompt) :] = PROMPT
    mask = (owner == PROMPT).long()
    cache = DynamicCache(config=decoder.config)
    out = decoder(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0).to(device),
        past_key_values=cache,
        use_cache=True,
        output_hidden_states=True,
    )
    prompt_states = [out.hidden_states[layer][row, width - len(prompt) :] for row, prompt in enumerate(prompts)]

    everyone = [(b, g) for b in range(len(prompts)) for g in range(group_size)]
    answers: dict[tuple[int, int], list[int]] = {key: [] for key in everyone}
    logps: dict[tuple[int, int], list[float]] = {key: [] for key in everyone}
    states: dict[tuple[int, int], list[Tensor]] = {key: [] for key in everyone}
    ends = set(end_tokens)
    alive = everyone
    rows = list(range(len(prompts)))  # which prompt each row of the cache belongs to
    logits = logits_of(out.last_hidden_state[:, -1])[[b for b, _ in alive]]  # (N, V), one row per living answer
    for step in range(max_new_tokens):
        token, logp = _choose(logits, temperature, _numbers(uniform, alive, step))
        for key, t, lp in zip(alive, token.tolist(), logp.tolist(), strict=True):
            answers[key].append(t)
            logps[key].append(lp)
        alive = [key for key in alive if answers[key][-1] not in ends]
        if not alive:
            break
        living = sorted({b for b, _ in alive})
        if living != rows:
            keep = torch.tensor([rows.index(b) for b in living])
            cache.batch_select_indices(keep.to(device))
            owner, rows = owner[keep], living

        # One column per living answer of a prompt; prompts with fewer of them have columns that nobody reads.
        columns: list[list[int]] = [[g for c, g in alive if c == b] for b in rows]
        place = {(b, g): (r, k) for r, b in enumerate(rows) for k, g in enumerate(columns[r])}
        queries = torch.full((len(rows), max(map(len, columns))), NOBODY)
        ids, positions = torch.zeros_like(queries), torch.zeros_like(queries)
        for (b, g), (r, k) in place.items():
            queries[r, k] = g
            ids[r, k] = answers[b, g][-1]
            positions[r, k] = len(prompts[b]) + step
        owner = torch.cat([owner, queries], dim=1)  # (R, keys)
        allowed = (owner[:, None] == PROMPT) | (owner[:, None] == queries[:, :, None])  # (R, columns, keys)
        out = decoder(
            input_ids=ids.to(device),
            attention_mask=additive_mask(allowed[:, None].to(device), out.last_hidden_state.dtype),
            position_ids=positions.to(device),
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=True,
        )
        at = torch.tensor([place[key] for key in alive], device=device)  # (N, 2) rows and columns
        for key, state in zip(alive, out.hidden_states[layer][at[:, 0], at[:, 1]], strict=True):
            states[key].append(state[None])
        if step + 1 < max_new_tokens:
            logits = logits_of(out.last_hidden_state[at[:, 0], at[:, 1]])

    def by_prompt(items: Mapping[tuple[int, int], Any]) -> list[list[Any]]:
        return [[items[b, g] for g in range(group_size)] for b in range(len(prompts))]

    hidden = {(b, g): torch.cat([prompt_states[b], *states[b, g]]) for b, g in everyone}
    return SampledAnswers(by_prompt(answers), by_prompt(logps), by_prompt(hidden))


@torch.no_grad()
def sample_answers_padded(
    decoder: PreTrainedModel,
    logits_of: Callable[[Tensor], Tensor],
    prompts: Sequence[Sequence[int]],
    group_size: int,
    end_tokens: Sequence[int],
    layer: int,
    max_new_tokens: int = 48,
    temperature: float = 1.0,
    uniform: Tensor | None = None,
) -> SampledAnswers:
    """As ``sample_answers``, for any causal model: every step reads the living sequences anew, padded on the right."""
    everyone = [(b, g) for b in range(len(prompts)) for g in range(group_size)]
    answers: list[list[int]] = [[] for _ in everyone]
    logps: list[list[float]] = [[] for _ in everyone]
    states: list[Tensor] = [torch.empty(0)] * len(everyone)
    ends = set(end_tokens)
    alive = list(range(len(everyone)))
    for _ in range(max_new_tokens + 1):  # once more than there are tokens: the states of the last one
        sequences = [[*prompts[everyone[n][0]], *answers[n]] for n in alive]
        lengths = [len(sequence) for sequence in sequences]
        ids = torch.zeros(len(alive), max(lengths), dtype=torch.long)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = torch.as_tensor(sequence)
        out = decoder(input_ids=ids.to(decoder.device), use_cache=False, output_hidden_states=True)
        for row, n in enumerate(alive):
            states[n] = out.hidden_states[layer][row, : lengths[row]]
        last = torch.tensor(lengths, device=decoder.device) - 1
        if len(answers[alive[0]]) == max_new_tokens:
            break
        logits = logits_of(out.last_hidden_state[torch.arange(len(alive), device=decoder.device), last])
        numbers = _numbers(uniform, [everyone[n] for n in alive], len(answers[alive[0]]))
        token, logp = _choose(logits, temperature, numbers)
        for n, t, lp in zip(alive, token.tolist(), logp.tolist(), strict=True):
            answers[n].append(t)
            logps[n].append(lp)
        alive = [n for n in alive if answers[n][-1] not in ends]
        if not alive:
            break

    def by_prompt(items: list[Any]) -> list[list[Any]]:
        return [items[b * group_size : (b + 1) * group_size] for b in range(len(prompts))]

    return SampledAnswers(by_prompt(answers), by_prompt(logps), by_prompt(states))


def _numbers(uniform: Tensor | None, keys: Sequence[tuple[int, int]], step: int) -> Tensor | None:
    """The numbers (N,) that choose the next token of the answers (prompt, answer)."""
    return None if uniform is None else torch.stack([uniform[b, g, step] for b, g in keys])


def _choose(logits: Tensor, temperature: float, uniform: Tensor | None) -> tuple[Tensor, Tensor]:
    """(N, V) -> tokens (N,) and their log-probabilities under the untempered policy (N,)."""
    logp = torch.log_softmax(logits, dim=-1)
    if temperature == 0:
        token = logits.argmax(dim=-1)
    else:
        assert uniform is not None, "sampling needs numbers"
        cumulative = torch.softmax(logits.double() / temperature, dim=-1).cumsum(dim=-1)  # (N, V)
        token = torch.searchsorted(cumulative, uniform.to(cumulative)[:, None] * cumulative[:, -1:], right=True)[:, 0]
        token = token.clamp(max=logits.shape[-1] - 1)
    return token, logp.gather(1, token[:, None])[:, 0]
