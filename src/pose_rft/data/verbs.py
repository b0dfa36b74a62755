"""English verbs: from "sitting on a chair" to "sit on a chair" and "sits on a chair"."""

import re
from functools import cache

from pose_rft.posescript.wording import third_person
from pose_rft.storage import package_table

_IRREGULAR: dict[str, str] = package_table(__package__, "verbs.yaml")
_VOWELS = "aeiou"
# Endings after which a stem of several syllables wants its e back: "meditat-ing", "exercis-ing", "salut-ing".
_LONG_SILENT_E = re.compile(r"(at|ak|al|ap|ad|as|ar|id|ib|ik|im|in|ir|od|ok|os|ub|ud|ul|um|un|ur|ut|it?[uv]|or)$")
_PLAIN_END = re.compile(r"(en|er|on|el|et|ot|ow|op|om|ish|it|ip|ab|an|ic|ol)$")


@cache
def base_form(gerund: str) -> str:
    """The base of a verb in -ing: sitting -> sit, making -> make, lying -> lie, kneeling -> kneel.

    Spelling rules and a table of exceptions. Only the last part of a hyphenated verb is changed.
    """
    head, hyphen, verb = gerund.rpartition("-")
    if verb in _IRREGULAR:
        return head + hyphen + _IRREGULAR[verb]
    if not verb.endswith("ing") or len(verb) < 5:
        return gerund
    return head + hyphen + _restored(verb.removesuffix("ing"))


def _restored(stem: str) -> str:
    """What a verb's stem was before -ing took its e or doubled its consonant."""
    last, before = stem[-1], stem[-2:-1]
    if last == before and last in "bdgmnprt":
        return stem[:-1]
    if last in "vcu" or (last in "sz" and before != last and not stem.endswith(("us", "tz"))):
        return stem + "e"
    if stem.endswith("us"):
        return stem + "e"  # use, pause
    if stem.endswith(("dg", "rg", "ung", "ing")):  # dodge, charge, lunge; but swing, cling, string
        return stem + "e" if not stem.endswith("ing") or stem in ("cring", "hing", "fring", "sing") else stem
    if last == "l" and before in "bcdfgkptz" and before:
        return stem + "e"  # juggle, wobble, cycle
    if last in _VOWELS or last in "wxy" or before not in _VOWELS or stem[-3:-2] in _VOWELS:
        # "qu" is a consonant: squat doubles, "squar-ing" and "requir-ing" take e
        return stem + "e" if re.search(r"qu[aeio][rtdkl]$", stem) else stem
    if len(re.findall(r"[aeiouy]+", re.sub(r"^y|qu", "", stem))) <= 1:
        return stem + "e"  # one vowel, one consonant, not doubled: make, hike, pose
    if _PLAIN_END.search(stem):
        return stem
    return stem + "e" if _LONG_SILENT_E.search(stem) else stem


_FIRST = re.compile(r"^((?:[a-z]+ly )?)([A-Za-z-]+ing)\b")
_NEXT = re.compile(r"( and (?:then )?(?:[a-z]+ly )?)([a-z-]*[a-z]ing)\b")
# What follows these words is not what the subject itself does: "pretending that someone is falling and crying".
_SUBORDINATE = re.compile(r" (while|as|like|after|before|by|without|whose|someone|something|that|if)\b|, [a-z]+ing\b")
_HELD = re.compile(r" with .*ing\b")  # "with the arms hanging and swinging", but not "with one arm and leaning back"
_OBJECT = re.compile(r" (the|both|one|a|an|left|right|his|her|their|your|up|down|forward|back|over|out|for|to)\b")
_NOUNS = {"ceiling", "railing", "string", "king", "ring", "wing", "thing", "evening", "morning", "clothing"}


def with_verb(doing: str, third: bool = False) -> str:
    """Turn a gerund phrase into the imperative ("sit down and cross the legs") or the third person ("sits down ...").

    The first verb and those coordinated with it by "and" are changed.
    """
    inflect = (lambda verb: third_person(base_form(verb))) if third else base_form
    first = _FIRST.match(doing)
    if first is None:
        raise ValueError(f"{doing!r} does not begin with a verb in -ing")
    result, rest = first[1] + inflect(first[2]), doing[first.end() :]
    while match := _NEXT.search(rest):
        before = rest[: match.start()]
        if _SUBORDINATE.search(before) or _HELD.search(before) or match[2] in _NOUNS:
            break
        if " with " in before and not _OBJECT.match(rest[match.end() :]):
            break
        result += before + match[1] + inflect(match[2])
        rest = rest[match.end() :]
    return result + rest
