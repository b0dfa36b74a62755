"""Words from templates: "(raising|lifting) {np}" with "the left arm", "both hands" or "the other one" for ``{np}``."""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from pose_rft.data.phrases import pick

Side = Literal["left", "right", "both"]

_CHOICE = re.compile(r"\(([^()]*)\)")
_NUMBER = re.compile(r"\[([^|\]]*)\|([^\]]*)\]")
PLURALS = {"foot": "feet", "calf": "calves"}


def spun(template: str, rng: np.random.Generator, plural: bool = False) -> str:
    """One of the texts of a template.

    Args:
        template: ``(a|b|)`` is one of these, also nested; ``[a|b]`` is a for one limb and b for two.
        plural: whether two limbs are spoken of.
    """
    text = _NUMBER.sub(lambda match: match[2 if plural else 1], template) if "[" in template else template
    while "(" in text:
        text = _CHOICE.sub(lambda match: pick(rng, match[1].split("|")), text)
    return " ".join(text.split()).replace(" ,", ",")


def plural_of(noun: str) -> str:
    """arm -> arms, foot -> feet."""
    return PLURALS.get(noun, f"{noun}s")


def noun_phrase(noun: str, side: Side, rng: np.random.Generator, article: bool = True) -> str:
    """A limb by its name: "the left arm", "left arm" without an article, "both arms", "arms"."""
    if side == "both":
        return f"{pick(rng, ('both ', 'both ', 'the ') if article else ('both ', ''))}{plural_of(noun)}"
    return f"{'the ' if article else ''}{side} {noun}"


def other_phrase(noun: str, side: Side, same_noun: bool, rng: np.random.Generator, article: bool = True) -> str:
    """The limb of the other side after its twin was named: "the right one", "the other hand", or its name again.

    Args:
        noun, side: of the limb that is named now.
        same_noun: whether the twin was called by the same noun; only then "one" can stand for it.
    """
    the = "the " if article else ""
    forms = [f"{the}{side} {noun}", f"{the}{side} {noun}", f"{the}other {noun}"]
    if same_noun:
        forms += [f"the {side} one", f"the {side}", "the other one", "the other"] if article else [side, "the other"]
    return pick(rng, forms)


def joined(parts: Sequence[str], rng: np.random.Generator, words: Sequence[str] = (" and ", ", ")) -> str:
    """Parts with one of the words between the last two and commas between the others."""
    parts = list(parts)
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + pick(rng, words) + parts[-1]


def sentence(text: str, end: str = ".") -> str:
    """A text with a capital and a full stop."""
    text = text[0].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else text + end
