"""A prompt as the pose head reads it best: in ordinary capitals, spelt right, no longer than what it says of a body.

A language model reads "stnad on oen leg", "StAnD oN oNe LeG" and one sentence about a body among six about something
else less well than the words themselves. What is changed here says the same; prompts that say nothing of a body keep
their words.
"""

import re
from collections.abc import Callable
from functools import cache

from pose_rft.data.concepts.concept import load_concepts
from pose_rft.posescript.parsing import parse
from pose_rft.posescript.spelling import corrected, misspelt

WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
ASKS = re.compile(
    r"\b(?:what|which|why|how|who|where|when|is|are|does|do)\b[^.?]*\?"
    r"|^(?:(?:and|then|please|also|now)\W+)*(?:tell|explain|describe|name|list|say)\b|\btell (?:me|us)\b",
    re.IGNORECASE,
)
TITLED = 0.7  # of the words of a prompt that begin with a capital: more are odd
FEWEST_WORDS = 4  # of a prompt whose capitals may be odd
FEWEST_SLIPS = 2  # towards the words of bodies, in a prompt of which no statement is understood
LONG_WORDS, LONG_SENTENCES = 30, 3  # from which on a prompt may say other things too
SHORTEST_NAME, LONGEST_NAME = 2, 5  # words of a pose's name; of one word many are everyday words: guard, skip
ARTICLES = {"a", "an", "the"}


def plain_prompt(text: str, is_word: Callable[[str], bool]) -> str:
    """What somebody asks for, with odd capitals and slips mended, without sentences that neither say nor ask anything.

    Args:
        is_word: whether the language model knows a word in lower case by itself: such a word is no slip.
    """
    text = _in_sentence_case(text)
    mended, slips = _spelt(text, is_word)
    if parse(mended, request=True).statements:
        return _to_the_point(mended)
    return mended if slips >= FEWEST_SLIPS else text


def _in_sentence_case(text: str) -> str:
    """ "ONE LEG UP" and "One Leg Up In Front" in the capitals of a sentence."""
    words = WORD.findall(text)
    inner = sum(any(letter.isupper() for letter in word[1:]) for word in words)
    titled = sum(word[0].isupper() for word in words)
    odd = inner > 1 and inner > len(words) / 4
    if odd or (len(words) >= FEWEST_WORDS and titled > TITLED * len(words)):
        text = text.lower()
        return text[:1].upper() + text[1:]
    return text


def _spelt(text: str, is_word: Callable[[str], bool]) -> tuple[str, int]:
    """A text with its slips mended, and how many there were."""
    slips = 0

    def mend(found: re.Match[str]) -> str:
        nonlocal slips
        word = found[0].lower()
        right = " ".join(corrected([word]))
        if right == word or (is_word(word) and word not in misspelt()):
            return found[0]
        slips += 1
        return right[0].upper() + right[1:] if found[0][0].isupper() else right

    return WORD.sub(mend, text), slips


def _to_the_point(text: str) -> str:
    """Of a long text the sentences that state something of a body, name a pose or ask something."""
    sentences = [sentence for sentence in SENTENCE_END.split(text.strip()) if sentence]
    if len(sentences) < LONG_SENTENCES or len(text.split()) < LONG_WORDS:
        return text
    return " ".join(
        each for each in sentences if ASKS.search(each) or _names_pose(each) or parse(each, True).statements
    )


def _names_pose(sentence: str) -> bool:
    words = [word.lower() for word in WORD.findall(sentence)]
    runs = (
        words[start : start + size] for size in range(SHORTEST_NAME, LONGEST_NAME + 1) for start in range(len(words))
    )
    return any(" ".join(run) in _pose_names() for run in runs)


@cache
def _pose_names() -> frozenset[str]:
    """What poses of the concept bank are called, in lower case and without articles."""
    names = (WORD.findall(name.lower()) for concept in load_concepts() for name in concept.name)
    return frozenset(" ".join(name[name[0] in ARTICLES :]) for name in names if name)
