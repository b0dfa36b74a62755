"""What a prompt names: the concept of the bank whose phrase it is, however it is asked for, or names in a sentence."""

import re
from functools import cache, lru_cache
from typing import NamedTuple

from pose_rft.data.concepts.concept import Concept, has_side, load_concepts
from pose_rft.data.concepts.pose_language import swap_sides
from pose_rft.data.verbs import with_verb
from pose_rft.posescript.checks import mirrored

WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
SAYS_NOTHING = frozenset(
    re.findall(
        r"\S+",
        "a an the his her their your my its he she they it i you me we is are of in do doing does being who that there "
        "this pose posing position stance posture picture image photo photograph drawing sketch model reference 3d "
        "someone somebody person people man woman boy girl guy lady kid child human figure character show draw give "
        "make generate create imagine display render want need like see would could can please to for",
    )
)


ARTICLES = {"a", "an", "the"}
SHORTEST_NAME, LONGEST_NAME = 2, 5  # words of a pose's name in a sentence; of one many are everyday words: guard, skip


class _Named(NamedTuple):
    """The concept that has a phrase, and whether it is mirrored there."""

    concept: Concept
    phrase: str
    mirrored: bool


@lru_cache(maxsize=65536)
def named_checks(prompt: str) -> tuple[str, ...]:
    """What has to hold of the pose that a prompt names and says nothing else of; empty where it names none."""
    found = _by_essence().get(_essence(prompt))
    if found is None:
        return ()
    checks = found.concept.checks_for(found.phrase)
    return tuple(map(mirrored, checks)) if found.mirrored else checks


def mentions_name(sentence: str) -> bool:
    """Whether a sentence has the name of a pose in it."""
    words = _words(sentence)
    sizes = range(SHORTEST_NAME, LONGEST_NAME + 1)
    return any(words[at : at + size] in _names() for size in sizes for at in range(len(words)))


def _words(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(text.lower().replace("-", " ")))


def _essence(text: str) -> tuple[str, ...]:
    return tuple(word for word in _words(text) if word not in SAYS_NOTHING)


@cache
def _concepts() -> list[Concept]:
    return load_concepts(twins=False)  # theirs are mirrored when asked for: that takes a second for all


@cache
def _by_essence() -> dict[tuple[str, ...], _Named | None]:
    """Concepts by what their phrases say; None where two are said alike."""
    known: dict[tuple[str, ...], _Named | None] = {}
    for concept in _concepts():
        for phrase in concept.phrases:
            verbs = (with_verb(phrase), with_verb(phrase, third=True)) if phrase in concept.doing else ()
            forms = [(form, False) for form in (phrase, *verbs)]
            if concept.one_sided and has_side(phrase):
                forms += [(swap_sides(form), True) for form, _ in forms]
            for form, is_mirrored in forms:
                one = _Named(concept, phrase, is_mirrored)
                other = known.setdefault(_essence(form), one)
                if other is not None and (other.concept.id, other.mirrored) != (concept.id, is_mirrored):
                    known[_essence(form)] = None
    return {essence: one for essence, one in known.items() if essence}


@cache
def _names() -> frozenset[tuple[str, ...]]:
    """What poses are called, without articles."""
    names = (_words(name) for concept in _concepts() for name in concept.name)
    return frozenset(name[name[0] in ARTICLES :] for name in names if name)
