"""Numbers as people write them: "45 degrees", "45°", "forty-five deg"; "half a metre", "50cm", "20 inches".

All functions give templates, ``(a|b)`` one of these.
"""

# fmt: off
ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
LENGTHS = {
    20: "8 inches",
    30: "a foot|one foot|12 inches",
    45: "a foot and a half|18 inches",
    50: "half a metre|half a meter",
    60: "two feet|2 feet|2 ft",
    75: "three quarters of a metre",
    90: "three feet|3 ft|a yard",
    100: "a metre|one metre|one meter|1m",
    120: "four feet|4 ft",
}
# fmt: on
ABOUT = "(||||about|roughly|around|approximately|exactly|approx.)"


def number_words(value: int) -> str:
    """45 -> "forty-five", 120 -> "a hundred and twenty"; up to 199."""
    if value >= 100:
        return "a hundred" + (f" and {number_words(value - 100)}" if value > 100 else "")
    if value < 20:
        return ONES[value]
    return TENS[value // 10] + (f"-{ONES[value % 10]}" if value % 10 else "")


def degree_words(value: int) -> str:
    """An angle of `value` degrees, 5 to 175."""
    if not 5 <= value <= 175:
        return ""
    forms = [f"{value} degrees"] * 5 + [f"{value}°"] * 2 + [f"{value} deg", f"{value}deg", f"{value} degree"]
    forms += [f"{number_words(value)} degrees"] * 2 + [f"{number_words(value).replace('-', ' ')} degrees"]
    return f"{ABOUT} ({'|'.join(forms)})"


def angle_words(value: int) -> str:
    """A noun phrase for an angle of `value` degrees."""
    figures, spelt = f"{_article(str(value))} {value}", f"{_article(number_words(value))} {number_words(value)}"
    spelt = spelt.replace("a a hundred", "a hundred")
    forms = [
        f"{figures} degree angle",
        f"{figures}-degree angle",
        f"an angle of {value} degrees",
        f"an angle of {value}°",
    ]
    forms += [f"{figures}° angle", f"{spelt} degree angle", f"an angle of about {value} degrees"]
    if value == 90:
        forms += ["a right angle"] * 4
    return f"({'|'.join(forms)})"


def metre_words(centimetres: int) -> str:
    """A length."""
    n = centimetres
    forms = (
        [f"{n} cm"] * 4 + [f"{n}cm"] * 2 + [f"{n} centimetres", f"{n} centimeters", f"{number_words(n)} centimetres"]
    )
    forms += [f"{n / 100:g} m", f"{n / 100:g} metres", f"{number_words(n)} centimeters"]
    inches = round(n / 2.54)
    if abs(inches * 2.54 - n) < 0.8:
        forms += [f"{inches} inches", f"{inches} in"]
    if n in LENGTHS:
        forms += LENGTHS[n].split("|") * 2
    return f"{ABOUT} ({'|'.join(forms)})"


def _article(word: str) -> str:
    """ "an" before a vowel's sound: an 80, an eleven."""
    return "an" if word.startswith(("8", "a", "e", "i", "o", "u")) or word in ("11", "18") else "a"
