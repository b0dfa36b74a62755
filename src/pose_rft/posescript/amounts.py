"""Amounts in words: angles and lengths as people write them, read off the tokens of a text.

An angle is "45 degrees", "ninety degrees", "about 45 deg", "a 45 degree angle", "a right angle", "half a right angle";
a length is "60 cm", "1.5 metres", "half a metre", "two feet", "20 inches". Everything is in degrees and metres.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

TEENS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
ONES = {word: value for value, word in enumerate(re.findall(r"\w+", TEENS))}
TENS = {
    word: 10 * value
    for value, word in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2)
}
TEENS_ONLY = {word for word, value in ONES.items() if value > 9}
DEGREES = {"degrees", "degree", "deg", "degs"}
METRES = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters"), 0.01),
    **dict.fromkeys(("ft", "foot", "feet"), 0.3048),
    **dict.fromkeys(("inch", "inches"), 0.0254),
}
ROUGHLY = {"about", "around", "roughly", "approximately", "approx", "exactly", "some", "circa"}
ARTICLES = {"a", "an"}
WORDS = frozenset({*ONES, *TENS, "hundred", *DEGREES, *METRES, *ROUGHLY, *ARTICLES})
BY_ITS_UNIT = re.compile(r"(\d+(?:\.\d+)?)(deg|degs|cm|m|ft)")  # written in one: 60cm


class Amount(NamedTuple):
    """A number in a text.

    Attributes:
        end: place of the first token after it.
        value: in degrees or metres.
    """

    end: int
    value: float


def _number(tokens: Sequence[str], at: int) -> Amount | None:
    """120, ninety, forty five, a hundred and twenty."""
    token = tokens[at]
    if re.fullmatch(r"\d+(\.\d+)?", token):
        return Amount(at + 1, float(token))
    hundred = at + 1 if token in {*ARTICLES, "one"} else at
    if tokens[hundred] == "hundred":
        rest = _number(tokens, hundred + 1 + (tokens[hundred + 1] == "and"))
        return Amount(rest.end, 100 + rest.value) if rest and rest.value < 100 else Amount(hundred + 1, 100.0)
    if token == "one" and tokens[at + 1] in {*TENS, *TEENS_ONLY}:  # one twenty
        rest = _number(tokens, at + 1)
        return Amount(rest.end, 100 + rest.value) if rest else None
    if token in TENS:
        ones = ONES.get(tokens[at + 1], 0)
        return Amount(at + 1 + (0 < ones < 10), TENS[token] + ones * (0 < ones < 10))
    return Amount(at + 1, float(ONES[token])) if token in ONES else None


def angle_at(tokens: Sequence[str], at: int) -> Amount | None:
    """The angle that begins at a token, or None. The tokens must end with a stop."""
    at += tokens[at] in ROUGHLY
    halved = tokens[at] == "half" and tokens[at + 1] in ARTICLES
    right = at + halved + (tokens[at + halved] in ARTICLES)
    if tokens[right] == "right" and tokens[right + 1] in {"angle", "angles"}:
        return Amount(right + 2, 45.0 if halved else 90.0)
    article = tokens[at] in ARTICLES
    if joined := BY_ITS_UNIT.fullmatch(tokens[at + article]):
        return Amount(at + article + 1, float(joined[1])) if joined[2] in DEGREES else None
    number = _number(tokens, at + article) or (_number(tokens, at) if article else None)
    if number is None or tokens[number.end] not in DEGREES:
        return None
    return Amount(number.end + 1 + (tokens[number.end + 1] in {"angle", "angles"}), number.value)


def bare_at(tokens: Sequence[str], at: int) -> Amount | None:
    """The bare number that begins at a token and can only be an angle: from 20 to 180, the end of what is said."""
    at += tokens[at] in ROUGHLY
    number = _number(tokens, at)
    if number is None or not 20 <= number.value <= 180 or tokens[number.end] not in {*".,;:!", "and"}:
        return None
    return number


def length_at(tokens: Sequence[str], at: int) -> Amount | None:
    """The length that begins at a token, or None."""
    at += tokens[at] in ROUGHLY
    if joined := BY_ITS_UNIT.fullmatch(tokens[at]):
        return Amount(at + 1, float(joined[1]) * METRES[joined[2]]) if joined[2] in METRES else None
    if tokens[at] == "half" and tokens[at + 1] in ARTICLES and tokens[at + 2] in METRES:
        return Amount(at + 3, METRES[tokens[at + 2]] / 2)
    if tokens[at] in ARTICLES and tokens[at + 1] in METRES:
        return Amount(at + 2, METRES[tokens[at + 1]])
    number = _number(tokens, at)
    if number is None or tokens[number.end] not in METRES:
        return None
    return Amount(number.end + 1, number.value * METRES[tokens[number.end]])
