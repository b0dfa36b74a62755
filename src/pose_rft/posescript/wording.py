"""The forms of words that captions are built from: numbers, persons, participles, voices."""

import re
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

from pose_rft.posescript.posecodes import Posecode

BRACKET = re.compile(r"\[([^|\]]*)\|([^\]]*)\]")
DOUBLED = {
    "sit",
    "put",
    "squat",
    "step",
    "set",
    "let",
    "split",
    "get",
    "clap",
    "grab",
    "grip",
    "hug",
    "drop",
    "tip",
    "rub",
    "hop",
}
THIRD = {"be": "is", "go": "goes", "undergo": "undergoes", "do": "does", "have": "has", "quiz": "quizzes"}
PARTICIPLES = {"be": "being", "lie": "lying"}
# One state of two parts, "the left knee and the right elbow are bent": which parts share which states.
SHARED_STATES = (
    ({"knee", "elbow"}, {"straight", "slightly_bent", "bent", "square"}),
    ({"thigh", "shin", "upper_arm", "forearm"}, {"level", "vertical"}),
)


def one_and_both(words: str) -> tuple[str, str]:
    """The wording for one side and for both: "on [a|the] knee" and "one|two" are both understood."""
    if "|" not in words:
        return words, words
    if "|" in BRACKET.sub("", words):
        depth = 0
        for at, sign in enumerate(words):
            depth += (sign == "[") - (sign == "]")
            if sign == "|" and depth == 0:
                return BRACKET.sub(r"\1", words[:at]), BRACKET.sub(r"\2", words[at + 1 :])
    return BRACKET.sub(r"\1", words), BRACKET.sub(r"\2", words)


@cache
def third_person(phrase: str) -> str:
    """bend the knee -> bends the knee"""
    verb, _, rest = phrase.partition(" ")
    if verb in THIRD:
        verb = THIRD[verb]
    elif verb.endswith(("ch", "sh", "s", "x", "z")):
        verb += "es"
    elif verb.endswith("y") and verb[-2] not in "aeiou":
        verb = verb[:-1] + "ies"
    else:
        verb += "s"
    return f"{verb} {rest}".rstrip()


@cache
def participle(phrase: str) -> str:
    """bend the knee -> bending the knee; be on all fours -> on all fours"""
    verb, _, rest = phrase.partition(" ")
    if verb == "be":
        return rest
    if verb in PARTICIPLES:
        verb = PARTICIPLES[verb]
    elif verb in DOUBLED:
        verb += verb[-1] + "ing"
    elif verb.endswith("e") and not verb.endswith("ee"):
        verb = verb[:-1] + "ing"
    else:
        verb += "ing"
    return f"{verb} {rest}".rstrip()


def without_held(state: str) -> str:
    """held out to the side -> out to the side: after "keeps", it is held already."""
    return state.removeprefix("held ").removeprefix("brought ")


def shared_state(one: Posecode, other: Posecode) -> bool:
    """Whether two posecodes are the same state of two parts that may be named together."""
    parts = {code.subject.removeprefix("left_").removeprefix("right_") for code in (one, other)}
    same = one.predicate == other.predicate and one.subject != other.subject
    return same and any(parts <= shared and one.predicate in states for shared, states in SHARED_STATES)


class Voice(NamedTuple):
    """Who a caption is about and how it speaks of them."""

    intro: str  # "a young man"; "" when there is none
    pronoun: str  # "he"
    whose: str  # "his"
    self: str  # "himself"
    plural: bool  # "they bend", not "they bends"


VOICES = (
    *(Voice(who, "they", "their", "themselves", True) for who in ("the person", "a person", "someone", "this person")),
    *(Voice(who, "he", "his", "himself", False) for who in ("the man", "a man", "he", "the person", "a guy")),
    *(Voice(who, "she", "her", "herself", False) for who in ("the woman", "a woman", "she", "the person", "a girl")),
    *(Voice(who, "they", "their", "themselves", True) for who in ("the subject", "somebody", "the model")),
    Voice("the figure", "it", "its", "itself", False),
)
ANYBODY = tuple(voice for voice in VOICES if voice.pronoun not in ("he", "she"))
NO_ONE = Voice("", "", "the", "the body", False)
READER = Voice("", "", "your", "yourself", True)


def is_plural(code: Posecode, noun: str, both: bool = False) -> bool:
    """Whether the noun of a posecode, of one side or of both, is followed by "are"."""
    return both or (code.partner is None and (noun.endswith("s") or noun == "feet"))


@dataclass(frozen=True)
class Words:
    """The wordings of a posecode in one number (one side, or both sides).

    ``verb``, ``do`` and ``act`` are base forms: "hang by {the} side", "bend {np}", "lean forward".
    """

    nouns: tuple[str, ...]
    be: tuple[str, ...]
    verb: tuple[str, ...]
    do: tuple[str, ...]
    act: tuple[str, ...]


class Worded(Protocol):
    """What has wordings, as posecodes do."""

    @property
    def nouns(self) -> tuple[str, ...]: ...
    @property
    def be(self) -> tuple[str, ...]: ...
    @property
    def verb(self) -> tuple[str, ...]: ...
    @property
    def do(self) -> tuple[str, ...]: ...
    @property
    def act(self) -> tuple[str, ...]: ...


@cache
def words_of(code: Worded) -> tuple[Words, Words]:
    """Wordings for one side and for both sides; a part that has only one of the two numbers uses it for both."""
    numbers = []
    for both in (0, 1):
        nouns = tuple(one_and_both(noun)[both] or one_and_both(noun)[1 - both] for noun in code.nouns)
        kinds = [tuple(one_and_both(text)[both] for text in getattr(code, k)) for k in ("be", "verb", "do", "act")]
        numbers.append(Words(nouns, *kinds))
    return numbers[0], numbers[1]
