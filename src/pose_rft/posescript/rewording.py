"""A request in the words of statements: what changes nothing is left out, what is denied or only compared is marked.

"The arms shouldn't be raised" has the words "arms is raised" and a mark, so that one table of wordings serves what is
stated, what is wished and what is denied. Pronouns and limbs without a side stand for the limb that was named last.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from pose_rft.posescript.lexicon import (
    ONESELF,
    OWNERS,
    PERSON,
    POINTERS,
    SELVES,
    load_lexicon,
    read,
    reading_table,
    words_in,
)
from pose_rft.posescript.mentions import ARM_NOUNS, COPULAS, LEG_NOUNS, SIDES
from pose_rft.posescript.spelling import corrected, taught_words
from pose_rft.storage import package_table

TRUNK = {"torso", "trunk", "body"}
GOALS = {"to", "on", "onto", "against", "towards"}  # before "it": "lift a knee and bring the elbow to it"
LIMBS_DO = {"hang", "dangle", "rest", "point", "reach"}  # "they hang": no people do, so near a limb
BEFORE_A_LIMB = set(".,;:!?") | {"and", "but", "with", "while", "so"}  # the limb after these is of the side named last


class Reworded(NamedTuple):
    """A request in the words of statements.

    Attributes:
        tokens: without articles, a stop first and last.
        marks: marks[i] are those that stand before tokens[i].
    """

    tokens: list[str]
    marks: list[frozenset[str]]


@cache
def request_table() -> dict[str, Any]:
    """``request_words.yaml``: compiled rewordings, behind those of ``contrasts.yaml``, and lists of words as sets."""
    table, contrasts = (package_table(__package__, name) for name in ("request_words.yaml", "contrasts.yaml"))
    groups, rewordings = contrasts["groups"] | table["groups"], []
    for pattern, plain in (*contrasts["rewordings"], *table["rewordings"]):
        for name, words in groups.items():
            pattern = pattern.replace(f"<{name}>", f"(?:{words})")
        rewordings.append((re.compile(pattern), plain))
    lists = {name: frozenset(words.split()) for name, words in table.items() if isinstance(words, str)}
    return lists | {"rewordings": rewordings}


def reworded(text: str) -> Reworded:
    """A request in the words of statements."""
    plain = " ".join(corrected(words_in(text)))
    for pattern, instead in request_table()["rewordings"]:
        plain = pattern.sub(instead, plain)
    items = [(".", frozenset()), *_marked([*plain.split(), "."])]
    tokens, marks = zip(*_spelt_out(items), strict=True)
    return Reworded(list(tokens), list(marks))


def _marked(words: Sequence[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Tokens and the marks before each; adverbs of manner are left out."""
    marks: set[str] = set()
    for word in words:
        if word.isupper():
            marks.add(word)
        elif word in OWNERS or word in POINTERS:
            continue
        elif not _is_manner(word):
            yield ONESELF if word in SELVES else word, frozenset(marks)
            marks = set()


@cache
def _is_manner(word: str) -> bool:
    """Whether a word says how something is done and not what: gracefully."""
    if not word.endswith("ly") or word in taught_words() or word in request_table()["hedges"]:
        return False
    table = reading_table()
    return not any(word in table[name] for name in ("denials", "hedges", "doubtful"))


def _means_a_limb(tokens: Sequence[str], at: int, plural: bool) -> bool:
    """Whether a word is a pronoun of the limb, or of the two, named before: "bend it", "they are bent"."""
    token = tokens[at]
    if token not in {"it", "they", "them"}:
        return False
    before, after = tokens[at - 1], tokens[at + 1]
    if token == ("them" if plural else "it"):
        figure = after in request_table()["figures"] or _is_a_deed(tokens[at + 1 : at + 4])
        return before != "as" and not figure  # "as far as it goes"; "it kneels"
    deed = _is_a_deed(tokens[at + 1 : at + 4])
    if token == "they" and plural and after in LIMBS_DO:
        return True
    return token == "they" and plural and after in COPULAS and tokens[at + 2] in load_lexicon().states and not deed


def _means_both(tokens: Sequence[str], at: int) -> bool:
    """Whether "both" are the two limbs named before: "the right arm higher than the left, both out to the side"."""
    if tokens[at] != "both" or tokens[at - 1] not in BEFORE_A_LIMB or _kind(tokens[at + 2]):
        return False
    return tokens[at + 1] in load_lexicon().states


def _is_a_deed(tokens: Sequence[str]) -> bool:
    """Whether what follows a pronoun is what somebody does, and no limb: is standing; is straightening arms."""
    if len(tokens) < 2 or tokens[0] not in COPULAS or not tokens[1].endswith("ing"):
        return False
    return tokens[1] in load_lexicon().acts or any(word in SIDES or _kind(word) for word in tokens[2:])


def _kind(noun: str) -> frozenset[str]:
    return next((kind for kind in (ARM_NOUNS, LEG_NOUNS) if noun.removesuffix("s") in kind), frozenset())


def _spelt_out(items: Sequence[tuple[str, frozenset[str]]]) -> Iterator[tuple[str, frozenset[str]]]:
    """Tokens with "it" and "them" replaced by the limb named last, and "knee" by "left knee" after "left leg"."""
    tokens = [token for token, _ in items]
    lexicon = load_lexicon()
    named: tuple[str, ...] = ()  # the tokens of the limb named last
    earlier = named  # the tokens of the limb named before that
    end = 0  # of these
    others = False  # the limb before that, in this sentence, was of another kind
    sides: dict[frozenset[str], str] = {}  # of arms and legs, that named last in this sentence
    for at, (token, marks) in enumerate(items):
        if named and _means_both(tokens, at) and not others:
            yield lexicon.limbs.get(named[-1], named[-1]), marks
            continue
        pronoun = bool(named) and _means_a_limb(tokens, at, named[-1] in lexicon.limbs.values())
        if pronoun:
            meant = earlier if earlier and tokens[at - 1] in GOALS else named
            yield meant[0], marks
            yield from ((word, frozenset()) for word in meant[1:])
            continue
        if token in ".;!?":
            sides, others = {}, False
        kind = _kind(token)
        side = sides.get(kind, "") if kind and token in lexicon.limbs else ""
        before = tokens[at - 2 : at] if tokens[at - 1] in {"bent", "straight"} else tokens[at - 1 : at]
        if side and before[0] in (BEFORE_A_LIMB | {"a"} if before[1:] else BEFORE_A_LIMB):
            yield side, marks
            yield token, frozenset()
        else:
            yield token, marks
        if token in SIDES and (of := _kind(tokens[at + 1])):
            sides[of] = token
        ends = [last for last, name in read(lexicon.nouns, tokens, at) if _kind(name[PERSON].split()[-1])]
        if ends and at >= end:
            end = max(ends)
            others = bool(sides) and bool(named) and _kind(named[-1]) != _kind(tokens[end - 1])
            earlier, named = named, tuple(tokens[at:end])
        elif token in TRUNK:
            named = ()  # "it" is the torso
