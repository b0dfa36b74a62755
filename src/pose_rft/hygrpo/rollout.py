"""Sampling answers: one prefill per prompt, its cache shared by all answers, no work after an answer has ended.

The layout of the training pass (``pose_rft.hygrpo.layout``) serves here too. A row of the cache holds one prompt and,
behind it, the tokens of all its answers as they grow; a mask lets each answer see its prompt and itself only. So a
prompt's keys and values exist once, not once per answer, and each step reads them once for all answers.

Language models that cannot read that layout sample without a cache, from padded batches: slow, and right for any.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from pose_rft.hygrpo.layout import additive_mask

Key = tuple[int, int]  # a prompt's index and, among its answers, an answer's
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
    share_prompts: bool = True,
) -> SampledAnswers:
    """Sample ``group_size`` answers to every prompt.

    Args:
        decoder: a transformer decoder (the inner model, without the vocabulary layer).
        logits_of: maps (..., H) last hidden states to (..., V) float logits.
        prompts: B token lists.
        layer: index into the decoder's ``hidden_states`` of the states to keep.
        temperature: 0 takes the likeliest token.
        uniform: (B, G, max_new_tokens) numbers in [0, 1) that choose the tokens (CPU); not looked at for temperature 0.
        share_prompts: False for a causal model that cannot read several answers behind one prompt.
    """
    reader = (_SharedReader if share_prompts else _PaddedReader)(decoder, prompts, layer)
    alive = [(b, g) for b in range(len(prompts)) for g in range(group_size)]
    answers: dict[Key, list[int]] = {key: [] for key in alive}
    logps: dict[Key, list[float]] = {key: [] for key in alive}
    ends = set(end_tokens)
    logits = logits_of(reader.read_prompts())[[b for b, _ in alive]]  # (N, V), one row per living answer
    for step in range(max_new_tokens):
        token, logp = _choose(logits, temperature, _numbers(uniform, alive, step))
        for key, t, lp in zip(alive, token.tolist(), logp.tolist(), strict=True):
            answers[key].append(t)
            logps[key].append(lp)
        alive = [key for key in alive if answers[key][-1] not in ends]
        if not alive:
            break
        last = reader.read_answers(alive, answers)  # after the last step too: the head wants its states
        if step + 1 < max_new_tokens:
            logits = logits_of(last)

    def by_prompt(value_of: Callable[[Key], Any]) -> list[list[Any]]:
        return [[value_of((b, g)) for g in range(group_size)] for b in range(len(prompts))]

    return SampledAnswers(by_prompt(answers.__getitem__), by_prompt(logps.__getitem__), by_prompt(reader.states))


class _SharedReader:
    """Reads prompts once into a cache, and every step one token of each living answer behind them."""

    def __init__(self, decoder: PreTrainedModel, prompts: Sequence[Sequence[int]], layer: int) -> None:
        self.decoder, self.prompts, self.layer = decoder, prompts, layer
        self.cache = DynamicCache(config=decoder.config)
        self.rows = list(range(len(prompts)))  # which prompt each row of the cache belongs to
        width = max(map(len, prompts))
        self.owner = torch.full((len(prompts), width), NOBODY)  # (R, keys)
        for row, prompt in enumerate(prompts):  # padded on the left: every prompt ends in the last column
            self.owner[row, width - len(prompt) :] = PROMPT
        self.prompt_states: list[Tensor] = []
        self.answer_states: dict[Key, list[Tensor]] = defaultdict(list)

    def read_prompts(self) -> Tensor:
        """Last hidden states (B, H) at the prompts' ends."""
        ids = torch.zeros_like(self.owner)
        for row, prompt in enumerate(self.prompts):
            ids[row, ids.shape[1] - len(prompt) :] = torch.as_tensor(prompt)
        mask = (self.owner == PROMPT).long()
        out = self._run(ids, mask.to(self.decoder.device), (mask.cumsum(dim=1) - 1).clamp(min=0))
        read = out.hidden_states[self.layer]
        self.prompt_states = [read[row, read.shape[1] - len(prompt) :] for row, prompt in enumerate(self.prompts)]
        self.dtype = read.dtype
        return out.last_hidden_state[:, -1]

    def read_answers(self, alive: Sequence[Key], answers: Mapping[Key, Sequence[int]]) -> Tensor:
        """Last hidden states (N, H) at the newest tokens of the living answers."""
        living = sorted({b for b, _ in alive})
        if living != self.rows:
            keep = torch.tensor([self.rows.index(b) for b in living])
            self.cache.batch_select_indices(keep.to(self.decoder.device))
            self.owner, self.rows = self.owner[keep], living

        # One column per living answer of a prompt; prompts with fewer of them have columns that nobody reads.
        columns: list[list[int]] = [[g for c, g in alive if c == b] for b in self.rows]
        place = {(b, g): (r, k) for r, b in enumerate(self.rows) for k, g in enumerate(columns[r])}
        queries = torch.full((len(self.rows), max(map(len, columns))), NOBODY)
        ids, positions = torch.zeros_like(queries), torch.zeros_like(queries)
        for (b, g), (r, k) in place.items():
            queries[r, k] = g
            ids[r, k] = answers[b, g][-1]
            positions[r, k] = len(self.prompts[b]) + len(answers[b, g]) - 1
        self.owner = torch.cat([self.owner, queries], dim=1)
        allowed = (self.owner[:, None] == PROMPT) | (self.owner[:, None] == queries[:, :, None])  # (R, columns, keys)
        out = self._run(ids, additive_mask(allowed[:, None].to(self.decoder.device), self.dtype), positions)
        at = torch.tensor([place[key] for key in alive], device=self.decoder.device)  # (N, 2) rows and columns
        for key, state in zip(alive, out.hidden_states[self.layer][at[:, 0], at[:, 1]], strict=True):
            self.answer_states[key].append(state[None])
        return out.last_hidden_state[at[:, 0], at[:, 1]]

    def states(self, key: Key) -> Tensor:
        """(S, H) of a prompt and its answer, at the layer asked for."""
        return torch.cat([self.prompt_states[key[0]], *self.answer_states[key]])

    def _run(self, ids: Tensor, mask: Tensor, positions: Tensor) -> Any:
        return self.decoder(
            input_ids=ids.to(self.decoder.device),
            attention_mask=mask,
            position_ids=positions.to(self.decoder.device),
            past_key_values=self.cache,
            use_cache=True,
            output_hidden_states=True,
        )


