"""Sampling answers: one prefill per prompt, its cache shared by all answers, no work after an answer has ended.

The layout of the training pass (``pose_rft.hygrpo.layout``) serves here too. A row of the cache holds one prompt and,
behind it, the tokens of all its answers as they grow; a mask lets each answer see its prompt and itself only. So a
prompt's keys and values exist once, not once per answer, and each step reads them once for all answers.

Answers to one kind of prompt are much alike. How one goes on is guessed (``pose_rft.hygrpo.drafts``), and one pass
says for all guessed tokens what would have been chosen there. A right guess saves a pass; nothing else changes.

Language models that cannot read that layout sample without a cache, from padded batches: slow, and right for any.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from pose_rft.hygrpo.drafts import Drafts
from pose_rft.hygrpo.layout import added_in_layers, additive_mask, prompt_positions

Key = tuple[int, int]  # a prompt's index and, among its answers, an answer's
ROWS = 64  # of logits at once: they are as wide as the vocabulary
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


@dataclass(frozen=True)
class Prompt:
    """What a decoder reads of a prompt of L tokens.

    Attributes:
        ids: L tokens.
        embedded: (L, H) embeddings that replace the tokens' (images), or None.
        positions: (P, L) as in ``pack_groups``, or None where they are counted.
        reach: (L,) as in ``pack_groups``, or None.
        added_at: (S,) places at which the decoder's first layers add something, or None.
        added: (D, S, H) what they add.
    """

    ids: Sequence[int]
    embedded: Tensor | None = None
    positions: Tensor | None = None
    reach: Tensor | None = None
    added_at: Tensor | None = None
    added: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def places(self) -> Tensor:
        """(P, L) positions, counted if need be."""
        return prompt_positions(len(self), self.positions)


@torch.no_grad()
def sample_answers(
    decoder: PreTrainedModel,
    logits_of: Callable[[Tensor], Tensor],
    prompts: Sequence[Prompt],
    group_size: int,
    end_tokens: Sequence[int],
    layer: int,
    max_new_tokens: int = 48,
    temperature: float = 1.0,
    uniform: Tensor | None = None,
    share_prompts: bool = True,
    anyone: Callable[[bool], bool] = bool,
    drafts: Drafts | None = None,
) -> SampledAnswers:
    """Sample ``group_size`` answers to every prompt.

    Args:
        decoder: a transformer decoder (the inner model, without the vocabulary layer).
        logits_of: maps (..., H) last hidden states to (..., V) float logits.
        prompts: B of them.
        layer: index into the decoder's ``hidden_states`` of the states to keep.
        temperature: 0 takes the likeliest token.
        uniform: (B, G, max_new_tokens) numbers in [0, 1) that choose the tokens (CPU); not looked at for temperature 0.
        share_prompts: False for a causal model that cannot read several answers behind one prompt.
        anyone: whether something is so in any process, for a decoder that all processes have to run equally often.
        drafts: guesses how answers go on. What is sampled is the same without, but for rounding.
    """
    reader = (_SharedReader if share_prompts else _PaddedReader)(decoder, prompts, layer)
    alive = [(b, g) for b in range(len(prompts)) for g in range(group_size)]
    answers: dict[Key, list[int]] = {key: [] for key in alive}
    logps: dict[Key, list[float]] = {key: [] for key in alive}
    ends = set(end_tokens)
    drafts = drafts or Drafts()

    def lengthen(guesses: Mapping[Key, Sequence[int]], last: Tensor) -> dict[Key, int]:
        """Choose tokens for answers as far as their guesses are right, and one more; how many, by answer.

        ``last``: hidden states after each answer's newest token and after each of its guesses, answer by answer.
        """
        places = [(key, len(answers[key]) + i) for key, guess in guesses.items() for i in range(len(guess) + 1)]
        chosen: list[tuple[int, float]] = []
        for start in range(0, len(places), ROWS):
            rows = slice(start, start + ROWS)
            token, logp = _choose(logits_of(last[rows]), temperature, _numbers(uniform, places[rows]))
            chosen += zip(token.tolist(), logp.tolist(), strict=True)
        counts = {}
        for key, guess in guesses.items():
            own, chosen = chosen[: len(guess) + 1], chosen[len(guess) + 1 :]
            right = next((i for i, t in enumerate(guess) if own[i][0] != t), len(guess))
            answers[key] += [t for t, _ in own[: right + 1]]
            logps[key] += [lp for _, lp in own[: right + 1]]
            counts[key] = right + 1
        return counts

    lengthen({key: [] for key in alive}, reader.read_prompts()[[b for b, _ in alive]])
    alive = [key for key in alive if answers[key][-1] not in ends]
    while anyone(bool(alive)):
        if not alive:
            reader.wait()
            continue
        room = {key: max_new_tokens - len(answers[key]) for key in alive}  # 0: read for the head's sake alone
        guesses = {key: drafts.after(answers[key])[: max(room[key] - 1, 0)] for key in alive}
        last = reader.read_answers({key: [answers[key][-1], *guesses[key]] for key in alive})
        chosen_at = [row for key in alive for row in [room[key] > 0] * (len(guesses[key]) + 1)]
        going = {key: guesses[key] for key in alive if room[key]}
        counts = lengthen(going, last[torch.tensor(chosen_at, device=last.device)])
        reader.keep(counts)
        alive = [key for key in going if answers[key][-1] not in ends]

    def by_prompt(value_of: Callable[[Key], Any]) -> list[list[Any]]:
        return [[value_of((b, g)) for g in range(group_size)] for b in range(len(prompts))]

    return SampledAnswers(by_prompt(answers.__getitem__), by_prompt(logps.__getitem__), by_prompt(reader.states))


class _Reader:
    """Runs the decoder over tokens, some of which stand for something else."""

    def __init__(self, decoder: PreTrainedModel, prompts: Sequence[Prompt], layer: int) -> None:
        self.decoder, self.prompts, self.layer = decoder, prompts, layer
        self.kinds = max(len(prompt.places()) for prompt in prompts)
        self.ends = [int(prompt.places().max()) for prompt in prompts]
        self.causal = all(prompt.reach is None for prompt in prompts)
        self.prompt_states: list[Tensor] = []
        self.answer_states: defaultdict[Key, list[Tensor]] = defaultdict(list)  # of what was read of each answer

    def states(self, key: Key) -> Tensor:
        """(S, H) of a prompt and its answer, at the layer asked for."""
        return torch.cat([self.prompt_states[key[0]], *self.answer_states[key]])

    def run(
        self,
        ids: Tensor,
        mask: Tensor | None,
        positions: Tensor | None,
        begins: Mapping[tuple[int, int], Prompt],
        **how: Any,
    ) -> Any:
        """The decoder's output.

        Args:
            ids: (R, L).
            positions: (P, R, L), or None to let the decoder count.
            begins: (row, column) where each prompt begins, row after row.
        """
        device = self.decoder.device
        tokens = {"input_ids": ids.to(device)}
        if any(prompt.embedded is not None for prompt in begins.values()):
            table = self.decoder.get_input_embeddings()(tokens["input_ids"])
            added_at, added = [], []
            for (row, column), prompt in begins.items():
                if prompt.embedded is not None:
                    table[row, column : column + len(prompt)] = prompt.embedded.to(table)
                if prompt.added is not None and prompt.added_at is not None:
                    added_at.append(row * ids.shape[1] + column + prompt.added_at)
                    added.append(prompt.added)
            tokens = {"inputs_embeds": table}
            if added:
                places = torch.cat(added_at).to(device)
                how |= added_in_layers((len(ids), ids.shape[1]), places, torch.cat(added, dim=1))
        if positions is not None:
            how["position_ids"] = (positions if self.kinds > 1 else positions[0]).to(device)
        return self.decoder(**tokens, attention_mask=mask, output_hidden_states=True, **how)

    def wait(self) -> None:
        """Run the decoder for nothing, while other processes still read."""
        self.decoder(input_ids=torch.zeros(1, 1, dtype=torch.long, device=self.decoder.device), use_cache=False)

    def mask(self, ids: Tensor, begins: Mapping[tuple[int, int], Prompt]) -> Tensor:
        """Additive (R, 1, L, L): backwards from where a prompt begins, and to where its tokens look ahead."""
        counted = torch.arange(ids.shape[1])
        sees = torch.empty(*ids.shape, len(counted), dtype=torch.bool)
        for (row, column), prompt in begins.items():
            last = counted.clone()
            if prompt.reach is not None:
                last[column : column + len(prompt)] = column + prompt.reach
            sees[row] = (counted <= last[:, None]) & ((counted >= column) | (counted < column)[:, None])
        return additive_mask(sees[:, None].to(self.decoder.device), self.decoder.dtype)


class _SharedReader(_Reader):
    """Reads prompts once into a cache, and every step one token of each living answer behind them."""

    def __init__(self, decoder: PreTrainedModel, prompts: Sequence[Prompt], layer: int) -> None:
        super().__init__(decoder, prompts, layer)
        self.cache = DynamicCache()  # keeps all keys: columns of other answers count for no layer's window
        self.rows = list(range(len(prompts)))  # which prompt each row of the cache belongs to
        width = max(map(len, prompts))
        self.owner = torch.full((len(prompts), width), NOBODY)  # (R, keys)
        for row, prompt in enumerate(prompts):  # padded on the left: every prompt ends in the last column
            self.owner[row, width - len(prompt) :] = PROMPT
        self.read_at: dict[Key, list[tuple[int, int]]] = {}  # rows and columns of what was read last

    def read_prompts(self) -> Tensor:
        """Last hidden states (B, H) at the prompts' ends."""
        ids = torch.zeros_like(self.owner)
        positions = torch.zeros(self.kinds, *ids.shape, dtype=torch.long)
        begins = {}
        for row, prompt in enumerate(self.prompts):
            column = ids.shape[1] - len(prompt)
            ids[row, column:] = torch.as_tensor(prompt.ids)
            positions[:, row, column:] = prompt.places()
            begins[row, column] = prompt
        mask = (self.owner == PROMPT).long().to(self.decoder.device) if self.causal else self.mask(ids, begins)
        out = self.run(ids, mask, positions, begins, past_key_values=self.cache, use_cache=True)
        read = out.hidden_states[self.layer]
        self.prompt_states = [read[row, read.shape[1] - len(prompt) :] for row, prompt in enumerate(self.prompts)]
        self.dtype = read.dtype
        return out.last_hidden_state[:, -1]

    def read_answers(self, tokens: Mapping[Key, Sequence[int]]) -> Tensor:
        """Last hidden states (N, H) at the next tokens of the living answers, answer by answer."""
        living = sorted({b for b, _ in tokens})
        if living != self.rows:
            keep = torch.tensor([self.rows.index(b) for b in living])
            self.cache.batch_select_indices(keep.to(self.decoder.device))
            self.owner, self.rows = self.owner[keep], living

        # Columns for the tokens of a prompt's answers; prompts with fewer of them have columns that nobody reads.
        columns = [[(g, i) for (c, g), new in tokens.items() if c == b for i in range(len(new))] for b in self.rows]
        place = {(b, *column): (r, k) for r, b in enumerate(self.rows) for k, column in enumerate(columns[r])}
        before, width = self.owner.shape[1], max(map(len, columns))
        queries = torch.full((len(self.rows), width), NOBODY)
        ids = torch.zeros_like(queries)
        positions = torch.zeros(self.kinds, *ids.shape, dtype=torch.long)
        for (b, g, i), (r, k) in place.items():
            queries[r, k] = g
            ids[r, k] = tokens[b, g][i]
            positions[:, r, k] = self.ends[b] + 1 + sum(map(len, self.answer_states[b, g])) + i
        self.owner = torch.cat([self.owner, queries], dim=1)
        own = (self.owner[:, None] == PROMPT) | (self.owner[:, None] == queries[:, :, None])  # (R, columns, keys)
        past = torch.arange(before + width) <= torch.arange(before, before + width)[:, None]
        mask = additive_mask((own & past)[:, None].to(self.decoder.device), self.dtype)
        out = self.run(ids, mask, positions, {}, past_key_values=self.cache, use_cache=True)
        at = [[place[(*key, i)] for i in range(len(new))] for key, new in tokens.items()]
        self.read_at = {key: [(r, before + k) for r, k in own] for key, own in zip(tokens, at, strict=True)}
        r, k = torch.tensor([each for own in at for each in own], device=self.decoder.device).T
        parts = out.hidden_states[self.layer][r, k].split([len(new) for new in tokens.values()])
        for key, states in zip(tokens, parts, strict=True):
            self.answer_states[key].append(states)
        return out.last_hidden_state[r, k]

    def keep(self, counts: Mapping[Key, int]) -> None:
        """Forget what was read last of each answer but for the first so many tokens."""
        for key, count in counts.items():
            self.answer_states[key][-1] = self.answer_states[key][-1][:count]
            for row, column in self.read_at[key][count:]:
                self.owner[row, column] = NOBODY


