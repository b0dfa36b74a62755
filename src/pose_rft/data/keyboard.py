"""Fingers and habits: other spellings of a word, slips of the keyboard, and odd capitals."""

import re
from functools import cache

import numpy as np

from pose_rft.storage import package_table

TABLE = package_table(__package__, "keyboard.yaml")
KEYS: dict[str, str] = TABLE["keys"]
MISSPELT: dict[str, list[str]] = TABLE["misspelt"]
SLIP_RATE = 0.12  # of the prompts, with one slip or two
TWO_SLIPS_RATE = 0.35
VARIANT_RATE = 0.12  # of the prompts, in which words give way to others of the same meaning
_WORD = re.compile(r"[A-Za-z]+")
_MISSPELT = re.compile(rf"\b({'|'.join(MISSPELT)})\b")


def respelt(text: str, rng: np.random.Generator) -> str:
    """Every word that has British, American or everyday twins as one of them."""
    pattern, rows = _variants()

    def twin(match: re.Match[str]) -> str:
        row = rows[match[0]]
        return row[int(rng.integers(len(row)))]

    return pattern.sub(twin, text)


@cache
def _variants() -> tuple[re.Pattern[str], dict[str, list[str]]]:
    rows = {word: row for row in TABLE["variants"] for word in row}
    words = sorted((word for word in rows if word[0].isalpha() and word != "with" and "/" not in word), key=len)
    return re.compile(rf"(?<![\w'-])({'|'.join(map(re.escape, reversed(words)))})(?![\w'-])"), rows


def mistyped(text: str, rng: np.random.Generator) -> str:
    """One mistake: a slip of the finger, a word spelt by ear, or two words run together."""
    chance = rng.random()
    if chance < 0.35 and (places := list(_MISSPELT.finditer(text))):
        place = places[int(rng.integers(len(places)))]
        forms = MISSPELT[place[0]]
        return text[: place.start()] + forms[int(rng.integers(len(forms)))] + text[place.end() :]
    if chance > 0.85 and (gaps := [match.start() for match in re.finditer(r"(?<=[a-z]) (?=[a-z])", text)]):
        gap = gaps[int(rng.integers(len(gaps)))]
        return text[:gap] + text[gap + 1 :]
    return slipped(text, rng)


def slipped(text: str, rng: np.random.Generator) -> str:
    """One typing error in one longer word; "left" and "right" are spared."""
    places = [m for m in re.finditer(r"[a-z]{5,}", text) if m[0] not in ("right",)]
    if not places:
        return text
    word = places[int(rng.integers(len(places)))]
    at = word.start() + 1 + int(rng.integers(len(word[0]) - 2))
    kind = rng.integers(4)
    if kind == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind == 3:
        beside = KEYS.get(text[at], text[at])
        return text[:at] + beside[int(rng.integers(len(beside)))] + text[at + 1 :]
    return text[:at] + (text[at + 1 :] if kind == 1 else text[at] + text[at:])


def with_slips(text: str, rng: np.random.Generator) -> str:
    """The text as it is, or, in `SLIP_RATE`, with one or two mistakes."""
    if rng.random() >= SLIP_RATE:
        return text
    text = mistyped(text, rng)
    return mistyped(text, rng) if rng.random() < TWO_SLIPS_RATE else text


def odd_capitals(text: str, rng: np.random.Generator) -> str:
    """Capitals where nobody wants them: all, of every word, the shift key held too long, or at random."""
    chance = rng.random()
    if chance < 0.5:
        return text.upper()
    if chance < 0.72:
        return _WORD.sub(
            lambda match: match[0] if "'" in text[match.start() - 1 : match.start()] else match[0].capitalize(), text
        )
    if chance < 0.84:
        words = text.split(" ")
        loud = rng.random(len(words)) < 0.25
        return " ".join(word.upper() if shout else word for word, shout in zip(words, loud, strict=True))
    if chance < 0.92:
        upper = rng.random(len(text)) < 0.5
        return "".join(letter.upper() if up else letter.lower() for letter, up in zip(text, upper, strict=True))
    return text.swapcase()
