"""Typing errors: a word that nobody knows is read as the one word of bodies and directions that is one slip away.

A slip is a letter too many, too few, wrong or exchanged with its neighbour (Damerau, 1964), in a word of four letters
or more, letters that stand once for twice or twice for once, or a missing space. ``spelling.yaml`` holds what is
misspelt by ear, and English words that look like slips.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache

from pose_rft.posescript.amounts import WORDS as AMOUNT_WORDS
from pose_rft.posescript.lexicon import AMOUNTS, END, OWNERS, Phrases, load_lexicon, reading_table
from pose_rft.posescript.phrases import words_of_pieces
from pose_rft.storage import package_table

RUN_TOGETHER = re.compile(r"(\d+)([a-z]+)")  # 110degrees
LONGEST_UNIT = 4  # letters of what is written in one with its number: 60cm, 90degs
JOINING = {"on", "at", "to", "in"}
OFTEN_MISSPELT = {"both", "with", "while", "other", "about", *(unit for unit in AMOUNT_WORDS if len(unit) > 5)}
LONG = 6  # letters of a word of the grammar that is mended to: a short one is a slip away from too many others
SHORTEST = 4  # letters of a word in which slips are mended
SHORTEST_PART, SHORTEST_JOINED = 2, 6  # letters of either word of two that are run together, and of both
PARTS = {
    *("left", "right", "both", "arm", "arms", "head", "hand", "hands", "leg", "legs", "foot", "feet", "in", "the"),
    *("knee", "knees", "elbow", "elbows", "hip", "hips", "front", "up"),
}  # one of two words that are run together is one of these


def corrected(words: Iterable[str]) -> Iterator[str]:
    """Words and stops in lower case, with slips mended; one that is run together becomes two."""
    waiting = ""  # a word that may take the first letter of the next: "arm sout"
    for word in words:
        if waiting and _is_shifted(waiting, word):
            waiting, word = waiting + word[0], word[1:]
        if waiting:
            yield from _mended(waiting)
        waiting = word
    if waiting:
        yield from _mended(waiting)


def _is_shifted(word: str, after: str) -> bool:
    """Whether a space came a letter too early: "arm sout"."""
    if len(after) < SHORTEST or after in _known() or after in _table()[1]:
        return False
    return {word + after[0], after[1:]} <= _known() and word + after[0] in PARTS


def _parted(word: str) -> tuple[str, str] | None:
    """The two words that one is run together of, those that name a limb first, or None."""
    found = []
    for at in range(SHORTEST_PART, len(word) - SHORTEST_PART + 1):
        one, two = word[:at], word[at:]
        if {one, two} <= _known() and {one, two} & PARTS:
            found.append((2 * (one in PARTS) + (two in JOINING), (one, two)))
        elif (one in JOINING and two in OWNERS) or (one in PARTS and two in JOINING):
            found.append((3, (one, two)))
    return max(found)[1] if found else None


@lru_cache(maxsize=65536)
def _mended(word: str) -> tuple[str, ...]:
    real = _table()[1]
    if word in misspelt():
        return tuple(misspelt()[word].split())
    if (joined := RUN_TOGETHER.fullmatch(word)) and len(joined[2]) > LONGEST_UNIT:
        return (joined[1], *_mended(joined[2]))
    if word in _known() or word in real or not word.isalpha():
        return (word,)
    if word.endswith("in") and f"{word}g" in _known():  # reachin
        return (f"{word}g",)
    if (
        len(word) >= SHORTEST_JOINED - 1
        and (parts := _parted(word))
        and (len(word) >= SHORTEST_JOINED or parts[1] in OWNERS)
    ):
        return parts
    if len(word) < SHORTEST:
        return (word,)
    near = {right for shape in _with_one_less(word) for right in _by_shape()[shape] if is_one_slip(word, right)}
    near = near or _by_undoubled().get(_undoubled(word), set())
    if len(near) > 1:  # rather a letter doubled, then letters exchanged, than a letter wrong
        near = {right for right in near if _undoubled(right) == _undoubled(word)} or near
        near = {right for right in near if sorted(right) == sorted(word) or set(right) == set(word)} or near
    return (near.pop(),) if len(near) == 1 else (word,)


def _undoubled(word: str) -> str:
    """With one letter for those that stand twice: knneee -> kne."""
    return re.sub(r"(.)\1+", r"\1", word)


@cache
def _table() -> tuple[dict[str, str], frozenset[str]]:
    """What misspelt words mean, and words that only look misspelt."""
    table = package_table(__package__, "spelling.yaml")
    return table["misspelt"], frozenset(table["real"].split())


def misspelt() -> dict[str, str]:
    """Words that are misspelt by ear or abbreviated, and what they mean."""
    return _table()[0]


@cache
def taught_words() -> frozenset[str]:
    """The words of the lexicon's wordings."""
    lexicon, found = load_lexicon(), set[str]()

    def walk(phrases: Phrases, nested: bool) -> None:
        for word, after in phrases.items():
            if word is END:
                if nested:
                    walk(after, nested=False)
            elif word != AMOUNTS:
                found.add(word)
                walk(after, nested)

    for phrases in (lexicon.nouns, lexicon.states, lexicon.acts):
        walk(phrases, nested=False)
    walk(lexicon.deeds, nested=True)
    found |= {word for word in words_of_pieces() if len(word) >= LONG}
    return frozenset(word for word in found if word.isalpha())


@cache
def _known() -> frozenset[str]:
    """All words that the reader has an opinion of."""
    table = reading_table()
    lists = [words for words in table.values() if isinstance(words, frozenset)]
    return frozenset().union(taught_words(), *lists, *table["people"].values(), PARTS, AMOUNT_WORDS, words_of_pieces())


@cache
def _by_shape() -> dict[str, set[str]]:
    """Words of the lexicon by what is left of them without any one letter, and by themselves."""
    found: dict[str, set[str]] = defaultdict(set)
    for word in {*taught_words(), *OFTEN_MISSPELT}:
        if len(word) >= SHORTEST:
            for shape in _with_one_less(word):
                found[shape].add(word)
    return found


@cache
def _by_undoubled() -> dict[str, set[str]]:
    """Words of the lexicon by what is left of them where no letter stands twice."""
    found: dict[str, set[str]] = defaultdict(set)
    for word in {*taught_words(), *OFTEN_MISSPELT}:
        if len(word) > SHORTEST:
            found[_undoubled(word)].add(word)
    return found


def _with_one_less(word: str) -> set[str]:
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


def is_one_slip(word: str, right: str) -> bool:
    """Whether the Damerau-Levenshtein distance of two different words is 1."""
    if abs(len(word) - len(right)) == 1:
        longer, shorter = sorted((word, right), key=len, reverse=True)
        return shorter in _with_one_less(longer)
    differ = [at for at, (a, b) in enumerate(zip(word, right, strict=False)) if a != b]
    if len(word) != len(right) or not 1 <= len(differ) <= 2:
        return False
    one, two = differ[0], differ[-1]
    return one == two or (two == one + 1 and word[one] == right[two] and word[two] == right[one])