class _PaddedReader(_Reader):
    """Reads whole sequences anew every step, padded on the right: for any causal model."""

    def __init__(self, decoder: PreTrainedModel, prompts: Sequence[Prompt], layer: int) -> None:
        super().__init__(decoder, prompts, layer)
        self.known: defaultdict[Key, list[int]] = defaultdict(list)  # tokens of each answer
        self.newest: dict[Key, int] = {}  # how many of them were read last

    def read_prompts(self) -> Tensor:
        last, self.prompt_states = self._read([(b, []) for b in range(len(self.prompts))])
        return torch.stack([states[-1] for states in last])

    def read_answers(self, tokens: Mapping[Key, Sequence[int]]) -> Tensor:
        for key, new in tokens.items():
            self.known[key] += new
        self.newest = {key: len(new) for key, new in tokens.items()}
        last, read = self._read([(key[0], self.known[key]) for key in tokens])
        for key, states in zip(tokens, read, strict=True):
            self.answer_states[key] = [states[len(self.prompts[key[0]]) :]]
        return torch.cat([states[-self.newest[key] :] for key, states in zip(tokens, last, strict=True)])

    def keep(self, counts: Mapping[Key, int]) -> None:
        for key, count in counts.items():
            right = len(self.known[key]) - self.newest[key] + count
            self.known[key] = self.known[key][:right]
            self.answer_states[key] = [self.answer_states[key][0][:right]]

    def _read(self, sequences: Sequence[tuple[int, Sequence[int]]]) -> tuple[list[Tensor], list[Tensor]]:
        """Prompts by index, each with what follows it -> last states (L, H) of each, and those asked for."""
        lengths = [len(self.prompts[b]) + len(answer) for b, answer in sequences]
        ids = torch.zeros(len(sequences), max(lengths), dtype=torch.long)
        positions = torch.zeros(self.kinds, *ids.shape, dtype=torch.long)
        begins = {}
        for row, (b, answer) in enumerate(sequences):
            prompt, length = self.prompts[b], lengths[row]
            ids[row, :length] = torch.as_tensor([*prompt.ids, *answer])
            positions[:, row, : len(prompt)] = prompt.places()
            positions[:, row, len(prompt) :] = self.ends[b] + 1 + torch.arange(ids.shape[1] - len(prompt))
            begins[row, 0] = prompt
        mask = None if self.causal else self.mask(ids, begins)
        out = self.run(ids, mask, positions if self.kinds > 1 else None, begins, use_cache=False)
        last, read = (
            [states[:length] for states, length in zip(kind, lengths, strict=True)]
            for kind in (out.last_hidden_state, out.hidden_states[self.layer])
        )
        return last, read


def _numbers(uniform: Tensor | None, places: Sequence[tuple[Key, int]]) -> Tensor | None:
    """The numbers (N,) that choose the tokens of answers at places in them."""
    return None if uniform is None else torch.stack([uniform[b, g, place] for (b, g), place in places])


def _choose(logits: Tensor, temperature: float, uniform: Tensor | None) -> tuple[Tensor, Tensor]:
    """(N, V) -> tokens (N,) and their log-probabilities under the untempered policy (N,)."""
    logp = torch.log_softmax(logits, dim=-1)
    if temperature == 0:
        token = logits.argmax(dim=-1)
    else:
        assert uniform is not None, "sampling needs numbers"
        chances = logp.exp() if temperature == 1 else torch.softmax(logits / temperature, dim=-1)
        cumulative = chances.cumsum(dim=-1, dtype=torch.double)  # (N, V)
        token = torch.searchsorted(cumulative, uniform.to(cumulative)[:, None] * cumulative[:, -1:], right=True)[:, 0]
        token = token.clamp(max=logits.shape[-1] - 1)
    return token, logp.gather(1, token[:, None])[:, 0]
