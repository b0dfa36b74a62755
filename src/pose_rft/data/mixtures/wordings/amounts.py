"""Numbers and degrees: "both elbows bent at 45 degrees", "the head turned slightly to the left"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from pose_rft.data.mixtures.wordings.contrast import say
from pose_rft.data.mixtures.wordings.numerals import angle_words, degree_words, metre_words
from pose_rft.data.mixtures.wordings.quantities import POSES
from pose_rft.data.mixtures.wordings.scenes import Scene, Wording, two_sided
from pose_rft.data.mixtures.wordings.statements import Side, State, Statement, stances, states_in, weighted
from pose_rft.data.phrases import pick
from pose_rft.storage import package_table

TOLERANCE = {False: 8.0, True: 0.06}  # degrees, metres: by how much a number may be missed
SLACK = {False: 5.0, True: 0.05}  # around the values that a degree means
STRAIGHT_FROM_FLEXION = 180
Words = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True, eq=False)
class Quantity:
    """What a number or a degree is said of; the fields are those of quantities.yaml."""

    name: str
    limb: str
    measure: str
    stances: Sequence[str] = ("stand",)
    sides: Sequence[Side] = ("left",)
    also: Sequence[str] = ()
    two: bool = False
    loose: bool = False
    metres: bool = False
    numbers: Sequence[int] | None = None
    words: Words | None = None
    degrees: Mapping[str, Sequence[float]] | None = None
    degree_words: Mapping[str, Words] | None = None

    def state(
        self, value: float, slack: float, low: float, high: float, words: Words, rng: np.random.Generator
    ) -> State:
        """The state in which the quantity is `value`, and is graded from `low` to `high` with some slack."""
        check = f"{low - slack:.4g} < {self.measure} < {high + slack:.4g}"
        flags = {"two"} if self.two else set()
        if self.limb == "leg" and "both" not in self.sides:
            flags.add("needs_support")
        pose = POSES[self.name](value, rng)
        checks = (check, *self.also)
        return State(self.limb, self.name, (pose,), checks, (), words, frozenset(self.stances), 1.0, frozenset(flags))

    def at_number(self, rng: np.random.Generator) -> State:
        """The quantity at a number that is drawn."""
        assert self.numbers is not None
        assert self.words is not None
        low, high, step = self.numbers
        value = int(rng.integers(low // step, high // step + 1)) * step
        if self.metres:
            number, angle, flexion = metre_words(value), "", ""
        else:
            number, angle = degree_words(value), angle_words(value)
            flexion = degree_words(STRAIGHT_FROM_FLEXION - value)
        words = filled(self.words, N=number, A=angle, F=flexion)
        value_si = value / 100 if self.metres else value
        return self.state(value_si, TOLERANCE[self.metres], value_si, value_si, words, rng)

    def to_degree(self, rng: np.random.Generator) -> State:
        """The quantity as far as one of its words of degree says."""
        assert self.degrees is not None
        assert self.degree_words is not None
        much = pick(rng, tuple(self.degrees))
        low, high = self.degrees[much]
        after, before = (_choice(_degrees().get(much, {}).get(place, [])) for place in ("after", "before"))
        words = filled(self.degree_words[much], D=after, B=before)
        value = float(rng.uniform(low, high))
        return self.state(value, SLACK[self.metres], low, high, words, rng)


def draw_number(rng: np.random.Generator) -> Wording:
    """Something at an angle or a distance in figures or words."""
    quantity = pick(rng, [q for q in quantities() if q.numbers])
    return _wording("number", quantity, quantity.at_number, rng)


def draw_degree(rng: np.random.Generator) -> Wording:
    """Something done slightly, halfway, all the way or almost."""
    quantity = pick(rng, [q for q in quantities() if q.degrees])
    return _wording("degree", quantity, quantity.to_degree, rng)


def _wording(kind: str, quantity: Quantity, state_of: Any, rng: np.random.Generator) -> Wording:
    """A scene of one quantity, sometimes with another one or with what the arms do."""
    stance = stances()[pick(rng, quantity.stances)]
    if quantity.loose:
        stance = replace(stance, checks=())
    side = pick(rng, quantity.sides)
    statements = [Statement(state_of(rng), side)]
    chance = rng.random()
    if quantity.limb in ("arm", "leg") and side != "both" and "needs_support" not in statements[0].state.flags:
        other: Side = "right" if side == "left" else "left"
        if chance < 0.3:
            statements.append(Statement(state_of(rng), other))
        elif chance < 0.55:
            statements.append(Statement(weighted(states_in(quantity.limb, stance.name), rng), other))
    elif quantity.limb not in ("arm", "hands") and chance < 0.25 and stance.name in ("stand", "sit_chair"):
        statements += two_sided("arm", stance, rng)[: 1 if rng.random() < 0.5 else 2]
    scene = Scene(stance, tuple(statements))
    return Wording(kind, scene.pose(rng) | {"vary": 0.5}, scene.checks, lambda rng: say(scene, rng))


def filled(words: Words, **values: str) -> Words:
    """The templates of all nouns with ``{N}`` and the like filled in; those with an empty value are left out."""
    result: dict[str, dict[str, list[str]]] = {}
    for noun, forms in words.items():
        said = {form: _filled(list(templates), values) for form, templates in forms.items() if form != "one"}
        result[noun] = {form: templates for form, templates in said.items() if templates}
    return result


def _filled(templates: list[str], values: Mapping[str, str]) -> list[str]:
    empty = [f"{{{name}}}" for name, value in values.items() if not value]
    kept = [template for template in templates if not any(place in template for place in empty)]
    for name, value in values.items():
        kept = [template.replace(f"{{{name}}}", value) for template in kept]
    return kept


def _choice(texts: Sequence[str]) -> str:
    return f"({'|'.join(texts)})" if texts else ""


@cache
def quantities() -> tuple[Quantity, ...]:
    """All quantities."""
    return tuple(Quantity(name, **entry) for name, entry in package_table(__package__, "quantities.yaml").items())


@cache
def _degrees() -> dict[str, dict[str, list[str]]]:
    return package_table(__package__, "degrees.yaml")
