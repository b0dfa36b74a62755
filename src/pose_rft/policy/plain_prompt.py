"""A prompt as the pose head reads it best: in ordinary capitals, spelt right, no longer than what it says of a body.

A language model reads "stnad on oen leg", "StAnD oN oNe LeG" and one sentence about a body among six about something
else less well than the words themselves. What is changed here says the same; prompts that say nothing of a body keep
their words.
"""

import re
from collections.abc import Callable

from pose_rft.data.concepts.named import mentions_name
from pose_rft.data.stated import stated_checks
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


def plain_prompt(text: str, is_word: Callable[[str], bool]) -> str:
    """What somebody asks for, with odd capitals and slips mended, without sentences that neither say nor ask anything.

    Args:
        is_word: whether the language model knows a word in lower case by itself: such a word is no slip.
    """
    text = _in_sentence_case(text)
    mended, slips = _spelt(text, is_word)
    if stated_checks(mended, request=True):
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
    return " ".join(filter(_is_to_the_point, sentences))


def _is_to_the_point(sentence: str) -> bool:
    return bool(ASKS.search(sentence) or mentions_name(sentence) or stated_checks(sentence, request=True))
