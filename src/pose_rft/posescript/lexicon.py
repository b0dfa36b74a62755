"""The words of captions, ordered for reading: what each phrase says of which part of the body.

Made from the tables that captions are made from (``posecodes.yaml``, ``wording``), in every form in which a caption can
say it, so a posecode that is added there is understood without a line here. ``reading.yaml`` adds what only people say.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any
from unicodedata import normalize

import yaml

from pose_rft.posescript.posecodes import Posecode, exchange_sides, load_posecodes
from pose_rft.posescript.wording import NO_ONE, READER, VOICES, Words, participle, third_person, without_held, words_of

TOKEN = re.compile(r"[^\W_]+(?:'[a-z]+)?|[^\w\s\"'#*`-]")  # words, stops and other signs; hyphens and quotes part words
SIGNS = (
    (re.compile(r"[\u2018\u2019]"), "'"),
    (re.compile(r"\n\s*[-*\u2022]\s|\n\s*\n"), " . "),  # the items of a list, paragraphs
    (re.compile(r"\s--?\s|[\u2013\u2014()\[\]]"), " , "),  # dashes and brackets
    (re.compile(r"&"), " and "),
    (re.compile(r"\u00b0"), " degrees "),
    (re.compile(r"/"), " or "),
)
OWNERS = {voice.whose for voice in (*VOICES, READER, NO_ONE)}  # the, his, her, ...: "the left knee" is "left knee"
SELVES = {voice.self for voice in (*VOICES, READER)}  # himself, herself, ...
ONESELF = "oneself"

Phrases = dict[Any, Any]  # a trie: word -> Phrases, and END -> what the phrase that ends here says
END = None

Ids = tuple[str, ...]  # posecodes
Subject = tuple[str, bool]  # "left knee", and whether it is one of several: "the left knee and the right elbow"
PERSON: Subject = ("", False)


def words_in(text: str) -> list[str]:
    """Words and stops in lower case: "Bend your left knee." -> bend your left knee ."""
    text = normalize("NFKC", text).lower()
    for sign, plain in SIGNS:
        text = sign.sub(plain, text)
    return TOKEN.findall(text)


def tokens_of(text: str) -> list[str]:
    """Words and stops in lower case, without articles and possessives: "Bend your left knee." -> bend left knee ."""
    return [ONESELF if word in SELVES else word for word in words_in(text) if word not in OWNERS]


def read(phrases: Phrases, tokens: Sequence[str], at: int) -> Iterator[tuple[int, Any]]:
    """All phrases that begin at a token: where each ends and what it says. The text must end with a stop."""
    node: Phrases | None = phrases
    while node is not None:
        if END in node:
            yield at, node[END]
        node = node.get(tokens[at])
        at += 1


def _entry(phrases: Phrases, words: str) -> Phrases:
    """The place of a phrase, made where it is new."""
    for token in tokens_of(words):
        phrases = phrases.setdefault(token, {})
    return phrases.setdefault(END, {})


def _selves(phrase: str) -> tuple[str, ...]:
    """ "hold {self} upright" speaks of oneself or, where there is no person, of the body."""
    return tuple(phrase.replace("{the}", "").replace("{self}", own) for own in dict.fromkeys((ONESELF, NO_ONE.self)))


def _forms(phrase: str) -> tuple[str, ...]:
    """bend {np} / bends {np} / bending {np}"""
    return phrase, third_person(phrase), participle(phrase)


@dataclass(frozen=True)
class Lexicon:
    """Everything that can be said.

    Attributes:
        nouns: "left knee" -> that noun.
        states: what follows a noun, "bent", "hangs by the side" -> {subject: ids}.
        deeds: what precedes a noun, "bend" -> phrases of what follows it, "", "at a right angle" -> {subject: ids}.
        acts: what a person does without an object, "lean forward" -> {PERSON: ids}.
        named: noun -> posecodes of one side that may be called by it.
        limbs: nouns of one side without it, "knee" -> their plural, "knees".
    """

    nouns: Phrases = field(default_factory=dict)
    states: Phrases = field(default_factory=dict)
    deeds: Phrases = field(default_factory=dict)
    acts: Phrases = field(default_factory=dict)
    named: dict[str, list[Posecode]] = field(default_factory=dict)
    limbs: dict[str, str] = field(default_factory=dict)

    def add(self, nouns: Sequence[str], words: Words, ids: Ids, listed: bool = False) -> None:
        """Learn the wordings of one posecode; the first to claim a wording keeps it."""
        states = [*words.be, *map(without_held, words.be)]
        states += [form for verb in words.verb for form in _forms(verb)]
        for noun in dict.fromkeys(nouns):
            subject = (noun, listed)
            _entry(self.nouns, noun)[PERSON] = noun
            for state in states:
                _entry(self.states, state.replace("{the}", "")).setdefault(subject, ids)
            for form in (form for deed in words.do for form in _forms(deed)):
                before, _, after = form.replace("{the}", "").partition("{np}")
                _entry(_entry(self.deeds, before), after).setdefault(subject, ids)
        for form in (form for act in words.act for form in _forms(act)):
            for phrase in _selves(form):
                _entry(self.acts, phrase).setdefault(PERSON, ids)

    def add_pair(self, one: str, both: str) -> None:
        """Learn to read "left and right knee" and "each knee" as "knees"."""
        limb = one.split(" ", 1)[1]
        self.limbs[limb] = both
        for words in ("left and right {one}", "left and right {both}", "right and left {one}", "right and left {both}",
                      "each {one}", "each of {both}", "two {both}"):  # fmt: skip
            _entry(self.nouns, words.format(one=limb, both=both))[PERSON] = both


@cache
def reading_table() -> dict[str, Any]:
    """``reading.yaml``: synonyms, and lists of words as sets."""
    table = yaml.safe_load(files(__package__).joinpath("reading.yaml").read_text(encoding="utf-8"))
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


@cache
def load_lexicon() -> Lexicon:
    """The words of all posecodes, for one side, for both, and for a part that shares its state with another."""
    lexicon = Lexicon()
    for code in (*load_posecodes(), *synonyms()):
        one, both = words_of(code)
        lexicon.add(one.nouns, one, (code.id,))
        if code.partner:
            lexicon.add(both.nouns, both, tuple(sorted((code.id, code.partner))))
            lexicon.add(one.nouns, both, (code.id,), listed=True)
            for pair in zip(one.nouns, both.nouns, strict=True):
                lexicon.add_pair(*pair)
        for noun in dict.fromkeys(one.nouns):
            lexicon.named.setdefault(noun, []).append(code)
    return lexicon
