"""The words of captions, ordered for reading: what each phrase says of which part of the body.

Made from the tables that captions are made from (``posecodes.yaml``, ``wording``), in every form in which a caption can
say it, so a posecode that is added there is understood without a line here. ``reading.yaml`` adds what only people say.
"""

import gc
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple
from unicodedata import normalize

from pose_rft.posescript.amounts import angle_at, bare_at, length_at
from pose_rft.posescript.facts import Fact, Facts, plain_table, said_loosely
from pose_rft.posescript.phrases import grammar_table, limb_nouns
from pose_rft.posescript.posecodes import Posecode, exchange_sides, load_posecodes
from pose_rft.posescript.wording import NO_ONE, READER, VOICES, Words, participle, third_person, without_held, words_of
from pose_rft.storage import package_table

# Decimals, words, stops and other signs; hyphens and quotes part words.
TOKEN = re.compile(r"\d+\.\d+[a-z]*|[^\W_]+(?:'[a-z]+)?|[^\w\s\"'#*`-]")
FRACTIONS = {"1/2": "half", "1/3": "a third", "2/3": "two thirds", "1/4": "a quarter", "3/4": "three quarters"}
SIGNS = (
    (re.compile(r"\u2044"), "/"),
    *((re.compile(rf"(?<![\d/]){written}(?![\d/])"), f" {said} ") for written, said in FRACTIONS.items()),
    (re.compile(r"[\u2018\u2019]"), "'"),
    (re.compile(r"\n\s*[-*\u2022]\s|\n\s*\n"), " . "),  # the items of a list, paragraphs
    (re.compile(r"\s--?\s|[\u2013\u2014()\[\]]"), " , "),  # dashes and brackets
    (re.compile(r"&"), " and "),
    (re.compile(r"\u00b0"), " degrees "),
    (re.compile(r"@"), " at "),
    (re.compile(r"\bw/o\b"), " without "),
    (re.compile(r"\bw/"), " with "),
    (re.compile(r"(?<=\d)\s?%"), " percent "),
    (re.compile(r"\s/\s"), " , "),
    (re.compile(r"/"), " or "),
)
LETTERS = {"l": "left", "r": "right"}  # "L arm up, R arm down"
LIMBS = {"arm", "hand", "leg", "foot", "knee", "elbow", "side", "shoulder", "hip", "thigh", "heel", "ankle"}
OWNERS = {voice.whose for voice in (*VOICES, READER, NO_ONE)}  # the, his, her, ...: "the left knee" is "left knee"
POINTERS = {"those", "these", "own"}  # before a limb they say no more than "the"
SELVES = {voice.self for voice in (*VOICES, READER)}  # himself, herself, ...
ONESELF = "oneself"

Phrases = dict[Any, Any]  # a trie: word -> Phrases, and END -> what the phrase that ends here says
END = None
AMOUNTS = ""  # beside words: the amounts that may stand there

Ids = tuple[str, ...]  # posecodes
AMOUNT = re.compile(r"\{[NFBL]\}")  # in a phrase: an angle, 180 less an angle, a bare number of degrees, a length
OUTSIDE_BRACKETS = re.compile(r"\|(?![^\[\]]*\])")
PLAIN = re.compile(r"[a-z ]*")
CHOICE = re.compile(r"\(([^()]*)\)")  # in a phrase: one of these


Subject = tuple[str, bool]  # "left knee", and whether it is one of several: "the left knee and the right elbow"
PERSON: Subject = ("", False)


def words_in(text: str) -> list[str]:
    """Words and stops in lower case: "Bend your left knee." -> bend your left knee ."""
    text = normalize("NFKC", text).lower()
    for sign, plain in SIGNS:
        text = sign.sub(plain, text)
    words = TOKEN.findall(text)
    for at, word in enumerate(words[:-1]):
        if word in LETTERS and words[at + 1].removesuffix("s") in LIMBS:
            words[at] = LETTERS[word]
    return words


def tokens_of(text: str) -> list[str]:
    """Words and stops in lower case, without articles and possessives: "Bend your left knee." -> bend left knee ."""
    return [ONESELF if word in SELVES else word for word in words_in(text) if word not in OWNERS]


