"""Concepts put together: "sitting on a chair with arms crossed, looking to the left", with poses that do all of it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_rft.data.concepts.concept import Concept
from pose_rft.data.concepts.pools import SPARE, ConceptPools, tidiest
from pose_rft.data.concepts.pose_language import expanded, parse_pose
from pose_rft.data.concepts.procedural import solve
from pose_rft.data.phrases import pick, say_doing, say_who, say_with
from pose_rft.errors import UserError
from pose_rft.storage import package_table

TABLE = package_table(__package__, "compositions.yaml")
RECIPES = {tuple(parts): rate for rate, *parts in TABLE["recipes"]}
ARM_KEYS = ("arm", "hand", "palm", "wrist", "shoulder")
KEPT_SHARE = 0.6  # of a composition's samples must meet all checks, otherwise its parts do not go together
PROBE = 24  # samples to see that
STANDING = ("stand", "attention", "stand_wide")
SPEAKS_OF = {topic: re.compile(rf"\b({'|'.join(words)})", re.IGNORECASE) for topic, words in TABLE["speaks_of"].items()}


@dataclass(frozen=True)
class Composition:
    """Concepts that go together.

    Attributes:
        core: who sets the stance; None where nothing is said of it.
        additions: arms, head and trunk concepts.
        standing: whether the stance is plain standing.
        poses: (M, 22, 3) that meet all their checks.
    """

    core: Concept | None
    additions: tuple[Concept, ...]
    standing: bool
    poses: np.ndarray

    @property
    def name(self) -> str:
        """The concepts' ids, joined by +."""
        return "+".join(c.id for c in (self.core, *self.additions) if c)


def merged(core: Mapping[str, Any], addition: Mapping[str, Any]) -> dict[str, Any]:
    """The pose (YAML) of `core` with what `addition` sets, but in the stance of `core`."""
    result, changes = expanded(core), expanded(addition)
    for key in changes:
        side, _, limb = key.partition("_")
        if limb in ARM_KEYS:  # a hand's target replaces the arm's directions
            for other in ARM_KEYS:
                result.pop(f"{side}_{other}", None)
    return result | {key: value for key, value in changes.items() if key not in ("base", "vary")}


def _leaves_free(core: Concept, parts: set[str]) -> bool:
    """Whether a core's pose says nothing of these parts of the body."""
    fixed = core.spec.fixed
    if "arms" in parts and (not core.spec.arms_free or fixed & {"left_arm", "right_arm"}):
        return False
    return not ("head" in parts and "head" in fixed) and not ("trunk" in parts and fixed & {"trunk", "root"})


def core_phrases(core: Concept, parts: set[str]) -> list[tuple[str, str]]:
    """(kind, phrase) of a core that can stand beside something else about `parts`."""
    kinds = {"doing": core.doing, "who": core.who, "with": core.with_ if core.part == "legs" else ()}
    every = [(kind, phrase) for kind, phrases in kinds.items() for phrase in phrases]
    return [(kind, p) for kind, p in every if not any(SPEAKS_OF[part].search(p) for part in parts)]


def addition_phrases(addition: Concept, beside_head: bool) -> list[tuple[str, str]]:
    """(kind, phrase) of an addition: no word about the stance, nor, beside something about the head, about looking."""
    every = [("with", p) for p in addition.with_] + [
        ("doing", p) for p in addition.doing if not SPEAKS_OF["posture"].search(p)
    ]
    if beside_head and addition.part != "head":
        every = [(kind, p) for kind, p in every if not SPEAKS_OF["looking"].search(p)]
    return every


