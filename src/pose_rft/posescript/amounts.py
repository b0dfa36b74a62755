"""Amounts in words: angles and lengths as people write them, read off the tokens of a text.

An angle is "45 degrees", "ninety degrees", "about 45 deg", "a 45 degree angle", "a right angle", "half a right angle";
a length is "60 cm", "1.5 metres", "half a metre", "two feet", "20 inches", "a few centimetres", "twice shoulder width",
"a hand's width". Everything is in degrees and metres. A share is "two thirds of the way"; of a clock are "ten o'clock",
"nine and three", "ten to two".
"""

import re
from collections.abc import Mapping, Sequence
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
WIDTHS = {  # of a grown body
    "shoulder width": 0.38, "shoulder widths": 0.38, "shoulders width": 0.38, "width of shoulders": 0.38,
    "as wide as shoulders": 0.38, "shoulder's width": 0.38, "shoulder distance": 0.38,
    "hip width": 0.26, "hip widths": 0.26, "hips width": 0.26, "width of hips": 0.26, "as wide as hips": 0.26,
    "hip distance": 0.26,
    "hand width": 0.09, "hand's width": 0.09, "hand widths": 0.09, "hands width": 0.09, "hand's breadth": 0.09,
    "hand breadth": 0.09, "palm's width": 0.09, "palm width": 0.09, "fist width": 0.1, "fist's width": 0.1,
    "fist widths": 0.1, "arm's length": 0.6, "arms length": 0.6, "foot's length": 0.26, "foot length": 0.26,
    "foot lengths": 0.26, "fist apart": 0.1, "fists apart": 0.1, "forearm's length": 0.26,
    "finger's width": 0.02, "finger width": 0.02,
}  # fmt: skip
COUNTS = {
    "a couple of": 2.0, "a couple": 2.0, "couple of": 2.0, "a few": 3.0, "few": 3.0, "several": 5.0, "twice": 2.0,
    "double": 2.0, "three times": 3.0, "one and a half times": 1.5, "one and a half": 1.5, "two and a half": 2.5,
    "half a": 0.5,
}  # fmt: skip
SHARES = {
    "a third": 1 / 3, "one third": 1 / 3, "two thirds": 2 / 3, "a quarter": 0.25, "one quarter": 0.25,
    "three quarters": 0.75, "three quarter": 0.75, "a fifth": 0.2,
}  # fmt: skip
OF_THE_WAY = (("of", "way"), ("of", "distance"), ("way",))
BY_THEMSELVES = {"arm's", "arms"}  # at arm's length
MEASURED_BY_ITSELF = {"two thirds", "three quarters"}  # shares without "of the way"
SORTS_OF_ANGLES = {"acute": 72.0, "obtuse": 125.0}
MORE = (("more", "than"), ("over",), ("past",), ("beyond",), ("at", "least"), ("greater", "than"), ("wider", "than"))
LESS = (("less", "than"), ("under",), ("at", "most"), ("smaller", "than"), ("narrower", "than"))
LONGEST_PHRASE = 5  # words of what is looked up
HOUR, MINUTE = 30.0, 6.0  # degrees of a clock's face
MIRRORED = 40.0  # degrees by which two hands of a clock that mirror each other may miss it
CLOCK_ENDS = {"position", "positions"}
ROUGHLY = {"about", "around", "roughly", "approximately", "approx", "exactly", "some", "circa"}
ARTICLES = {"a", "an"}
WORDS = frozenset({*ONES, *TENS, "hundred", *DEGREES, *METRES, *ROUGHLY, *ARTICLES, *SORTS_OF_ANGLES})
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


def _range(tokens: Sequence[str], at: int) -> Amount | None:
    """A number, or the middle of two: 20 to 30, between 20 and 30."""
    between = tokens[at] == "between"
    low = _number(tokens, at + between)
    if low is None:
        return None
    parted = tokens[low.end] in ({"and", "to"} if between else {"to"})
    high = _number(tokens, low.end + parted)
    if high is None or high.value <= low.value or tokens[high.end] not in {*DEGREES, *METRES}:
        return None if between else low
    return Amount(high.end, (low.value + high.value) / 2)


def angle_at(tokens: Sequence[str], at: int) -> Amount | None:
    """The angle that begins at a token, or None. The tokens must end with a stop."""
    at += tokens[at] in ROUGHLY
    halved = tokens[at] == "half" and tokens[at + 1] in ARTICLES
    right = at + halved + (tokens[at + halved] in ARTICLES)
    if tokens[right] == "right" and tokens[right + 1] in {"angle", "angles"}:
        return Amount(right + 2, 45.0 if halved else 90.0)
    article = tokens[at] in ARTICLES
    if (sort := SORTS_OF_ANGLES.get(tokens[at + article])) and tokens[at + article + 1] in {"angle", "angles"}:
        return Amount(at + article + 2, sort)
    if joined := BY_ITS_UNIT.fullmatch(tokens[at + article]):
        return Amount(at + article + 1, float(joined[1])) if joined[2] in DEGREES else None
    number = _range(tokens, at + article) or (_number(tokens, at) if article else None)
    if number is None or tokens[number.end] not in DEGREES:
        return None
    return Amount(number.end + 1 + (tokens[number.end + 1] in {"angle", "angles"}), number.value)