def read(phrases: Phrases, tokens: Sequence[str], at: int) -> Iterator[tuple[int, Any]]:
    """All phrases that begin at a token: where each ends and what it says. The text must end with a stop."""
    node: Phrases | None = phrases
    amounts: list[tuple[Phrases, str, int]] = []  # looked at last: words of their own come before numbers
    while node is not None:
        if END in node:
            yield at, node[END]
        amounts += [(node[sign], sign, at) for sign in node.get(AMOUNTS, ())]
        node = node.get(tokens[at])
        at += 1
    for after, sign, place in amounts:
        yield from _read_amount(after, sign, tokens, place)


def _read_amount(phrases: Phrases, sign: str, tokens: Sequence[str], at: int) -> Iterator[tuple[int, Any]]:
    """The phrases that go on behind an amount, which what they say is filled with."""
    amount = {"{L}": length_at, "{B}": bare_at}.get(sign, angle_at)(tokens, at)
    if amount is None:
        return
    value = 180 - amount.value if sign == "{F}" else amount.value
    for end, meanings in read(phrases, tokens, amount.end):
        yield end, {subject: tuple(fact.of_amount(value) for fact in facts) for subject, facts in meanings.items()}


def _entry(phrases: Phrases, words: Sequence[str]) -> Phrases:
    """The place of a phrase, made where it is new."""
    for token in words:
        if AMOUNT.fullmatch(token) and token not in phrases:
            phrases[AMOUNTS] = (*phrases.get(AMOUNTS, ()), token)
        phrases = phrases.setdefault(token, {})
    return phrases.setdefault(END, {})


@cache
def _phrase_tokens(phrase: str) -> tuple[str, ...]:
    """The tokens of a phrase of the tables, amounts among them."""
    if PLAIN.fullmatch(phrase):  # nearly all: hundreds of thousands are read
        return tuple(ONESELF if word in SELVES else word for word in phrase.split() if word not in OWNERS)
    pieces = AMOUNT.split(phrase.replace("{the}", ""))
    signs = [*AMOUNT.findall(phrase), ""]
    tokens = (token for piece, sign in zip(pieces, signs, strict=True) for token in (*tokens_of(piece), sign))
    return tuple(token for token in tokens if token)


def _selves(phrase: str) -> tuple[str, ...]:
    """ "hold {self} upright" speaks of oneself or, where there is no person, of the body."""
    return tuple(phrase.replace("{self}", own) for own in dict.fromkeys((ONESELF, NO_ONE.self)))


def _forms(phrase: str) -> tuple[str, ...]:
    """bend {np} / bends {np} / bending {np}"""
    return phrase, third_person(phrase), participle(phrase)


def _claim(place: Phrases, meanings: dict[Subject, Facts]) -> None:
    for subject, facts in meanings.items():
        place.setdefault(subject, facts)


class Variant(NamedTuple):
    """Wordings of one fact for one side or both."""

    nouns: tuple[str, ...]
    words: Words
    facts: Facts
    listed: bool = False  # of a part that shares its state with another


