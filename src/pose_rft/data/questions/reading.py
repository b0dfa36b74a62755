"""Reading answers to questions: yes or no, or a side."""

import re

from pose_rft.data.questions.side_comparisons import SIDES
from pose_rft.errors import UserError

YES, NO = frozenset({"yes", "yeah", "yep", "correct", "true"}), frozenset({"no", "nope", "incorrect", "false"})
ASIDE = re.compile(r"\b(?:than|not|unlike|rather than) (?:on |in )?(?:the |his |her |their |its )?(?:left|right)\b")
NEGATION = re.compile(r"\bnot\b|n't\b")


def read_yes_no(text: str) -> str | None:
    """``yes`` or ``no``, as a text begins; None if it says neither, or both.

    "Yes, it is not raised" contradicts itself and says nothing.
    """
    words = _words(text)
    said = ["yes"] * bool(YES & set(words)) + ["no"] * bool(NO & set(words))
    if len(said) != 1 or words[0] not in YES | NO or (said == ["yes"] and NEGATION.search(text.lower())):
        return None
    return said[0]


def read_side(text: str) -> str | None:
    """``left``, ``right``, ``both`` or ``neither``, as a text says; None if it says nothing or several of them."""
    words = set(_words(ASIDE.sub(" ", text.lower())))
    sides = words & {"left", "right"}
    neither = bool(words & {"neither", "none"})
    both = bool(words & {"both", "equally", "same"})
    if neither:
        return None if both or len(sides) == 1 else "neither"
    if both or ("and" in words and len(sides) == 2):
        return None if len(sides) == 1 else "both"
    return sides.pop() if len(sides) == 1 else None


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def is_right(answer: str, truth: str) -> bool | None:
    """Whether a text answers rightly a question with the given ``Question.truth``; None for descriptions.

    Raises:
        UserError: a truth that no question has.
    """
    if truth in ("yes", "no"):
        return read_yes_no(answer) == truth
    if truth in SIDES:
        return read_side(answer) == truth
    if truth:
        raise UserError(f"the truth of a question is yes, no, {', '.join(SIDES)} or empty, not {truth!r}")
    return None
