"""Parsing back: from a text to the posecodes that it states.

Captions are read exactly. Of free text, what is said in the words of captions is understood and the rest is reported.
A text is cut into statements ("the left knee is bent", "leaning forward") and the words between them such that as few
words as possible are left over (dynamic programming from the end); then statements that the words between them deny or
qualify ("not", "or", "almost") are dropped. So what is returned is stated, and what is doubtful is not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.pose_files import Up, read_poses
from pose_rft.errors import UserError
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.lexicon import PERSON, Ids, Lexicon, load_lexicon, read, tokens_of
from pose_rft.posescript.posecodes import Posecode, load_posecodes
from pose_rft.posescript.wording import VOICES, participle, shared_state, third_person

COPULAS = {"is", "are", "was", "were"}
STOPS = set(".,;:!?")
# Words that hold a sentence together and say nothing by themselves.
CONNECTIVES = STOPS | COPULAS | {
    "a", "also", "an", "and", "as", "both", "but", "figure", "human", "imagine", "in", "of", "picture", "pose", "show",
    "then", "there", "this", "to", "where", "who", "whose", "while", "with", "you",
    *(form for verb in ("have", "keep", "hold") for form in (verb, third_person(verb), participle(verb))),
    *(token for voice in VOICES for words in (voice.intro, voice.pronoun) for token in tokens_of(words)),
}  # fmt: skip
# What follows one of these, up to the next stop or "but", is not stated.
DENIALS = {
    "almost", "avoid", "avoiding", "avoids", "barely", "cannot", "hardly", "if", "instead", "nearly", "neither",
    "never", "no", "nobody", "none", "nor", "not", "rather", "unless", "without",
}  # fmt: skip
UNTIL = STOPS | {"but", "while"}
# A statement is not taken at its word before one of these: bent slightly, sits cross-legged, straight up.
QUALIFIERS = {
    "back", "cross", "down", "except", "half", "halfway", "of", "only", "or", "out", "partially", "partly", "slightly",
    "somewhat", "than", "up",
}  # fmt: skip
WORD_COST = 1000  # a word left over weighs more than any number of statements


@dataclass(frozen=True)
class Parsed:
    """What a text says.

    Attributes:
        posecodes: ids of what is stated, in the order of the text, each once.
        checks: their truth conditions, in the language of ``pose_rft.posescript.checks``.
        recognised: share of the words that belong to a statement, 0 to 1; words such as "she", "with" and "and" between
            statements do not count. 0 where nothing is stated.
        unknown: what was not understood, in lower case and without articles.
    """

    posecodes: Ids
    checks: tuple[str, ...]
    recognised: float
    unknown: tuple[str, ...]


class _Span(NamedTuple):
    """A statement and where it stands: tokens[start:end]."""

    start: int
    end: int
    ids: Ids
    act: bool  # needs a person before it


@cache
def _code(name: str) -> Posecode:
    return next(code for code in load_posecodes() if code.id == name)


def _parts(tokens: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[tuple[str, ...], int]]:
    """Nouns that begin at a token, one or two, and where they end: left knee; both knees; left knee and right elbow."""
    at += tokens[at] == "both"
    for end, name in read(lexicon.nouns, tokens, at):
        yield (name[PERSON],), end
        if tokens[end] == "and":
            for last, other in read(lexicon.nouns, tokens, end + 1):
                yield (name[PERSON], other[PERSON]), last


def _said_of(parts: tuple[str, ...], meanings: dict, lexicon: Lexicon) -> Ids | None:
    """What a phrase says of these parts, or None if it is not said of them."""
    if len(parts) == 1:
        return meanings.get((parts[0], False))
    found = [meanings.get((part, True)) or meanings.get((part, False)) for part in parts]
    if found[0] and not found[1]:  # one state of two parts, in the words of the first
        code = _code(found[0][0])
        found[1] = next(((c.id,) for c in lexicon.named.get(parts[1], ()) if shared_state(code, c)), None)
    return found[0] + found[1] if found[0] and found[1] else None


def _states(tokens: Sequence[str], at: int, parts: tuple[str, ...], lexicon: Lexicon) -> Iterator[tuple[int, Ids]]:
    """One state or two of these parts: bent; bent and on the ground."""
    for end, meanings in read(lexicon.states, tokens, at):
        ids = _said_of(parts, meanings, lexicon)
        if ids is None:
            continue
        yield end, ids
        for last, others in read(lexicon.states, tokens, end + 1) if tokens[end] == "and" else ():
            if more := _said_of(parts, others, lexicon):
                yield last, ids + more


def _statements(tokens: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[_Span]:
    """All statements that begin at a token."""
    for end, meanings in read(lexicon.acts, tokens, at):
        yield _Span(at, end, meanings[PERSON], True)
    for middle, follow in read(lexicon.deeds, tokens, at):
        for parts, after in _parts(tokens, middle, lexicon):
            for end, meanings in read(follow, tokens, after):
                if ids := _said_of(parts, meanings, lexicon):
                    yield _Span(at, end, ids, False)
    for parts, after in _parts(tokens, at, lexicon):
        after += tokens[after] in COPULAS
        for end, ids in _states(tokens, after, parts, lexicon):
            yield _Span(at, end, ids, False)


def _reading(tokens: Sequence[str], lexicon: Lexicon) -> list[_Span]:
    """The statements that leave the fewest words over; of equals, the fewest statements."""
    cost = [0] * len(tokens)  # of the text from each token on; the last is a stop
    step: list[_Span | None] = [None] * len(tokens)
    for at in reversed(range(len(tokens) - 1)):
        cost[at] = cost[at + 1] + (0 if _holds_together(tokens[at]) else WORD_COST)
        for span in _statements(tokens, at, lexicon):
            if cost[span.end] + 1 < cost[at]:
                cost[at], step[at] = cost[span.end] + 1, span
    spans, at = [], 0
    while at < len(tokens):
        chosen = step[at]
        if chosen:
            spans.append(chosen)
        at = chosen.end if chosen else at + 1
    return spans


def _holds_together(token: str) -> bool:
    return token in CONNECTIVES or token.endswith("'s")


@cache
def _limbs() -> frozenset[str]:
    """The last words of the parts that have a side: knee, knees, hand, ..."""
    return frozenset(noun.split()[-1] for noun, codes in load_lexicon().named.items() if codes[0].partner)


def _denied(tokens: Sequence[str], between: Sequence[bool]) -> list[bool]:
    """For each token, whether a denial stands before it in its clause; only tokens ``between`` statements can deny."""
    denied = [False]
    for token, free in zip(tokens, between, strict=True):
        denies = token in DENIALS or token.endswith("n't")
        denied.append(denies or (denied[-1] and token not in UNTIL) if free else denied[-1])
    return denied


def _is_stated(span: _Span, tokens: Sequence[str], between: Sequence[bool]) -> bool:
    """Whether the words next to a statement leave it as it is."""
    before = span.start - 1
    if tokens[before] == "or" or tokens[span.end] in QUALIFIERS:
        return False
    subject = before - (tokens[before] in COPULAS)  # "the left arm bends forward" does not say that the person does
    return not (span.act and between[subject] and tokens[subject] in _limbs())


def parse(text: str) -> Parsed:
    """The posecodes that a text states.

    Args:
        text: a caption, or anything else; capitals, stops and articles do not matter.

    Returns:
        What was understood and how much that is; nothing is guessed.
    """
    lexicon, tokens = load_lexicon(), [".", *tokens_of(text), "."]  # a stop on both sides saves asking for the ends
    spans = _reading(tokens, lexicon)
    between = [True] * len(tokens)
    for span in spans:
        between[span.start : span.end] = [False] * (span.end - span.start)
    denied = _denied(tokens, between)
    stated = [span for span in spans if not denied[span.start] and _is_stated(span, tokens, between)]
    known = [False] * len(tokens)
    for span in stated:
        known[span.start : span.end] = [True] * (span.end - span.start)
    names = tuple(dict.fromkeys(name for span in stated for name in span.ids))
    unknown = _runs(tokens, known)
    words, missed = sum(known), sum(len(run.split()) for run in unknown)
    recognised = words / (words + missed) if words else 0.0
    return Parsed(names, tuple(_code(name).check for name in names), recognised, unknown)


def statements_held(text: str, poses_path: str | Path, up: Up | None = None) -> tuple[Parsed, Tensor]:
    """Which statements of a text hold for the poses of a file.

    Args:
        text: what is said.
        poses_path: a pose file; see ``read_poses``.
        up: the axis that points up in it.

    Returns:
        What the text says, and (N, C) bool for its C checks.

    Raises:
        UserError: nothing in the text is understood, or the poses cannot be read.
    """
    said = parse(text)
    if not said.posecodes:
        raise UserError(f"nothing in '{text}' is understood; say it as captions do: 'the left knee is bent'")
    return said, satisfied(said.checks, load_body().joints(torch.from_numpy(read_poses(poses_path, up).pose)))


def _runs(tokens: Sequence[str], known: Sequence[bool]) -> tuple[str, ...]:
    """The words that belong to no statement, those side by side together."""
    runs: list[list[str]] = [[]]
    for token, of_statement in zip(tokens, known, strict=True):
        if of_statement or token in STOPS:
            runs.append([])
        elif not _holds_together(token):
            runs[-1].append(token)
    return tuple(" ".join(run) for run in runs if run)