class Composer:
    """Draws compositions of a bank's concepts and puts them into words."""

    def __init__(self, pools: ConceptPools) -> None:
        self.pools = pools
        self.slots: dict[tuple[str, ...], list[tuple[list[Concept], np.ndarray]]] = {}
        for recipe in RECIPES:
            candidates = [self._candidates(slot, recipe) for slot in recipe]
            if all(candidates):
                self.slots[recipe] = [(concepts, _rates(concepts)) for concepts in candidates]
        rates = np.array([RECIPES[recipe] for recipe in self.slots], float)
        self.recipes, self.rates = list(self.slots), rates / rates.sum()

    def _candidates(self, slot: str, recipe: tuple[str, ...]) -> list[Concept]:
        parts = set(recipe) - {"core"}
        if slot == "core":
            cores = [c for c in self.pools.concepts if c.part in ("legs", "body") and _leaves_free(c, parts)]
            return [c for c in cores if core_phrases(c, parts)]
        found = [c for c in self.pools.concepts if c.part == slot and addition_phrases(c, "head" in parts)]
        if recipe.count("arms") == 2 and slot == "arms":
            found = [c for c in found if len(_arms(c)) == 1]
        return found

    def draw(self, size: int, rng: np.random.Generator, attempts: int = 60) -> Composition | None:
        """A composition with up to `size` poses, or None where the bank holds nothing that goes together."""
        for _ in range(attempts if self.recipes else 0):
            recipe = self.recipes[int(rng.choice(len(self.recipes), p=self.rates))]
            drawn = [concepts[int(rng.choice(len(concepts), p=rates))] for concepts, rates in self.slots[recipe]]
            two_arms = [_arms(concept) for concept in drawn if concept.part == "arms"]
            if len(two_arms) == 2 and two_arms[0] & two_arms[1]:
                continue
            pose = expanded(drawn[0].pose)
            for concept in drawn[1:]:
                pose = merged(pose, concept.pose)
            poses = self._solved(pose, drawn, size, rng)
            if poses is not None:
                core = drawn[0] if recipe[0] == "core" else None
                standing = pose.get("base", "stand") in STANDING
                return Composition(core, tuple(drawn[1:] if core else drawn), standing, poses)
        return None

    def _solved(
        self, pose: dict[str, Any], concepts: list[Concept], size: int, rng: np.random.Generator
    ) -> np.ndarray | None:
        """Poses (M, 22, 3), or None where hands do not get there or most samples miss a check."""
        try:
            spec = parse_pose(pose)
        except UserError:  # each hand would have to hold the other arm, or the like
            return None
        checks = tuple(dict.fromkeys(check for concept in concepts for check in concept.checks))
        n = max(PROBE, SPARE * size)
        solved = solve(spec, n, int(rng.integers(2**31)))
        too_far = any(miss.mean() > 0.06 for miss in solved.miss.values())
        if too_far or any(bent.mean() > 0.4 for bent in solved.bent.values()):
            return None
        kept = tidiest(solved.pose, checks, size, math.ceil(KEPT_SHARE * n), self.pools.settled)
        return kept if len(kept) else None

    def say(self, composition: Composition, rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
        """A prompt for a composition and the checks that its words state."""
        core, additions = composition.core, composition.additions
        parts = {addition.part for addition in additions}
        said = []
        for concept in (core, *additions):
            if concept is not None:
                phrases = (
                    core_phrases(concept, parts) if concept is core else addition_phrases(concept, "head" in parts)
                )
                said.append((concept, *pick(rng, phrases)))
        checks = tuple(dict.fromkeys(c for concept, _, phrase in said for c in self.pools.checks(concept, phrase)))
        kind, start = said[0][1:] if core else ("", "")
        rest = [(kind, phrase) for concept, kind, phrase in said if concept is not core]
        return worded(kind, start, rest, composition.standing, rng), checks


def worded(kind: str, start: str, rest: list[tuple[str, str]], standing: bool, rng: np.random.Generator) -> str:
    """Join phrases and put them into a frame.

    Args:
        kind: of `start`: "doing", "who", "with", or "" where there is none.
        start: the core's phrase.
        rest: (kind, phrase) of the additions, kinds "with" and "doing".
        standing: whether "standing" is true.
    """
    withs = [phrase for kind_, phrase in rest if kind_ == "with"]
    doings = [phrase for kind_, phrase in rest if kind_ == "doing"]
    if kind == "with":
        withs.insert(0, start)
    if kind in ("with", ""):
        kind, start = "doing", ""
        if standing and (not doings or rng.random() < 0.4) and rng.random() < 0.7:
            start = "standing"
        elif doings:
            start = doings.pop(int(rng.integers(len(doings))))
        else:
            return say_with(listed(withs, rng), False, rng)
    text = start
    if rng.random() < 0.2:
        text = ", ".join([start, *withs, *doings])
    else:
        before = doings if rng.random() < 0.25 else []
        after = [] if before else doings
        while_ = ", " if kind == "who" else " while "
        for phrase in before:
            text += pick(rng, (", ", " and ", while_)) + phrase
        if withs:
            text += (" with " if " with " not in text else pick(rng, (", ", " and "))) + listed(withs, rng)
        for phrase in after:
            text += pick(rng, (", ", ", ", while_, ", " if withs else " and ")) + phrase
    return say_who(text, rng) if kind == "who" else say_doing(text, rng)


def listed(phrases: list[str], rng: np.random.Generator) -> str:
    """a; a and b; a, b and c; sometimes only commas."""
    if len(phrases) < 2 or rng.random() < 0.2:
        return ", ".join(phrases)
    return ", ".join(phrases[:-1]) + " and " + phrases[-1]


def _arms(concept: Concept) -> frozenset[str]:
    return concept.spec.fixed & {"left_arm", "right_arm"}


def _rates(concepts: list[Concept]) -> np.ndarray:
    weights = np.sqrt([len(concept.phrases) for concept in concepts])
    return weights / weights.sum()