def bare_at(tokens: Sequence[str], at: int) -> Amount | None:
    """The bare number that begins at a token and can only be an angle: from 20 to 180, the end of what is said."""
    at += tokens[at] in ROUGHLY
    number = _number(tokens, at)
    if number is None or not 20 <= number.value <= 180:
        return None
    aside = tokens[number.end] == "to" and tokens[number.end + 1] in {"left", "right"}  # turned 45 to the left
    return number if aside or tokens[number.end] in {*".,;:!", "and"} else None


def length_at(tokens: Sequence[str], at: int) -> Amount | None:
    """The length that begins at a token, or None."""
    at += tokens[at] in ROUGHLY
    if joined := BY_ITS_UNIT.fullmatch(tokens[at]):
        return Amount(at + 1, float(joined[1]) * METRES[joined[2]]) if joined[2] in METRES else None
    count = _phrase(COUNTS, tokens, at) or _range(tokens, at)
    if count is None and (tokens[at] in ARTICLES or tokens[at] in BY_THEMSELVES):
        count = Amount(at + (tokens[at] in ARTICLES), 1.0)
    if count is None:
        return None
    if tokens[count.end] in METRES:
        return Amount(count.end + 1, count.value * METRES[tokens[count.end]])
    width = _phrase(WIDTHS, tokens, count.end)
    return Amount(width.end, count.value * width.value) if width else None


def share_at(tokens: Sequence[str], at: int) -> Amount | None:
    """The share of a whole movement that begins at a token, or None: two thirds of the way."""
    at += tokens[at] in ROUGHLY
    share = _phrase(SHARES, tokens, at)
    if share is None and (number := _number(tokens, at)) and tokens[number.end] in {"percent", "per"}:
        return Amount(number.end + 1 + (tokens[number.end] == "per"), number.value / 100)
    if share is None:
        return None
    for words in OF_THE_WAY:
        if tuple(tokens[share.end : share.end + len(words)]) == words:
            return Amount(share.end + len(words), share.value)
    return share if " ".join(tokens[at : share.end]) in MEASURED_BY_ITSELF else None


def clock_at(tokens: Sequence[str], at: int) -> tuple[Amount, bool] | None:
    """Where a clock's hands point that begin at a token, degrees from twelve o'clock; None where they do not mirror.

    One hour, "four o'clock", two of them, "nine and three", or a time, "ten to two".

    Returns:
        The degrees, and whether "o'clock" is said; or None.
    """
    if (number := _number(tokens, at)) is None and tokens[at : at + 2] != ["a", "quarter"] and tokens[at] != "quarter":
        return None
    if number is None or tokens[number.end] in {"to", "past"}:
        time = _time_at(tokens, at, number)
        return (time, False) if time else None
    end, named = _after_o_clock(tokens, number.end)
    if tokens[end] == "and" and (other := _number(tokens, end + 1)):
        last, both = _after_o_clock(tokens, other.end)
        named |= both
        mirrored = _mirrored(number.value * HOUR, other.value * HOUR)
        hours = {number.value, other.value} <= set(range(1, 13))
        if not hours or mirrored is None or tokens[last] in DEGREES:
            return None
        return Amount(last, mirrored), named
    return (Amount(end, min(number.value % 12, -number.value % 12) * HOUR), True) if named else None


def _time_at(tokens: Sequence[str], at: int, minutes: Amount | None) -> Amount | None:
    end = minutes.end if minutes else at + 1 + (tokens[at] == "a")
    past = tokens[end] == "past"
    hour = _number(tokens, end + 1) if tokens[end] in {"to", "past"} else None
    if hour is None or not 1 <= hour.value <= 12 or (minutes and minutes.value not in {5, 10, 20, 25}):
        return None
    minute = (minutes.value if minutes else 15.0) * (1 if past else -1)
    mirrored = _mirrored(minute * MINUTE, (hour.value + minute / 60) * HOUR)
    return None if mirrored is None else Amount(_after_o_clock(tokens, hour.end)[0], mirrored)


def _after_o_clock(tokens: Sequence[str], at: int) -> tuple[int, bool]:
    """The place behind "o'clock position" if it stands there, and whether it does."""
    named = tokens[at] in {"o'clock", "oclock"}
    at += named
    return at + (named and tokens[at] in CLOCK_ENDS), named


def _mirrored(one: float, other: float) -> float | None:
    """How far from twelve two hands of a clock are that mirror each other; None if they do not."""
    one, other = ((degrees + 180) % 360 - 180 for degrees in (one, other))
    if one * other > 0 or abs(abs(one) - abs(other)) > MIRRORED:
        return None
    return (abs(one) + abs(other)) / 2


def comparison_at(tokens: Sequence[str], at: int) -> tuple[int, int]:
    """The place behind "more than" or "less than", and 1 or -1; the same place and 0 where neither stands."""
    for words, sign in (*((words, 1) for words in MORE), *((words, -1) for words in LESS)):
        if tuple(tokens[at : at + len(words)]) == words:
            return at + len(words), sign
    return at, 0


def _phrase(table: Mapping[str, float], tokens: Sequence[str], at: int) -> Amount | None:
    """The longest phrase of a table that begins at a token."""
    for words in range(LONGEST_PHRASE, 0, -1):
        if (value := table.get(" ".join(tokens[at : at + words]))) is not None:
            return Amount(at + words, value)
    return None
