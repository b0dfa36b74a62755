"""Finding what a text mentions: "the left knee is bent", "leaning forward", "with both arms raised".

A text is cut into statements and the words between them such that as few words as possible are left over (dynamic
programming from the end). Whether the text means what is found is decided by ``assertion``.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from pose_rft.posescript.lexicon import PERSON, Ids, Lexicon, load_lexicon, read, reading_table, tokens_of
from pose_rft.posescript.posecodes import Posecode, load_posecodes
from pose_rft.posescript.wording import VOICES, participle, shared_state, third_person

PAST = {"was", "were"}
COPULAS = {"is", "are"} | PAST
STOPS = set(".,;:!?")
SIDES = ("left", "right")
LOOK_BACK = 30  # words in which "the other one" looks for its limb
WORD_COST = 1000  # a word left over weighs more than any number of statements


class Mention(NamedTuple):
    """A statement and where it stands: tokens[start:end]."""

    start: int
    end: int
    ids: Ids
    deed: bool  # has its subject before it, or is an order: "bends the left knee"
    person: bool  # is said of the person as a whole: "leaning forward"


@cache
def _connectives() -> frozenset[str]:
    kept = {form for verb in ("have", "keep", "hold") for form in (verb, third_person(verb), participle(verb))}
    voiced = {word for voice in VOICES for words in (voice.intro, voice.pronoun) for word in tokens_of(words)}
    return frozenset(STOPS | kept | voiced) | reading_table()["connectives"]


def people() -> frozenset[str]:
    """Words for the person whom a text is about."""
    return frozenset().union(*reading_table()["people"].values())


def holds_together(token: str) -> bool:
    """Whether a word holds a sentence together and says nothing by itself."""
    return token in _connectives() or (token.endswith("'s") and token.removesuffix("'s") in people())


@cache
def code_of(name: str) -> Posecode:
    """The posecode of an id."""
    return next(code for code in load_posecodes() if code.id == name)


@cache
def body_words() -> frozenset[str]:
    """Nouns of parts of the body, without sides: knee, knees, torso, ..."""
    lexicon = load_lexicon()
    return frozenset(noun.split()[-1] for noun in (*lexicon.named, *lexicon.limbs.values()))


def _limb_before(tokens: Sequence[str], at: int) -> tuple[str, str]:
    """Side ("" if it has none) and noun of the limb in the clause before, or "" twice where there are none or two."""
    limbs = sorted(load_lexicon().limbs, key=len, reverse=True)  # lower leg before leg
    found: set[tuple[str, str]] = set()
    for place in range(at - 2, max(0, at - LOOK_BACK), -1):
        if tokens[place] in STOPS and found:
            break
        said = " ".join(tokens[max(0, place - 1) : place + 1])
        if noun := next((limb for limb in limbs if said == limb or said.endswith(f" {limb}")), ""):
            side = tokens[place - len(noun.split())]
            found.add((side if side in SIDES else "", noun))
    return found.pop() if len(found) == 1 else ("", "")


def _elliptic(tokens: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[tuple[str, ...], int]]:
    """The left one / the left / the other, of the limb named before: "the right knee is bent, the left straight"."""
    if (
        not at
        or tokens[at] not in (*SIDES, "other")
        or tokens[at - 1] not in (*STOPS, "and", "while", "but", "whereas")
    ):
        return
    side, limb = _limb_before(tokens, at)
    end = at + 1 + (tokens[at + 1] in {"one", limb})
    if tokens[at] != "other":
        side = tokens[at]
    elif side:
        side = SIDES[1 - SIDES.index(side)]
    if side and f"{side} {limb}" in lexicon.named:
        yield (f"{side} {limb}",), end


def _nouns(tokens: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[str, int]]:
    """One noun: left knee; left knee of the man."""
    for end, name in read(lexicon.nouns, tokens, at):
        yield name[PERSON], end
        if tokens[end] == "of" and tokens[end + 1] in people():
            yield name[PERSON], end + 2


def parts_at(tokens: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[tuple[str, ...], int]]:
    """Nouns that begin at a token, one or two, and where they end: left knee; both knees; left knee and right elbow."""
    yield from _elliptic(tokens, at, lexicon)
    if tokens[at] == "both":
        at += 1 + (tokens[at + 1] == "of")
    for name, end in _nouns(tokens, at, lexicon):
        yield (name,), end
        if tokens[end] == "and":
            for other, last in _nouns(tokens, end + 1, lexicon):
                yield (name, other), last
            side = tokens[at]
            if side in SIDES and f"{side} {tokens[end + 1]}" in lexicon.named:  # the left knee and elbow
                yield (name, f"{side} {tokens[end + 1]}"), end + 2


def _said_of(parts: tuple[str, ...], meanings: dict, lexicon: Lexicon) -> Ids | None:
    """What a phrase says of these parts, or None if it is not said of them."""
    if len(parts) == 1:
        return meanings.get((parts[0], False))
    found = [meanings.get((part, True)) or meanings.get((part, False)) for part in parts]
    if found[0] and not found[1]:  # one state of two parts, in the words of the first
        code = code_of(found[0][0])
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


def _attributes(tokens: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[tuple[str, ...], int, Ids]]:
    """A state before its noun: bent knees; slightly bent left knee."""
    for middle, meanings in read(lexicon.states, tokens, at):
        if middle > at and tokens[middle - 1].endswith(("ed", "bent", "straight")):
            for parts, end in parts_at(tokens, middle, lexicon):
                if len(parts) == 1 and (ids := _said_of(parts, meanings, lexicon)):
                    yield parts, end, ids


def mentions_at(tokens: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[Mention]:
    """All statements that begin at a token."""
    for end, meanings in read(lexicon.acts, tokens, at):
        yield Mention(at, end, meanings[PERSON], True, True)
    for middle, follow in read(lexicon.deeds, tokens, at):
        for parts, after in parts_at(tokens, middle, lexicon):
            for end, meanings in read(follow, tokens, after):
                if ids := _said_of(parts, meanings, lexicon):
                    yield Mention(at, end, ids, True, False)
    subjects = [(parts, after, ()) for parts, after in parts_at(tokens, at, lexicon)]
    for parts, after, known in [*subjects, *_attributes(tokens, at, lexicon)]:
        if known:
            yield Mention(at, after, known, False, False)
        after += tokens[after] in COPULAS
        for start in (after, after + 1) if tokens[after] in reading_table()["adverbs"] else (after,):
            for end, ids in _states(tokens, start, parts, lexicon):
                yield Mention(at, end, known + ids, False, False)


def find_mentions(tokens: Sequence[str]) -> list[Mention]:
    """The statements in a text that leave the fewest words over; of equals, the fewest statements.

    Args:
        tokens: of a text, in lower case and without articles; the first and the last are stops.
    """
    lexicon = load_lexicon()
    cost = [0] * len(tokens)  # of the text from each token on
    step: list[Mention | None] = [None] * len(tokens)
    for at in reversed(range(len(tokens) - 1)):
        cost[at] = cost[at + 1] + (0 if holds_together(tokens[at]) else WORD_COST)
        for one in mentions_at(tokens, at, lexicon):
            if cost[one.end] + 1 < cost[at]:
                cost[at], step[at] = cost[one.end] + 1, one
    found, at = [], 0
    while at < len(tokens):
        chosen = step[at]
        if chosen:
            found.append(chosen)
        at = chosen.end if chosen else at + 1
    return found