@dataclass(frozen=True)
class Lexicon:
    """Everything that can be said.

    Attributes:
        nouns: "left knee" -> that noun.
        states: what follows a noun, "bent", "hangs by the side" -> {subject: facts}.
        deeds: what precedes a noun, "bend" -> phrases of what follows it, "", "at a right angle" -> {subject: facts}.
        acts: what a person does without an object, "lean forward" -> {PERSON: facts}.
        named: noun -> posecodes of one side that may be called by it.
        limbs: nouns of one side without it, "knee" -> their plural, "knees".
    """

    nouns: Phrases = field(default_factory=dict)
    states: Phrases = field(default_factory=dict)
    deeds: Phrases = field(default_factory=dict)
    acts: Phrases = field(default_factory=dict)
    named: dict[str, list[Posecode]] = field(default_factory=dict)
    limbs: dict[str, str] = field(default_factory=dict)

    def add(self, *variants: "Variant") -> None:
        """Learn the wordings of a posecode or a plain word for its sides; the first to claim a wording keeps it.

        The variants share most of their phrases, so each phrase is looked up once.
        """
        states: dict[str, dict[Subject, Facts]] = {}
        deeds: dict[str, dict[Subject, Facts]] = {}
        acts: dict[str, dict[Subject, Facts]] = {}
        for nouns, words, facts, listed in variants:
            subjects = [(noun, listed) for noun in nouns]
            for noun in nouns:
                _entry(self.nouns, _phrase_tokens(noun))[PERSON] = noun
            said = [*words.be, *map(without_held, words.be), *(form for verb in words.verb for form in _forms(verb))]
            for found, phrases in ((states, said), (deeds, [form for deed in words.do for form in _forms(deed)])):
                for phrase in phrases:
                    meanings = found.setdefault(phrase, {})
                    for subject in subjects:
                        meanings.setdefault(subject, facts)
            for form in (form for act in words.act for form in _forms(act)):
                for phrase in _selves(form):
                    acts.setdefault(phrase, {}).setdefault(PERSON, facts)
        for known, new in ((self.states, states), (self.acts, acts)):
            for phrase, meanings in new.items():
                _claim(_entry(known, _phrase_tokens(phrase)), meanings)
        for phrase, meanings in deeds.items():
            before, _, after = phrase.partition("{np}")
            _claim(_entry(_entry(self.deeds, _phrase_tokens(before)), _phrase_tokens(after)), meanings)

    def add_pair(self, one: str, both: str) -> None:
        """Learn to read "left and right knee" and "each knee" as "knees"."""
        limb = one.split(" ", 1)[1]
        self.limbs[limb] = both
        for words in ("left and right {one}", "left and right {both}", "right and left {one}", "right and left {both}",
                      "each {one}", "each of {both}", "two {both}"):  # fmt: skip
            _entry(self.nouns, _phrase_tokens(words.format(one=limb, both=both)))[PERSON] = both
        for words in ("one {one}", "a {one}", "an {one}", "one of {both}"):
            _entry(self.nouns, _phrase_tokens(words.format(one=limb, both=both)))[PERSON] = f"one {limb}"
        _entry(self.nouns, ("other", *_phrase_tokens(limb)))[PERSON] = f"other {limb}"


@cache
def reading_table() -> dict[str, Any]:
    """``reading.yaml``: synonyms, and lists of words as sets."""
    table = package_table(__package__, "reading.yaml")
    table["people"] = {sex: frozenset(words.split()) for sex, words in table["people"].items()}
    return {name: frozenset(entry.split()) if isinstance(entry, str) else entry for name, entry in table.items()}


def synonyms() -> Iterator[Posecode]:
    """Posecodes again, in the words that captions do not use."""
    codes = {code.id: code for code in load_posecodes()}
    for name, words in reading_table()["synonyms"].items():
        yield _reworded(codes[name], words)
        if partner := codes[name].partner:
            yield _reworded(codes[partner], {kind: map(exchange_sides, words[kind]) for kind in words})


def _reworded(code: Posecode, words: dict[str, Any]) -> Posecode:
    nouns, be, verb, do, act = (tuple(words.get(kind, ())) for kind in ("nouns", "be", "verb", "do", "act"))
    return replace(code, nouns=nouns, be=be, verb=verb, do=do, act=act)


class PlainWords(NamedTuple):
    """An entry of ``plain_words.yaml``: a fact and its wordings."""

    fact: Fact
    nouns: tuple[str, ...]
    be: tuple[str, ...]
    verb: tuple[str, ...]
    do: tuple[str, ...]
    act: tuple[str, ...]

    @property
    def of_a_limb(self) -> bool:
        """Whether it can be said of both sides at once."""
        return bool(self.nouns) and all(noun.startswith(("left ", "right ")) for noun in self.nouns)

    def mirrored(self) -> "PlainWords":
        """The same of the other side."""
        amount = "{N}" in self.fact.check
        fact = self.fact._replace(mirror=True) if amount else self.fact.of_the_other_side()
        return PlainWords(fact, *(tuple(map(exchange_sides, words)) for words in self[1:]))


def spelt_out(template: str) -> tuple[str, ...]:
    """All phrases of a template: "(straight|) up" -> straight up, up."""
    choice = CHOICE.search(template)
    if not choice:
        return (" ".join(template.split()),)
    words = OUTSIDE_BRACKETS.split(choice[1])
    chosen = (template[: choice.start()] + word + template[choice.end() :] for word in words)
    return tuple(dict.fromkeys(phrase for words in chosen for phrase in spelt_out(words)))