class _PaddedReader:
    """Reads whole sequences anew every step, padded on the right: for any causal model."""

    def __init__(self, decoder: PreTrainedModel, prompts: Sequence[Sequence[int]], layer: int) -> None:
        self.decoder, self.prompts, self.layer = decoder, prompts, layer
        self.prompt_states: list[Tensor] = []
        self.answer_states: dict[Key, Tensor] = {}

    def read_prompts(self) -> Tensor:
        last, self.prompt_states = self._run(self.prompts)
        return last

    def read_answers(self, alive: Sequence[Key], answers: Mapping[Key, Sequence[int]]) -> Tensor:
        last, states = self._run([[*self.prompts[key[0]], *answers[key]] for key in alive])
        self.answer_states.update(zip(alive, states, strict=True))
        return last

    def states(self, key: Key) -> Tensor:
        return self.answer_states.get(key, self.prompt_states[key[0]])

    def _run(self, sequences: Sequence[Sequence[int]]) -> tuple[Tensor, list[Tensor]]:
        lengths = [len(sequence) for sequence in sequences]
        ids = torch.zeros(len(sequences), max(lengths), dtype=torch.long)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = torch.as_tensor(sequence)
        out = self.decoder(input_ids=ids.to(self.decoder.device), use_cache=False, output_hidden_states=True)
        ends = torch.tensor(lengths, device=self.decoder.device) - 1
        last = out.last_hidden_state[torch.arange(len(lengths), device=self.decoder.device), ends]
        return last, [states[:length] for states, length in zip(out.hidden_states[self.layer], lengths, strict=True)]


def _numbers(uniform: Tensor | None, keys: Sequence[Key], step: int) -> Tensor | None:
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
