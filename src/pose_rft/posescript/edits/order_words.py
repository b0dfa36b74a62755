"""The words of orders, ordered for reading: which wordings ask for which change, and how much is "a bit".

Made from the tables of instructions (``edits.yaml``, ``posecodes.yaml``), so that whatever an instruction says can be
read, and from ``orders.yaml``, which holds what people say beside that.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any, Literal, NamedTuple

from pose_rft.posescript.checks import mirrored, mirrored_quantity
from pose_rft.posescript.edits.changes import edits_table, load_edits
from pose_rft.posescript.edits.comparisons import Comparison
from pose_rft.posescript.lexicon import tokens_of
from pose_rft.posescript.posecodes import exchange_sides
from pose_rft.posescript.wording import one_and_both
from pose_rft.storage import package_table

Vectors = dict[str, tuple[float, float, float]]  # joint -> axis-angle, degrees
Kind = Literal["change", "state", "posture", "whole"]
Size = Literal["little", "some", "much", "all"]
SIZES: tuple[Size, ...] = ("little", "some", "much")
PART = "{np}"
ANYTHING = ""  # the "noun" of wordings without a part
ARTICLES = {"a", "an"}
OPEN_ENDED = 180.0  # degrees of a turn that says no upper bound
_SLOT = re.compile(r"\{(by|more|further)\}")
_COMPARED = re.compile(r"\{(higher|lower|closer|less)\}")


class Meaning(NamedTuple):
    """What a wording asks for.

    Attributes:
        kind, name: a quantity's name, ids of posecodes, a state's, a posture's or an order's about the whole.
        sign: of a change, whether the quantity grows (+1) or shrinks (-1).
        amount: that the words themselves tell, in the unit of the quantity.
    """

    kind: Kind
    name: str
    sign: int = 0
    amount: float | None = None


@dataclass(frozen=True)
class Measure:
    """A quantity that orders make grow or shrink.

    Attributes:
        name: for example ``left_knee_angle``.
        of: an expression of the check language.
        by: a little, some, much; in its unit.
        low, high: how far it can go.
        turns: joints that turn first; empty for what is found from the names in ``of``.
    """

    name: str
    of: str
    by: tuple[float, float, float]
    low: float
    high: float
    turns: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """What is to come true: checks, or ids of posecodes."""

    checks: tuple[str, ...]
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Posture:
    """Where a posture of the body begins to be solved.

    Attributes:
        code: the posecode that has to hold.
        pitch: of the pelvis, forward.
        joints: axis-angle vectors of the joints that belong to it, degrees.
    """

    code: str
    pitch: float
    joints: Vectors


Node = dict[Any, Any]  # a trie: token or PART -> Node, END -> {noun: meanings}
END = None


@dataclass
class OrderWords:
    """All wordings and what they are about."""

    trie: Node = field(default_factory=dict)
    measures: dict[str, Measure] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    postures: dict[str, Posture] = field(default_factory=dict)
    begins: dict[str, Vectors] = field(default_factory=dict)
    nouns: set[str] = field(default_factory=set)

    def learn(self, wording: str, meanings: Sequence[Meaning], nouns: Sequence[str] = ()) -> None:
        """Learn a wording, said of any of these nouns where it has a part in it."""
        for tokens in expanded(wording):
            node = self.trie
            for token in tokens:
                node = node.setdefault(token, {})
            ends = node.setdefault(END, {})
            for noun in nouns if PART in tokens else (ANYTHING,):
                known = ends.setdefault(noun, [])
                known += [meaning for meaning in meanings if meaning not in known]
        self.nouns.update(noun for noun in nouns if noun)


def without_articles(text: str) -> list[str]:
    """Tokens without articles and possessives."""
    return [token for token in tokens_of(text) if token not in ARTICLES]


@cache
def orders_table() -> dict[str, Any]:
    """``orders.yaml``."""
    return package_table(__package__, "orders.yaml")


def expanded(wording: str) -> Iterator[tuple[str, ...]]:
    """All ways to say "(put) heels|feet down": tokens without articles."""
    choices = []
    for word in wording.split():
        optional = word.startswith("(")
        choices.append([*word.strip("()").split("|"), *([""] if optional else [])])
    for words in product(*choices):
        yield tuple(_tokens(" ".join(words)))


def _tokens(words: str) -> Iterator[str]:
    for number, part in enumerate(words.split(PART)):
        if number:
            yield PART
        yield from without_articles(part)


def _plain(phrase: str) -> str:
    """An instruction's wording without its slots for amounts."""
    phrase = _COMPARED.sub(r"\1", _SLOT.sub("", phrase))
    return phrase.replace("{the}", "").replace("{self}", "yourself")