def plain_words() -> Iterator[tuple[PlainWords, PlainWords]]:
    """What people say beyond the words of captions, of the left and the right; twice the same where it has no side."""
    table = plain_table()
    shared = [(f"<{name}>", f"({words})") for name, words in table["shared"].items()]
    for entry in table["words"]:
        kinds = [_phrases(entry.get(kind, ()), shared) for kind in ("be", "verb", "do", "act")]
        fact = Fact(entry["check"], acute=entry.get("acute", ""), aim=entry.get("aim", ""))
        left = PlainWords(fact, tuple(entry.get("nouns", ())), *kinds)
        sided = any("left" in phrase for phrases in left[1:] for phrase in phrases)
        yield left, left.mirrored() if sided else left


def _phrases(templates: Sequence[str], shared: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    found: list[str] = []
    for template in templates:
        for name, words in shared:
            template = template.replace(name, words)
        found += spelt_out(template)
    return tuple(dict.fromkeys(found))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's search for garbage waits: of a million objects that all stay, it would look at each over and over."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@cache
@_no_collection()
def load_lexicon() -> Lexicon:
    """The words of all posecodes, for one side, for both, and for a part that shares its state with another."""
    lexicon = Lexicon()
    codes = [(code, True) for code in load_posecodes()] + [(code, False) for code in synonyms()]
    for code, in_captions in codes:
        one, both = words_of(code)
        fact = said_loosely(code, in_captions)
        lexicon.add(Variant(one.nouns, one, (fact,)))
        if code.partner:
            partner = fact.of_the_other_side()._replace(posecode=code.partner)
            facts = tuple(sorted((fact, partner), key=lambda each: each.posecode))
            lexicon.add(Variant(both.nouns, both, facts))
            lexicon.add(Variant(one.nouns, both, (fact,), listed=True))
            for pair in zip(one.nouns, both.nouns, strict=True):
                lexicon.add_pair(*pair)
        for noun in dict.fromkeys(one.nouns):
            lexicon.named.setdefault(noun, []).append(code)
    for sides in plain_words():
        _add_plain_words(lexicon, tuple(dict.fromkeys(sides)))
    _add_limbs(lexicon)
    return lexicon


def _add_limbs(lexicon: Lexicon) -> None:
    """The nouns of ``grammar.yaml``."""
    for one, (_, both) in limb_nouns().items():
        for noun in (f"left {one}", f"right {one}", f"left {both}", f"right {both}", both):  # left toes
            _entry(lexicon.nouns, tuple(noun.split())).setdefault(PERSON, noun)
        for side in ("left", "right"):
            lexicon.named.setdefault(f"{side} {one}", [])
        lexicon.add_pair(f"left {one}", both)
    for noun in (noun for nouns in grammar_table()["middle"].values() for noun in nouns):
        _entry(lexicon.nouns, tuple(noun.split())).setdefault(PERSON, noun)


def _add_plain_words(lexicon: Lexicon, sides: tuple["PlainWords", ...]) -> None:
    """Plain words of the left and the right, for one side and for both."""
    variants: list[Variant] = []
    for words in sides:
        one, both = words_of(words)
        variants.append(Variant(one.nouns, one, (words.fact,)))
        if words.of_a_limb:
            shared = _without_a_side(both)
            variants.append(Variant(one.nouns, shared, (words.fact,), listed=True))
            variants.append(Variant(both.nouns, shared, tuple(each.fact for each in sides)))
            for pair in zip(one.nouns, both.nouns, strict=True):
                lexicon.add_pair(*pair)
                lexicon.named.setdefault(pair[0], [])
    lexicon.add(*variants)


def _without_a_side(words: Words) -> Words:
    """What can be said of both arms at once: not "out to the left"."""
    kinds = (
        tuple(phrase for phrase in kind if ("left" in phrase) == ("right" in phrase))
        for kind in (words.be, words.verb, words.do, words.act)
    )
    return Words(words.nouns, *kinds)
