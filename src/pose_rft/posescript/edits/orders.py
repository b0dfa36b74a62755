"""Reading orders: "raise the left arm a bit more, and bend the knees 20 degrees" -> what shall change, and how far.

An order is cut into the wordings that are known and the words between them such that as few words as possible are left
over, as captions are when they are read (``pose_rft.posescript.mentions``). What is left over is reported word by word;
nothing is guessed. How far a change goes is read apart from what it is: an amount may stand anywhere.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from pose_rft.posescript.amounts import WORDS as AMOUNT_WORDS
from pose_rft.posescript.amounts import angle_at, length_at
from pose_rft.posescript.edits.order_words import (
    ANYTHING,
    ARTICLES,
    END,
    PART,
    SIZES,
    Meaning,
    Node,
    Size,
    order_words,
    orders_table,
    without_articles,
)
from pose_rft.posescript.lexicon import ONESELF, OWNERS, SELVES, load_lexicon, reading_table, words_in
from pose_rft.posescript.mentions import SIDES, STOPS, WORD_COST, mentions_at, parts_at
from pose_rft.posescript.posecodes import exchange_sides
from pose_rft.posescript.spelling import is_one_slip

PRONOUNS = {"it", "them", "that"}
POLITE = {"try"}  # denies in a description and asks in an order
FEET = {"foot", "feet"}  # are of the body here: "lift one foot"
LONE_AMOUNT = 10  # cost of an amount that stands apart: less than a word left over, more than one inside a wording
WISH = re.compile(r"\b(?:i'd|would) like\b", re.IGNORECASE)
LEAST_LETTERS = 4  # of a word that may be mistyped


class Amount(NamedTuple):
    """How far.

    Attributes:
        size: in words.
        value: in degrees or metres, where a number is said.
        is_length: the number is of metres.
        absolute: it is where to, not how much further.
        said: there are words for it, if only "more".
    """

    size: Size = "some"
    value: float | None = None
    is_length: bool = False
    absolute: bool = False
    said: bool = False


USUAL = Amount()


@dataclass(frozen=True)
class Demand:
    """One thing that an order asks for.

    Attributes:
        words: of the order, as they were read.
        meanings: of a change or a state, of one side or of both; of the whole order one.
        codes: posecodes that the same words state.
        part: the noun of the part that it is about, "left arm", or "".
    """

    words: str
    meanings: tuple[Meaning, ...]
    codes: tuple[str, ...] = ()
    amount: Amount = USUAL
    part: str = ""


@dataclass(frozen=True)
class Order:
    """What was understood of an instruction.

    Attributes:
        demands: in their order.
        unknown: words that were not understood, those side by side together.
    """

    demands: tuple[Demand, ...]
    unknown: tuple[str, ...]


class _Found(NamedTuple):
    """A wording at tokens[start:end]; ``ends`` maps nouns to meanings."""

    start: int
    end: int
    ends: dict[str, list[Meaning]]
    codes: tuple[str, ...] = ()
    amount: Amount | None = None
    parts: tuple[str, ...] = ()


def read_order(text: str, part: str = "") -> Order:
    """What an instruction asks for, and what in it was not understood.

    Args:
        text: as people type it; capitals, articles and one slip of a letter in a longer word do not matter.
        part: the part of the body that was spoken of before, "left arm": what "it" and "the other one" go back to, and
            what "a little lower" is said of.
    """
    order = _read(text, part)
    if part and order.unknown and not order.demands:
        with_part = _read(f"{part} {text}", part)
        return with_part if with_part.demands and not with_part.unknown else order
    return order


def _read(text: str, part: str) -> Order:
    """What is read of a text; ``part`` was spoken of before."""
    typed = [(".", "."), *_typed(text), (".", ".")]
    tokens = [_spelt(token) for token, _ in typed]
    demands: list[Demand] = []
    unknown: list[str] = []
    last, denied = part, False
    for found in _cut(tokens):
        words = tokens[found.start : found.end]
        said = " ".join(shown for _, shown in typed[found.start : found.end])
        if words[0] in STOPS | {"but", "then"}:
            denied = False
        denied |= words[0] in reading_table()["denials"] - POLITE or words[0].endswith("n't")
        if denied and words[0] not in STOPS:
            unknown += words
            continue
        if not found.ends and not found.codes:
            if found.amount is not None and demands:
                demands[-1] = replace(demands[-1], amount=found.amount)
            elif found.amount is not None or not _is_filler(words[0]):
                unknown += words
            else:
                unknown.append("")
            continue
        demand, last = _demand(found, said, last)
        if demand is None:
            unknown += words
        else:
            unknown.append("")
            demands.append(demand)
    missed = _runs(unknown)
    if missed:  # "... 20 degrees further" is no order of its own where the words before it were not understood
        repeats = {"again", "less_again"} | ({"same"} if len(demands) == 1 else set())
        lone = [each for each in demands if each.meanings and each.meanings[0].name in repeats]
        demands = [each for each in demands if each not in lone]
        missed += tuple(each.words for each in lone)
    return Order(tuple(demands), missed)


def _demand(found: _Found, words: str, last: str) -> tuple[Demand | None, str]:
    """The demand of a wording, and the part that "it" means after it; ``last`` is the one before."""
    amount = found.amount or USUAL
    parts = tuple(_named(part, last) for part in found.parts)
    meanings: list[Meaning] = []
    for part in parts or (ANYTHING,):
        if part not in found.ends and not found.codes:
            return None, last
        meanings += found.ends.get(part, [])
    part = parts[0] if parts else ""
    return Demand(words, tuple(meanings), found.codes, amount, part), part or last


def _named(part: str, last: str) -> str:
    """What "it", "the other one" or "the right one" is, where ``last`` was named before; "" where that is unknown."""
    side, _, noun = last.partition(" ")
    if part in PRONOUNS:
        return last
    which, _, limb = part.partition(" ")
    if which == "other":
        limb = noun if limb == "one" else limb
        return f"{exchange_sides(side)} {limb}" if side in SIDES else ""
    if limb == "one":
        return f"{which} {noun}" if side in SIDES else ""
    return part


def _cut(tokens: Sequence[str]) -> Iterator[_Found]:
    """The wordings, amounts and single words that a text falls into, such that the fewest words are left over."""
    cost = [0] * (len(tokens) + 1)
    step: list[_Found] = [_Found(at, at + 1, {}) for at in range(len(tokens))]
    for at in reversed(range(len(tokens))):
        cost[at] = cost[at + 1] + (0 if _is_filler(tokens[at]) else WORD_COST)
        if at == len(tokens) - 1:
            continue
        for one in _candidates(tokens, at):
            price = cost[one.end] + (1 if one.ends or one.codes else LONE_AMOUNT)
            if price < cost[at]:
                cost[at], step[at] = price, one
    at = 0
    while at < len(tokens):
        yield step[at]
        at = step[at].end


def _candidates(tokens: Sequence[str], at: int) -> Iterator[_Found]:
    """All wordings and amounts that begin at a token; what two tables say of the same words is one."""
    found: dict[tuple[int, tuple[str, ...], Amount | None], _Found] = {}
    for end, ends, parts, amount in _walk(order_words().trie, tokens, at, (), None):
        if parts and not any(part in ends or _refers(part) for part in parts):
            continue
        found[end, parts, amount] = _Found(at, end, ends, (), amount, parts)
    for one in mentions_at(tokens, at, load_lexicon()):
        codes = tuple(fact.posecode for fact in one.facts)
        if one.limb or not all(codes):  # of one limb, whichever; or a state without a name, which no order brings about
            continue
        same = [key for key in found if key[0] == one.end and key[2] is None]
        for key in same:
            found[key] = found[key]._replace(codes=codes)
        if not same:
            found[one.end, (), None] = _Found(at, one.end, {}, codes)
    yield from found.values()
    for end, amount in _amounts(tokens, at):
        yield _Found(at, end, {}, (), amount)


def _walk(
    node: Node, tokens: Sequence[str], at: int, parts: tuple[str, ...], amount: Amount | None
) -> Iterator[tuple[int, dict[str, list[Meaning]], tuple[str, ...], Amount | None]]:
    """Wordings from here on: where they end, what they mean of which noun, the parts and the amount in them."""
    if END in node:
        yield at, node[END], parts, amount
    if at >= len(tokens) - 1:
        return
    if (after := node.get(tokens[at])) is not None:
        yield from _walk(after, tokens, at + 1, parts, amount)
    if amount is None:
        for end, said in _amounts(tokens, at):
            yield from _walk(node, tokens, end, parts, said)
    if PART in node and not parts:
        for names, end in _nouns(tokens, at):
            yield from _walk(node[PART], tokens, end, names, amount)


def _nouns(tokens: Sequence[str], at: int) -> Iterator[tuple[tuple[str, ...], int]]:
    """Parts of the body that are named at a token: "left arm", "both knees", "it", "the other arm"."""
    if tokens[at] in PRONOUNS:
        yield (tokens[at],), at + 1
    if tokens[at] == "other" and at + 1 < len(tokens):
        yield (f"other {tokens[at + 1]}",), at + 2
    if tokens[at] in SIDES and tokens[at + 1] == "one":
        yield (f"{tokens[at]} one",), at + 2
    yield from parts_at(tokens, at, load_lexicon())
    start = at + (tokens[at] == "both")
    for size in (1, 2, 3):
        noun = " ".join(tokens[start : start + size])
        if noun in order_words().nouns:
            yield (noun,), start + size


def _refers(part: str) -> bool:
    """Whether a part is named by one that was named before."""
    return part in PRONOUNS or part.startswith("other ") or part.endswith(" one")


def _amounts(tokens: Sequence[str], at: int) -> Iterator[tuple[int, Amount]]:
    """Amounts that begin at a token, and where they end."""
    table = orders_table()
    for end, size in _phrases(tokens, at):
        yield end, Amount(size, said=True)
        if tokens[end] in table["more"]:
            yield end + 1, Amount(size, said=True)
    absolute = tokens[at] in {"to", "at"}
    start = at + absolute
    while tokens[start] in table["around"]:
        start += 1
    for measured, is_length in ((angle_at, False), (length_at, True)):
        found = measured(tokens, start)
        if found is None or tokens[found.end - 1] in FEET:
            continue
        amount = Amount("some", found.value, is_length, absolute, True)
        yield found.end, amount
        if tokens[found.end] in table["more"]:
            yield found.end + 1, amount


def _phrases(tokens: Sequence[str], at: int) -> Iterator[tuple[int, Size]]:
    for words, size in _amount_phrases().items():
        end = at + len(words)
        if tuple(tokens[at:end]) == words:
            yield end, size


@cache
def _amount_phrases() -> dict[tuple[str, ...], Size]:
    sizes = {size: orders_table()["amounts"][size] for size in (*SIZES, "all")}
    return {tuple(without_articles(phrase)): size for size, phrases in sizes.items() for phrase in phrases}


def _typed(text: str) -> Iterator[tuple[str, str]]:
    """Tokens without articles, each with what was typed for it; 20cm is two."""
    before = ""
    for word in words_in(WISH.sub("please", text)):
        if word in OWNERS or word in ARTICLES:
            before += f"{word} "
            continue
        digits = word.rstrip("abcdefghijklmnopqrstuvwxyz")
        parts = (digits, word[len(digits) :]) if digits.isdigit() and digits != word else (word,)
        for part in parts:
            yield (ONESELF if part in SELVES else part), before + part
            before = ""


@cache
def _fillers() -> frozenset[str]:
    return frozenset(orders_table()["fillers"].split()) | ARTICLES | OWNERS | STOPS


def _is_filler(token: str) -> bool:
    return token in _fillers()


@cache
def _vocabulary() -> frozenset[str]:
    """All words that are read."""
    known: set[str] = set(_fillers()) | AMOUNT_WORDS

    def gather(node: Node) -> None:
        for token, after in node.items():
            if isinstance(token, str) and token != PART:
                known.add(token)
                gather(after) if isinstance(after, dict) else None
            elif token == PART:
                gather(after)

    gather(order_words().trie)
    lexicon = load_lexicon()
    for phrases in (lexicon.states, lexicon.deeds, lexicon.acts, lexicon.nouns):
        known |= {token for token in _tokens_in(phrases) if isinstance(token, str)}
    known |= {word for noun in order_words().nouns for word in noun.split()}
    known |= {word for phrase in _amount_phrases() for word in phrase}
    for name in ("denials", "harmless", "connectives", "doubtful"):
        known |= reading_table()[name]
    return frozenset(known)


def _tokens_in(node: Node) -> Iterator[str]:
    for token, after in node.items():
        if isinstance(token, str):
            yield token
            if isinstance(after, dict):
                yield from _tokens_in(after)


@cache
def _spelt(token: str) -> str:
    """A word that nobody knows as the one that it is mistyped for, where that is certain."""
    if len(token) < LEAST_LETTERS or not token.isalpha() or token in _vocabulary():
        return token
    near = [word for word in _vocabulary() if len(word) >= LEAST_LETTERS and is_one_slip(token, word)]
    return near[0] if len(near) == 1 else token


def _runs(words: Sequence[str]) -> tuple[str, ...]:
    """Words side by side as one; an empty one parts them."""
    runs: list[list[str]] = [[]]
    for word in words:
        if not word or word in STOPS:
            runs.append([])
        else:
            runs[-1].append(word)
    return tuple(" ".join(run) for run in runs if run)
