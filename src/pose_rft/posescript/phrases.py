"""Pieces of what is said of a limb: deeds, degrees, directions, amounts and places, read off the tokens of a text.

"raised slightly to shoulder height" is the pieces raise, slight, at:shoulder. ``grammar.yaml`` holds their words.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from pose_rft.posescript.amounts import angle_at, bare_at, clock_at, comparison_at, length_at, share_at
from pose_rft.posescript.wording import participle, third_person
from pose_rft.storage import package_table

END = None
SIDE_WORDS = {
    "left": "left",
    "right": "right",
    "other": "other",
    "opposite": "other",
    "own": "own",
    "same": "own",
    "both": "",
    "each": "",
    "either": "",
    "one": "any",
    "a": "any",
    "that": "",
    "two": "",
}
ANGLE, LENGTH, FLEXION, SHARE, CLOCK = "N", "L", "F", "P", "C"
MORE_DEGREES, MORE_METRES = 15.0, 0.12  # by which "more than" an amount is more
BENT = {"bend", "bends", "bending", "bent", "flex", "flexes", "flexed", "flexing"}
PREPOSITIONS = {"on", "at", "against", "onto", "upon", "to", "up", "around", "round"}
STOP = frozenset(".;!?,:")


class Piece(NamedTuple):
    """One piece.

    Attributes:
        end: place of the first token after it.
        names: what it is, e.g. bend, or lean and fwd of "bow"; a place is relation:target:side.
        value: of an amount, degrees or metres.
        carries: it is a deed whose object a limb may be.
    """

    end: int
    names: tuple[str, ...]
    value: float | None = None
    carries: bool = False


@cache
def grammar_table() -> dict[str, Any]:
    """``grammar.yaml``."""
    return package_table(__package__, "grammar.yaml")


@cache
def limb_nouns() -> dict[str, tuple[str, str]]:
    """Nouns of one limb -> its kind and the noun of both: knee -> (knee, knees)."""
    pairs = {}
    for kind, nouns in grammar_table()["limbs"].items():
        for noun in nouns:
            one, both = noun.split("|")
            pairs[one] = kind, both
    return pairs


def _words(entry: str) -> list[tuple[str, ...]]:
    """Phrases as tokens are: without articles."""
    return [tuple(word for word in phrase.split() if word != "the") for phrase in entry.split("|") if phrase.strip()]


def _insert(trie: dict, words: Sequence[str], meaning: Any) -> None:
    for word in words:
        trie = trie.setdefault(word, {})
    trie.setdefault(END, meaning)


def _deeds() -> Iterator[tuple[tuple[str, ...], tuple[str, ...], bool]]:
    """Words of deeds in all their forms, what they are, and whether a limb may follow as their object."""
    for names, verbs in grammar_table()["verbs"].items():
        for verb in verbs.split():
            base, past = (form.replace("_", " ") for form in verb.split("/"))
            for form in (base, third_person(base), participle(base)):
                yield tuple(form.split()), tuple(names.split()), True
            yield tuple(past.split()), tuple(names.split()), False


@cache
def _pieces() -> dict:
    """Trie of pieces without amounts and places: words -> (names, carries)."""
    table, trie = grammar_table(), dict[Any, Any]()
    for words, names, carries in _deeds():
        _insert(trie, words, (names, carries))
    for names, entry in table["words"].items():
        for words in _words(entry):
            _insert(trie, words, (tuple(names.split()), False))
    for words in _words(table["carry"]):
        _insert(trie, words, ((), True))
    for words in _words(table["fill"]):
        _insert(trie, words, ((), False))
    return trie


@cache
def _targets() -> dict:
    trie = dict[Any, Any]()
    for name, target in grammar_table()["targets"].items():
        for words in _words(target["words"]):
            _insert(trie, words, name)
    return trie


@cache
def _relations() -> dict:
    """Trie of what stands before a target: words -> [(relation, words behind the target)]."""
    trie = dict[Any, Any]()
    for relation, entry in grammar_table()["relations"].items():
        for phrase in entry.split("|"):
            before, _, after = phrase.partition("{}")
            node = trie
            for word in before.split():
                node = node.setdefault(word, {})
            node.setdefault(END, []).append((relation, tuple(after.split())))
    return trie


@cache
def words_of_pieces() -> frozenset[str]:
    """All words of the grammar."""
    found: set[str] = set()

    def walk(trie: dict) -> None:
        for word, after in trie.items():
            if word is not END:
                found.add(word)
                walk(after)

    for trie in (_pieces(), _targets(), _relations()):
        walk(trie)
    # the words behind a target: "hip height"
    for entry in grammar_table()["relations"].values():
        found.update(re.findall("[a-z]+", entry))
    return frozenset(found)


def _matches(trie: dict, tokens: Sequence[str], at: int) -> Iterator[tuple[int, Any]]:
    """All phrases of a trie that begin at a token, the shortest first."""
    node: dict | None = trie
    while node is not None:
        if END in node:
            yield at, node[END]
        node = node.get(tokens[at])
        at += 1


def target_at(tokens: Sequence[str], at: int) -> tuple[int, str, str] | None:
    """The place on the body that begins at a token, its end, name and side: "left knee" -> (.., knee, left)."""
    side = SIDE_WORDS.get(tokens[at])
    found = None
    for start, of in ((at + 1, side), (at, "")) if side is not None else ((at, ""),):
        for end, name in _matches(_targets(), tokens, start):
            if end > start:
                found = end, name, of or ""
        if found:
            return found
    if tokens[at] in {"left", "right", "other"} and (tokens[at + 1] in STOP or tokens[at + 1] == "one"):
        return at + 1 + (tokens[at + 1] == "one"), "one", "other"
    return None


def _places(tokens: Sequence[str], at: int) -> Iterator[Piece]:
    for middle, relations in _matches(_relations(), tokens, at):
        target = target_at(tokens, middle)
        if target is None:
            continue
        end, name, side = target
        for relation, after in relations:
            last = end + len(after)
            if name == "one" and relation in {"on", "near", "at"} and tokens[end - 1] not in {"one", "other"}:
                continue  # "to the right"
            if tuple(tokens[end:last]) == after and (relation, name) != ("above", "floor"):
                carries = middle > at and relation == "on" and tokens[at] not in PREPOSITIONS
                yield Piece(last, (f"{relation}:{name}:{side}",), carries=carries)


def _amounts(tokens: Sequence[str], at: int) -> Iterator[Piece]:
    by = at + (tokens[at] == "by")
    start, sign = comparison_at(tokens, by)
    # "bent more than 90 degrees" is a bend, "bent to less than 90 degrees" is an angle
    flexion = by > at or (sign and tokens[at - 1] not in {"to", "at"} and BENT & set(tokens[max(0, at - 3) : at]))
    if amount := angle_at(tokens, start):
        yield Piece(amount.end, (FLEXION if flexion else ANGLE,), amount.value + sign * MORE_DEGREES)
    if amount := length_at(tokens, start):
        yield Piece(amount.end, (LENGTH,), max(0.0, amount.value + sign * MORE_METRES))
    if amount := share_at(tokens, by):
        yield Piece(amount.end, (SHARE,), round(amount.value, 2))
    if clock := clock_at(tokens, at):
        yield Piece(clock[0].end, (CLOCK,) if clock[1] else (CLOCK, "bare"), clock[0].value)
    if by == at and (amount := bare_at(tokens, start)):
        yield Piece(amount.end, (FLEXION if flexion else ANGLE,), amount.value + sign * MORE_DEGREES)


def piece_at(tokens: Sequence[str], at: int) -> Piece | None:
    """The longest piece that begins at a token; of equals an amount, then no place. The tokens must end with a stop."""
    best: Piece | None = None
    if tokens[at] in SIDE_WORDS and tokens[at + 1] == "one":  # "the left one"
        return None
    words = (Piece(end, *_named(meaning)) for end, meaning in _matches(_pieces(), tokens, at) if end > at)
    for piece in (*_amounts(tokens, at), *words, *_places(tokens, at)):
        if best is None or piece.end > best.end:
            best = piece
    # "the back of the shoulder" is a part of it, and no direction.
    return None if best is not None and best.end == at + 1 and tokens[at : at + 2] == ["back", "of"] else best


def _named(meaning: tuple[tuple[str, ...], bool]) -> tuple[tuple[str, ...], None, bool]:
    return meaning[0], None, meaning[1]
