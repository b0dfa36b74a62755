"""What limbs can do, side by side: the states of statements.yaml with their poses, checks and words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar

import numpy as np

from pose_rft.data.concepts.pose_language import mirrored, swap_sides
from pose_rft.data.mixtures.wordings.templates import Side, noun_phrase, other_phrase, plural_of, spun
from pose_rft.data.phrases import pick
from pose_rft.posescript.checks import mirrored as mirrored_check
from pose_rft.storage import package_table

SIDES = ("left", "right")
LIMB_KEYS = ("arm", "hand", "leg", "foot")  # of the pose language, where a side is put before them
mirrored_once = lru_cache(maxsize=4096)(mirrored_check)


@dataclass(frozen=True, eq=False)
class State:
    """What one limb can do; all written for the left side.

    Attributes:
        limb: "arm", "leg", or what is no limb of a side: "head", "trunk", "feet" ...
        name: its key in the table.
        poses: keys and values of the pose language; arm, hand, leg and foot without a side.
        checks: what is true of it.
        fails: what is true where it is clearly not done.
        words: noun -> {"be": templates of what the noun is, "do": templates that begin with a verb in -ing,
            "adj": templates of what may stand before the noun ``{n}``}; "" where no noun is named.
        stances: names of the stances in which it can be done.
        weight: how often it is drawn.
        flags: rest, needs_support (the other leg carries the body), alone (not for both sides at once),
            two (its nouns are plural).
    """

    limb: str
    name: str
    poses: tuple[Mapping[str, Any], ...]
    checks: tuple[str, ...]
    fails: tuple[str, ...]
    words: Mapping[str, Mapping[str, Sequence[str]]]
    stances: frozenset[str]
    weight: float
    flags: frozenset[str]

    def nouns(self, form: str) -> list[str]:
        """Nouns of which something is said in this form, "be" or "do"."""
        return [noun for noun, said in self.words.items() if said.get(form)]


@dataclass(frozen=True)
class Stance:
    """How the body stands, sits or lies.

    Attributes:
        name: its key in the table.
        pose: in the pose language, with a base.
        checks: what is true of it.
        doing: templates that begin with a verb in -ing.
        plain: of these what says nothing about the legs.
        weight: how often it is drawn.
        own_legs: whether its legs can do something of their own.
    """

    name: str
    pose: Mapping[str, Any]
    checks: tuple[str, ...]
    doing: tuple[str, ...]
    plain: tuple[str, ...]
    weight: float
    own_legs: bool

    def mirrored(self) -> "Stance":
        """The same with left and right exchanged."""
        return Stance(
            self.name,
            mirrored(self.pose),
            tuple(mirrored_once(check) for check in self.checks),
            tuple(map(swap_sides, self.doing)),
            tuple(map(swap_sides, self.plain)),
            self.weight,
            self.own_legs,
        )


W = TypeVar("W", State, Stance)


@dataclass(frozen=True)
class Statement:
    """A state of the left limb, of the right one, or of both."""

    state: State
    side: Side

    @property
    def plural(self) -> bool:
        """Whether two limbs are spoken of."""
        return self.side == "both" or "two" in self.state.flags

    @property
    def checks(self) -> tuple[str, ...]:
        """What is true of the side or sides."""
        return of_side(self.state.checks, self.side)

    @property
    def fails(self) -> tuple[str, ...]:
        """What is true where neither of the sides does it."""
        return of_side(self.state.fails, self.side)

    def pose(self, rng: np.random.Generator) -> dict[str, Any]:
        """Keys and values of the pose language."""
        chosen = pick(rng, self.state.poses)
        sides = [side for side in SIDES if self.side in (side, "both")]
        sided = {f"{side}_{key}": value for side in sides for key, value in chosen.items() if key in LIMB_KEYS}
        whole = {key: value for key, value in chosen.items() if key not in LIMB_KEYS}
        return sided | (mirrored(whole) if self.side == "right" else whole)

    def words(self, form: str, noun: str, rng: np.random.Generator) -> str:
        """One of its texts for a noun, the sides as they are; "do" keeps its ``{np}``."""
        text = spun(pick(rng, self.state.words[noun][form]), rng, self.plural)
        return swap_sides(text) if self.side == "right" else text


@dataclass
class Mention:
    """How one statement is named in a text: by which noun, and as what after its twin was named."""

    statement: Statement
    noun: str
    phrase: str

    @classmethod
    def of(
        cls,
        statement: Statement,
        form: str,
        rng: np.random.Generator,
        twin: "Mention | None" = None,
        article: bool = True,
    ) -> "Mention":
        """Name a statement; `twin` is the mention of the same limb's other side that stands before it."""
        noun = pick(rng, statement.state.nouns(form))
        if statement.state.limb not in ("arm", "leg"):
            own = swap_sides(noun) if statement.side == "right" else noun
            return cls(statement, noun, f"the {own}" if article else own)
        if twin is None or statement.plural:
            return cls(statement, noun, noun_phrase(noun, statement.side, rng, article))
        return cls(statement, noun, other_phrase(noun, statement.side, noun == twin.noun, rng, article))

    def be(self, rng: np.random.Generator) -> str:
        """ "hanging at the side"."""
        return self.statement.words("be", self.noun, rng)

    def adjective(self, rng: np.random.Generator) -> str | None:
        """ "a slightly bent left knee", or None where no such words exist."""
        if not self.statement.state.words[self.noun].get("adj"):
            return None
        noun = f"{self.statement.side} {self.noun}" if self.statement.side != "both" else plural_of(self.noun)
        if self.statement.state.limb not in ("arm", "leg"):
            noun = self.noun
        text = self.statement.words("adj", self.noun, rng).replace("{n}", noun)
        if self.statement.plural:
            return text
        return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"

    def do(self, rng: np.random.Generator) -> str:
        """ "letting the left arm hang"."""
        return self.statement.words("do", self.noun, rng).replace("{np}", self.phrase)


