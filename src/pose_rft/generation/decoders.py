"""What runs a language model over prompts and growing answers.

``SharedPrefixDecoder`` has the layout of the training pass (``pose_rft.generation.packing``): a row of its cache holds
one prompt and, behind it, the tokens of all its answers as they grow; a mask lets each answer see its prompt and itself
only. So a prompt's keys and values exist once, not once per answer, and each pass reads them once for all answers.

``PaddedDecoder`` is for language models that cannot read that layout: padded batches and no cache, slow, right for any.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedModel

from pose_rft.generation.packing import additive_mask, deepstack_arguments, prompt_positions

Key = tuple[int, int]  # a prompt's index and, among its answers, an answer's
PROMPT, NOBODY = -1, -2  # owners of keys: what every answer attends to, and what none does


@dataclass(frozen=True)
class DecoderInput:
    """What a decoder reads of a prompt of L tokens.

    Attributes:
        ids: L tokens.
        embedded: (L, H) embeddings that replace the tokens' (images), or None.
        positions: (P, L) as in ``pack_groups``, or None where they are counted.
        attend_until: (L,) as in ``pack_groups``, or None.
        deepstack_at: (S,) places at which the decoder's first layers add something, or None.
        deepstack: (D, S, H) what they add.
    """

    ids: Sequence[int]
    embedded: Tensor | None = None
    positions: Tensor | None = None
    attend_until: Tensor | None = None
    deepstack_at: Tensor | None = None
    deepstack: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def places(self) -> Tensor:
        """(P, L) positions, counted if need be."""
        return prompt_positions(len(self), self.positions)


class AnswerDecoder:
    """Runs the decoder over tokens, some of which stand for something else, and keeps its states.

    Args:
        decoder: a transformer decoder, without the vocabulary layer.
        prompts: B of them.
        layer: index into the decoder's ``hidden_states`` of the states to keep.
    """

    def __init__(self, decoder: PreTrainedModel, prompts: Sequence[DecoderInput], layer: int) -> None:
        self.decoder, self.prompts, self.layer = decoder, prompts, layer
        self.kinds = max(len(prompt.places()) for prompt in prompts)
        self.ends = [int(prompt.places().max()) for prompt in prompts]
        self.causal = all(prompt.attend_until is None for prompt in prompts)
        self.prompt_states: list[Tensor] = []
        self.answer_states: defaultdict[Key, list[Tensor]] = defaultdict(list)  # of what was read of each answer

    def read_prompts(self) -> Tensor:
        """Last hidden states (B, H) at the prompts' ends."""
        raise NotImplementedError

    def read_answers(self, tokens: Mapping[Key, Sequence[int]]) -> Tensor:
        """Last hidden states (N, H) at the next tokens of the living answers, answer by answer."""
        raise NotImplementedError

    def keep(self, counts: Mapping[Key, int]) -> None:
        """Forget what was read last of each answer but for the first so many tokens."""
        raise NotImplementedError

    def states(self, key: Key) -> Tensor:
        """(S, H) of a prompt and its answer, at the layer asked for."""
        return torch.cat([self.prompt_states[key[0]], *self.answer_states[key]])

    def run(
        self,
        ids: Tensor,
        mask: Tensor | None,
        positions: Tensor | None,
        begins: Mapping[tuple[int, int], DecoderInput],
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
            deepstack_at, deepstack = [], []
            for (row, column), prompt in begins.items():
                if prompt.embedded is not None:
                    table[row, column : column + len(prompt)] = prompt.embedded.to(table)
                if prompt.deepstack is not None and prompt.deepstack_at is not None:
                    deepstack_at.append(row * ids.shape[1] + column + prompt.deepstack_at)
                    deepstack.append(prompt.deepstack)
            tokens = {"inputs_embeds": table}
            if deepstack:
                places = torch.cat(deepstack_at).to(device)
                how |= deepstack_arguments((len(ids), ids.shape[1]), places, torch.cat(deepstack, dim=1))
        if positions is not None:
            how["position_ids"] = (positions if self.kinds > 1 else positions[0]).to(device)
        return self.decoder(**tokens, attention_mask=mask, output_hidden_states=True, **how)

    def wait(self) -> None:
        """Run the decoder for nothing, while other processes still read."""
        self.decoder(input_ids=torch.zeros(1, 1, dtype=torch.long, device=self.decoder.device), use_cache=False)

    def mask(self, ids: Tensor, begins: Mapping[tuple[int, int], DecoderInput]) -> Tensor:
        """Additive (R, 1, L, L): backwards from where a prompt begins, and to where its tokens attend ahead."""
        counted = torch.arange(ids.shape[1])
        visible = torch.empty(*ids.shape, len(counted), dtype=torch.bool)
        for (row, column), prompt in begins.items():
            last = counted.clone()
            if prompt.attend_until is not None:
                last[column : column + len(prompt)] = column + prompt.attend_until
            visible[row] = (counted <= last[:, None]) & ((counted >= column) | (counted < column)[:, None])
        return additive_mask(visible[:, None].to(self.decoder.device), self.decoder.dtype)


class SharedPrefixDecoder(AnswerDecoder):
    """Reads prompts once into a cache, and every step one token of each living answer behind them."""

    def __init__(self, decoder: PreTrainedModel, prompts: Sequence[DecoderInput], layer: int) -> None:
        super().__init__(decoder, prompts, layer)
        self.cache: Cache = DynamicCache()  # keeps all keys: columns of other answers count for no layer's window
        self.rows = list(range(len(prompts)))  # which prompt each row of the cache belongs to
        width = max(map(len, prompts))
        self.owner = torch.full((len(prompts), width), NOBODY)  # (R, keys)
        for row, prompt in enumerate(prompts):  # padded on the left: every prompt ends in the last column
            self.owner[row, width - len(prompt) :] = PROMPT
        self.read_of: Counter[Key] = Counter()  # how many tokens of each answer
        self.read_at: dict[Key, list[tuple[int, int]]] = {}  # rows and columns of what was read last

    def read_prompts(self) -> Tensor:
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
        last: Tensor = out.last_hidden_state[:, -1]
        self.prompt_states = [read[row, read.shape[1] - len(prompt) :] for row, prompt in enumerate(self.prompts)]
        self.dtype = read.dtype
        return last

    def read_answers(self, tokens: Mapping[Key, Sequence[int]]) -> Tensor:
        self.leave(sorted({b for b, _ in tokens}))
        # Columns for the tokens of a prompt's answers; prompts with fewer of them have columns that nobody reads.
        row_of = {b: r for r, b in enumerate(self.rows)}
        columns: list[list[tuple[int, int, int]]] = [[] for _ in self.rows]  # owner, token and position of each
        slots: list[list[tuple[int, int]]] = []  # rows and columns of each answer's tokens
        for (b, g), new in tokens.items():
            row, first = columns[row_of[b]], self.ends[b] + 1 + self.read_of[b, g]
            slots.append([(row_of[b], len(row) + i) for i in range(len(new))])
            row += [(g, token, first + i) for i, token in enumerate(new)]
        before, width = self.owner.shape[1], self.width(max(map(len, columns)))
        padded = torch.tensor([[*row, *[(NOBODY, 0, 0)] * (width - len(row))] for row in columns])
        queries, ids, positions = padded.unbind(dim=2)
        self.owner = torch.cat([self.owner, queries], dim=1)
        own = (self.owner[:, None] == PROMPT) | (self.owner[:, None] == queries[:, :, None])  # (R, columns, keys)
        past = torch.arange(before + width) <= torch.arange(before, before + width)[:, None]
        last, read = self.pass_over(ids, positions.expand(self.kinds, -1, -1), own & past)
        self.read_at = {key: [(r, before + k) for r, k in own] for key, own in zip(tokens, slots, strict=True)}
        r, k = torch.tensor([each for own in slots for each in own], device=self.decoder.device).T
        parts = read[r, k].split([len(new) for new in tokens.values()])
        for (key, new), states in zip(tokens.items(), parts, strict=True):
            self.answer_states[key].append(states)
            self.read_of[key] += len(new)
        return last[r, k]

    def leave(self, living: list[int]) -> None:
        """Keep the rows of these prompts alone."""
        if living != self.rows:
            keep = torch.tensor([self.rows.index(b) for b in living])
            self.cache.batch_select_indices(keep.to(self.decoder.device))
            self.owner, self.rows = self.owner[keep], living

    def width(self, needed: int) -> int:
        """How many columns to read where a row needs that many."""
        return needed

    def pass_over(self, ids: Tensor, positions: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Read tokens (R, L) behind all that has been read: last states and those asked for, (R, L, H) each.

        Args:
            positions: (P, R, L).
            visible: (R, L, S) whether a token attends to a column, its own among the last L.
        """
        mask = additive_mask(visible[:, None].to(self.decoder.device), self.dtype)
        out = self.run(ids, mask, positions, {}, past_key_values=self.cache, use_cache=True)
        return out.last_hidden_state, out.hidden_states[self.layer]

    def keep(self, counts: Mapping[Key, int]) -> None:
        for key, count in counts.items():
            wrong = self.read_at[key][count:]
            if wrong:
                self.answer_states[key][-1] = self.answer_states[key][-1][:count]
                self.read_of[key] -= len(wrong)
            for row, column in wrong:
                self.owner[row, column] = NOBODY


class PaddedDecoder(AnswerDecoder):
    """Reads whole sequences anew every step, padded on the right: for any causal model."""

    def __init__(self, decoder: PreTrainedModel, prompts: Sequence[DecoderInput], layer: int) -> None:
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