def _numbers(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Nouns of one side, and of both."""
    pairs = [one_and_both(word) for word in words]
    return [one for one, _ in pairs if one], [both for _, both in pairs if both]


def _add_instructions(words: OrderWords) -> None:
    """Everything that edit instructions say."""
    for edit in load_edits().edits:
        for wording in edit.wordings:
            meaning = Meaning("state", edit.id) if edit.code else _change_meaning(edit.id, wording.statement)
            for both in (False, True):
                if both and not edit.partner and not any(edit.nouns[1]):
                    continue
                meanings: tuple[Meaning, ...] = (meaning,)
                if both and edit.partner:
                    meanings = (meaning, meaning._replace(name=exchange_sides(meaning.name)))
                for phrase in dict.fromkeys(wording.phrases[both]):
                    words.learn(_plain(phrase), meanings, edit.nouns[both])


def _change_meaning(edit_id: str, statement: str | Comparison) -> Meaning:
    """What a wording of ``left_turn.rises`` asks for; of a turn, "a quarter", the words tell how much."""
    name, _, way = edit_id.rpartition(".")
    amount = None
    if isinstance(statement, Comparison) and statement.of == "turn()":
        low, high = sorted(abs(bound) for bound in (statement.low, statement.high))
        amount = (low + min(high, OPEN_ENDED)) / 2
    return Meaning("change", name, 1 if way == "rises" else -1, amount)


def _add_changes(words: OrderWords) -> None:
    for name, entry in orders_table()["changes"].items():
        from_edits = edits_table()["changes"].get(name, {})
        of = entry.get("of", from_edits.get("of"))
        low, high = entry.get("range", (-1e3, 1e3))
        measure = Measure(name, of, tuple(entry["by"]), low, high, tuple(entry.get("turns", ())))
        words.measures[name] = measure
        nouns, both = _numbers(entry.get("nouns", from_edits.get("nouns", [])))
        sided = name.startswith("left_")
        if sided:
            words.measures[exchange_sides(name)] = _other_side(measure)
        for way, sign in (("rises", 1), ("falls", -1)):
            for wording in entry.get(way, ()):
                left = Meaning("change", name, sign)
                words.learn(wording, (left,), nouns or both)
                if sided:
                    right = left._replace(name=exchange_sides(name))
                    words.learn(exchange_sides(wording), (right,), [exchange_sides(noun) for noun in nouns])
                    if PART in wording:
                        words.learn(wording, (left, right), both)


def _other_side(measure: Measure) -> Measure:
    """The same of the right: a quantity with a side counts to the right there, so that it grows as the left's does."""
    of, sign = mirrored_quantity(measure.of)
    low, high = measure.low, measure.high
    turns = tuple(map(exchange_sides, measure.turns))
    return Measure(exchange_sides(measure.name), of if sign > 0 else f"-({of})", measure.by, low, high, turns)


def _add_states(words: OrderWords) -> None:
    for name, entry in orders_table()["states"].items():
        checks, codes = (entry["check"],) if "check" in entry else (), tuple(entry.get("means", ()))
        words.states[name] = State(checks, codes)
        for wording in entry["say"]:
            words.learn(wording, (Meaning("state", name),))
        if name.startswith("left_"):
            other = f"right_{name.removeprefix('left_')}"
            words.states[other] = State(tuple(map(mirrored, checks)), tuple(map(exchange_sides, codes)))
            for wording in entry["say"]:
                words.learn(exchange_sides(wording), (Meaning("state", other),))


def mirrored_vectors(joints: Vectors) -> Vectors:
    """The same of the other side."""
    return {exchange_sides(joint): (x, -y, -z) for joint, (x, y, z) in joints.items()}


def _add_postures(words: OrderWords) -> None:
    for name, entry in orders_table()["postures"].items():
        if "mirrors" in entry:
            twin = words.postures[entry["mirrors"]]
            words.postures[name] = Posture(entry["code"], twin.pitch, mirrored_vectors(twin.joints))
        else:
            joints: Vectors = {}
            for limb in ("leg", "arm"):
                left = {f"left_{joint}": vector for joint, vector in entry.get(f"left_{limb}", {}).items()}
                right = {f"right_{joint}": vector for joint, vector in entry.get(f"right_{limb}", {}).items()}
                joints |= left | (right or mirrored_vectors(left))
            words.postures[name] = Posture(entry["code"], entry["pitch"], joints)
        for wording in entry["say"]:
            words.learn(wording, (Meaning("posture", name),))


@cache
def order_words() -> OrderWords:
    """All words of orders."""
    words = OrderWords()
    _add_changes(words)
    _add_instructions(words)
    _add_states(words)
    _add_postures(words)
    for name, joints in orders_table()["begins"].items():
        words.begins[name] = joints
        if name.startswith("left_"):
            words.begins[f"right_{name.removeprefix('left_')}"] = mirrored_vectors(joints)
    for name, wordings in orders_table()["whole"].items():
        for wording in wordings:
            words.learn(wording, (Meaning("whole", name),), sorted(words.nouns))
    return words