def of_side(checks: Sequence[str], side: Side) -> tuple[str, ...]:
    """Checks written for the left, for the side or the sides."""
    left = tuple(checks) if side != "right" else ()
    return left + (tuple(mirrored_once(check) for check in checks) if side != "left" else ())


@cache
def stances() -> dict[str, Stance]:
    """All stances by name."""
    return {
        name: Stance(
            name,
            entry["pose"],
            tuple(entry["checks"]),
            tuple(entry["doing"]),
            (entry["plain"],) if "plain" in entry else tuple(entry["doing"]),
            float(entry["weight"]),
            bool(entry.get("own_legs", False)),
        )
        for name, entry in _table()["stances"].items()
    }


@cache
def states(limb: str) -> dict[str, State]:
    """All states of a limb, "arm" or "leg", by name; arms do what names no stance wherever the body is upright."""
    upright = frozenset(name for name, entry in _table()["stances"].items() if not entry.get("lying"))
    flags = ("rest", "needs_support", "alone")
    return {
        name: State(
            limb,
            name,
            tuple(entry["pose"]),
            tuple(entry["checks"]),
            tuple(entry["fails"]),
            entry["words"],
            frozenset(entry.get("in", upright)),
            float(entry["weight"]),
            frozenset(flag for flag in flags if entry.get(flag)),
        )
        for name, entry in _table()[limb].items()
    }


def states_in(limb: str, stance: str) -> list[State]:
    """What a limb can do in a stance."""
    return [state for state in states(limb).values() if stance in state.stances]


def weighted(options: Sequence[W], rng: np.random.Generator) -> W:
    """One of the options by weight."""
    weights = np.array([option.weight for option in options])
    return options[int(rng.choice(len(options), p=weights / weights.sum()))]


@cache
def _table() -> dict[str, Any]:
    return package_table(__package__, "statements.yaml")
