"""A pose to be put into words: how the body stands, what its limbs do, and what is said of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_rft.data.concepts.compositions import merged
from pose_rft.data.mixtures.wordings.statements import (
    Mention,
    Stance,
    State,
    Statement,
    stances,
    states,
    states_in,
    weighted,
)
from pose_rft.data.mixtures.wordings.templates import Side, spun
from pose_rft.data.phrases import PRONOUNS, SUBJECTS, Subject, pick

Said = tuple[str, tuple[str, ...]]  # a prompt and the checks that it states
KINDS = {"arms": 0.6, "legs": 0.2, "arm_and_leg": 0.2}
REST_RATE = 0.4  # the other limb does nothing


@dataclass(frozen=True)
class Wording:
    """What samples are drawn from: one pose to be solved many times, and its words.

    Attributes:
        kind: which words decide: contrast, negation, number, degree or long.
        pose: in the pose language.
        checks: what every pose has to meet, also what the words leave open.
        say: draws a prompt and the checks that it states.
    """

    kind: str
    pose: dict[str, Any]
    checks: tuple[str, ...]
    say: Callable[[np.random.Generator], Said]


@dataclass(frozen=True)
class Scene:
    """A stance with statements about limbs; the first two of one limb are of different sides."""

    stance: Stance
    statements: tuple[Statement, ...]

    @property
    def moves_legs(self) -> bool:
        """Whether something is said of the legs."""
        return any(statement.state.limb == "leg" for statement in self.statements)

    @property
    def stance_checks(self) -> tuple[str, ...]:
        """Of a stance whose legs do something else only what it says of the trunk."""
        return self.stance.checks[:1] if self.moves_legs else self.stance.checks

    @property
    def checks(self) -> tuple[str, ...]:
        """What all statements and the stance say."""
        return (*self.stance_checks, *(check for statement in self.statements for check in statement.checks))

    def pose(self, rng: np.random.Generator) -> dict[str, Any]:
        """In the pose language."""
        pose = dict(self.stance.pose)
        for statement in self.statements:
            pose = merged(pose, statement.pose(rng))
        return pose

    def says_stance(self, rng: np.random.Generator) -> bool:
        """Whether a text names the stance: standing may be left out, and goes without saying of a lifted leg."""
        return self.stance.name != "stand" or rng.random() < 0.35

    def doing(self, rng: np.random.Generator) -> str:
        """The stance as a gerund phrase."""
        return spun(pick(rng, self.stance.plain if self.moves_legs else self.stance.doing), rng)

    def mentions(self, form: str, rng: np.random.Generator, article: bool = True) -> list[Mention] | None:
        """The statements named in some order; None where one of them has no words of this form."""
        if not all(statement.state.nouns(form) for statement in self.statements):
            return None
        named: list[Mention] = []
        for index in rng.permutation(len(self.statements)):
            statement = self.statements[index]
            before = named[-1] if named else None
            twin = before if before and before.statement.state.limb == statement.state.limb else None
            named.append(Mention.of(statement, form, rng, twin, article))
        return named


def draw_scene(rng: np.random.Generator) -> Scene:
    """A stance in which left and right limbs do different things."""
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    stance = weighted([s for s in stances().values() if kind == "arms" or s.own_legs or s.name == "stand"], rng)
    if rng.random() < 0.5:
        stance = stance.mirrored()
    if kind == "arms":
        return Scene(stance, two_sided("arm", stance, rng))
    legs = two_sided("leg", stance, rng)
    if kind == "legs":
        return Scene(stance, legs)
    arms = two_sided("arm", stance, rng)
    return Scene(stance, (*arms, *legs) if rng.random() < 0.4 else (arms[0], *legs))


def two_sided(limb: str, stance: Stance, rng: np.random.Generator) -> tuple[Statement, Statement]:
    """Two states, of one side each; the first is none of rest."""
    every = states_in(limb, stance.name)
    first = weighted([state for state in every if "rest" not in state.flags], rng)
    sides: tuple[Side, Side] = ("left", "right") if rng.random() < 0.5 else ("right", "left")
    side, other = sides
    return Statement(first, side), Statement(_beside(first, every, rng), other)


def _beside(first: State, every: Sequence[State], rng: np.random.Generator) -> State:
    """What the other limb can do."""
    if "needs_support" in first.flags:
        return states("leg")["support"]
    rest = [state for state in every if "rest" in state.flags]
    if rest and rng.random() < REST_RATE:
        return weighted(rest, rng)
    return weighted([state for state in every if state is not first and "needs_support" not in state.flags], rng)


def draw_subject(rng: np.random.Generator) -> Subject:
    """Somebody: "a woman", "he"."""
    return pick(rng, SUBJECTS if rng.random() < 0.7 else PRONOUNS)
