"""Sampling answers: one prefill per prompt, its cache shared by all answers, no work after an answer has ended.

Answers to one kind of prompt are much alike. How one goes on is guessed (``pose_rft.generation.drafts``), and one pass
says for all guessed tokens what would have been chosen there. A right guess saves a pass; nothing else changes.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pose_rft.generation.cuda_graph import CudaGraphDecoder, GraphRecorder
from pose_rft.generation.decoders import AnswerDecoder, DecoderInput, Key, PaddedDecoder, SharedPrefixDecoder
from pose_rft.generation.drafts import DraftTable

ROWS = 64  # of logits at once: they are as wide as the vocabulary


@dataclass
class SampledAnswers:
    """G answers to each of B prompts, and what was computed on the way.

    Attributes:
        ids: B lists of G token lists; an answer ends with an end token unless it was cut off.
        logp: the same shape; log-probability of each token as it was sampled.
        hidden: B lists of G tensors (S, H): hidden states of the prompt and of the answer's tokens but the last, at the
            layer asked for; of that too where an answer was cut off behind a token whose state is wanted.
    """

    ids: list[list[list[int]]]
    logp: list[list[list[float]]]
    hidden: list[list[Tensor]]


@torch.no_grad()
def sample_answers(
    decoder: PreTrainedModel,
    logits_of: Callable[[Tensor], Tensor],
    prompts: Sequence[DecoderInput],
    group_size: int,
    end_tokens: Sequence[int],
    layer: int,
    max_new_tokens: int = 48,
    temperature: float = 1.0,
    uniform: Tensor | None = None,
    share_prompts: bool = True,
    any_rank: Callable[[bool], bool] = bool,
    drafts: DraftTable | None = None,
    recorder: GraphRecorder | None = None,
    wanted: int | None = None,
    before_pass: Callable[[], None] | None = None,
) -> SampledAnswers:
    """Sample ``group_size`` answers to every prompt.

    Args:
        decoder: a transformer decoder (the inner model, without the vocabulary layer).
        logits_of: maps (..., H) last hidden states to (..., V) float logits.
        prompts: B of them.
        layer: index into the decoder's ``hidden_states`` of the states to keep.
        temperature: 0 takes the likeliest token.
        uniform: (B, G, max_new_tokens) numbers in [0, 1) that choose the tokens (CPU); not read at temperature 0.
        share_prompts: False for a causal model that cannot read several answers behind one prompt.
        any_rank: whether something is so in any process, for a decoder that all processes have to run equally often.
        drafts: guesses how answers go on. What is sampled is the same without, but for rounding.
        recorder: records passes of one token for each answer and repeats them, for prompts that are shared.
        wanted: a token whose state is wanted even where an answer is cut off behind it.
        before_pass: called before every pass of the decoder; what it raises ends the sampling.
    """
    before_pass = before_pass or (lambda: None)
    before_pass()
    decoding: AnswerDecoder
    if not share_prompts:
        decoding = PaddedDecoder(decoder, prompts, layer)
    elif recorder is None or not recorder.works:
        decoding = SharedPrefixDecoder(decoder, prompts, layer)
    else:
        decoding = CudaGraphDecoder(decoder, prompts, layer, group_size, max_new_tokens, recorder)
    alive = [(b, g) for b in range(len(prompts)) for g in range(group_size)]
    answers: dict[Key, list[int]] = {key: [] for key in alive}
    logps: dict[Key, list[float]] = {key: [] for key in alive}
    ends = set(end_tokens)
    drafts = drafts or DraftTable()

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
        counts, of_next = {}, iter(chosen)
        for key, guess in guesses.items():
            own = list(itertools.islice(of_next, len(guess) + 1))
            right = next((i for i, t in enumerate(guess) if own[i][0] != t), len(guess))
            answers[key] += [t for t, _ in own[: right + 1]]
            logps[key] += [lp for _, lp in own[: right + 1]]
            counts[key] = right + 1
        return counts

    def is_read_on(key: Key) -> bool:
        last = answers[key][-1]
        return last not in ends and (len(answers[key]) < max_new_tokens or last == wanted)

    lengthen({key: [] for key in alive}, decoding.read_prompts()[[b for b, _ in alive]])
    alive = list(filter(is_read_on, alive))
    while any_rank(bool(alive)):
        if not alive:
            decoding.wait()
            continue
        before_pass()
        room = {key: max_new_tokens - len(answers[key]) for key in alive}  # 0: read for its state alone
        guesses = {key: drafts.after(answers[key])[: max(room[key] - 1, 0)] for key in alive}
        last = decoding.read_answers({key: [answers[key][-1], *guesses[key]] for key in alive})
        open_rows = [row for key in alive for row in [room[key] > 0] * (len(guesses[key]) + 1)]
        going = {key: guesses[key] for key in alive if room[key]}
        counts = lengthen(going, last[torch.tensor(open_rows, device=last.device)])
        decoding.keep(counts)
        alive = list(filter(is_read_on, going))

    def by_prompt(value_of: Callable[[Key], Any]) -> list[list[Any]]:
        return [[value_of((b, g)) for g in range(group_size)] for b in range(len(prompts))]

    return SampledAnswers(by_prompt(answers.__getitem__), by_prompt(logps.__getitem__), by_prompt(decoding.states))


def _numbers(uniform: Tensor | None, places: Sequence[tuple[Key, int]]) -> Tensor | None:
    """The numbers (N,) that choose the tokens of answers at places in them."""
    if uniform is None:
        return None
    prompt, answer, place = torch.tensor([(*key, place) for key, place in places]).T
    return uniform[prompt, answer, place]


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
