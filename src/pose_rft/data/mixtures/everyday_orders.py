"""Everyday orders that lead from one pose to another: what changed between them, said as people say it.

The words are those that orders are read with (``pose_rft.posescript.edits.orders``), turned around: of two poses is
measured which quantities changed, and by how much, and which states and postures came true; one or two of these are
said. So a target may come from anywhere and no solver is needed, and every order carries the statements by which an
answer is graded.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from torch import Tensor

from pose_rft.data.edit_prompts import is_edit_prompt
from pose_rft.data.phrases import pick, typed
from pose_rft.posescript.checks import UNIT_METRES, satisfied
from pose_rft.posescript.edits.changes import Need, edits_table, load_edits
from pose_rft.posescript.edits.comparisons import Comparison, PosePair
from pose_rft.posescript.edits.order_words import Measure, order_words, orders_table
from pose_rft.posescript.edits.targets import unit_of
from pose_rft.posescript.mentions import code_of
from pose_rft.posescript.posecodes import exchange_sides
from pose_rft.posescript.wording import one_and_both
from pose_rft.storage import package_table

LEAST = 0.5  # of "a little", that counts as a change
NUMBER_RATE = 0.3  # of the amounts, that are a number
TWO_RATE = 0.3  # of the orders, that ask for two things
OPTIONAL_RATES = (0.35, 0.7, 0.95)  # of what a wording may leave out, that is said
ARTICLE_RATE = 0.7  # of the parts of tables without articles, that get one
STATE_SIZE = 2.0  # what comes true is as worth saying as a change by twice the usual amount
BETWEEN_CLAUSES = (" and ", " and ", ", then ", ", ")
FEW = 5  # of the largest changes, among which is chosen
AMOUNTS: dict[str, list[str]] = package_table(__package__, "pose_tasks.yaml")["amounts"]
_BARE = re.compile(
    r"(?:(?<=^)|(?<= ))(?<!the )(?<!your )"
    r"(?=(?:left|right) (?:arm|hand|elbow|knee|foot|leg|ear|shoulder|ankle|heel|toes|side)\b)"
    r"|(?<= on | to | at | of | up )(?=(?:hips?|waist|floor|ground|chest|head|face|sides?|forehead|ceiling|body)\b)"
    r"|(?<= to | on )(?=(?:left|right)$)"
)  # parts without an article
AROUND = "around"
GROUPS = (
    ("arm", "hand", "elbow", "forearm", "shoulder"),
    ("leg", "knee", "foot", "feet", "toe"),
    ("head", "gaze", "chin"),
)


class Wish(NamedTuple):
    """Something that an order can ask for.

    Attributes:
        name: of a quantity, a state or a posture.
        wordings: ways to say it.
        nouns: of one side and of both; empty where the wordings have no part.
        sign: +1 for what grows, -1 for what shrinks, 0 for what comes true.
        measure: of a change.
        checks: of what comes true.
        claims: of each wording what its verb says of the change beside that; empty where none says anything.
    """

    name: str
    wordings: tuple[str, ...]
    nouns: tuple[tuple[str, str], ...] = ()
    sign: int = 0
    measure: Measure | None = None
    checks: tuple[str, ...] = ()
    claims: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class EverydayOrder:
    """An order that leads from one pose to another.

    Attributes:
        text: what is said.
        checks: statements about the second pose.
        changes: statements that compare it with the first, as ``pose_rft.posescript.edits.comparisons`` has them.
    """

    text: str
    checks: tuple[str, ...]
    changes: tuple[str, ...]


@cache
def wishes() -> tuple[Wish, ...]:
    """All that can be asked for, of both sides."""
    return (*_changes(), *_states())


def _changes() -> list[Wish]:
    found = []
    for name, entry in orders_table()["changes"].items():
        nouns = entry.get("nouns", edits_table()["changes"].get(name, {}).get("nouns", []))
        pairs = tuple(one_and_both(noun) for noun in nouns)
        for way, sign in (("rises", 1), ("falls", -1)):
            if wordings := tuple(entry.get(way, ())):
                one = Wish(name, wordings, pairs, sign, order_words().measures[name])
                found += [one, _other_side(one)] if name.startswith("left_") else [one]
    return found


def _states() -> list[Wish]:
    words, table = order_words(), orders_table()
    found = []
    for name, entry in table["states"].items():
        state = words.states[name]
        checks = (*state.checks, *(code_of(code).check for code in state.codes))
        one = Wish(name, tuple(entry["say"]), checks=checks)
        found.append(one)
        if name.startswith("left_") and (other := words.states.get(f"right_{name.removeprefix('left_')}")):
            checks = (*other.checks, *(code_of(code).check for code in other.codes))
            found.append(_other_side(one)._replace(checks=checks))
    for name, posture in words.postures.items():
        if say := table["postures"][name].get("say"):
            found.append(Wish(name, tuple(say), checks=(code_of(posture.code).check,)))
    return found


@cache
def instructed_states() -> tuple[Wish, ...]:
    """States that edit instructions ask for, of the left, the middle and of both sides; postures are not among them."""
    found = []
    for edit in load_edits().edits:
        if edit.code is None or edit.id.startswith(("right_", "body.")):
            continue
        for both in (False, True):
            if both and not edit.partner:
                continue
            ids = [edit.id, exchange_sides(edit.id)] if both else [edit.id]
            wordings: list[str] = []
            claims: list[tuple[str, ...]] = []
            for wording in edit.wordings:
                sides = [wording.needs, _mirrored_needs(wording.needs)][: len(ids)]
                changes = tuple(str(need.condition) for needs in sides for need in needs if need.of == "change")
                for phrase, noun in product(dict.fromkeys(wording.phrases[both]), edit.nouns[both]):
                    said = phrase.replace("{the}", "the").replace("{self}", "yourself")
                    wordings.append(said.replace("{np}", f"the {noun}"))
                    claims.append(changes)
            checks = tuple(code_of(one).check for one in ids)
            found.append(Wish("+".join(ids), tuple(wordings), checks=checks, claims=tuple(claims)))
    around = tuple(orders_table()["whole"]["around"])
    return (*found, Wish(AROUND, around, checks=("abs(turn()) > 140",)))


def _mirrored_needs(needs: Sequence[Need]) -> tuple[Need, ...]:
    return tuple(
        need._replace(condition=need.condition.mirrored()) for need in needs if isinstance(need.condition, Comparison)
    )


def _other_side(wish: Wish) -> Wish:
    name = exchange_sides(wish.name)
    nouns = tuple((exchange_sides(one), both) for one, both in wish.nouns)
    wordings = tuple(map(exchange_sides, wish.wordings))
    return wish._replace(name=name, wordings=wordings, nouns=nouns, measure=order_words().measures.get(name))


class Said(NamedTuple):
    """A wish in words, and the statements that it makes about the second pose and about the change."""

    clause: str
    checks: tuple[str, ...]
    changes: tuple[str, ...]


def everyday_orders(before: Tensor, after: Tensor, rng: np.random.Generator) -> list[EverydayOrder | None]:
    """One order for each pair of poses; None where nothing changed that has a name, or a benchmark says the same.

    Args:
        before, after: (N, 32, 3) points of the poses, metres.
        rng: decides what is said and how.
    """
    pair, every = PosePair(before, after), wishes()
    change = {w.name: pair.change(w.measure.of).tolist() for w in every if w.measure is not None}
    came_true = {wish.name: _new(wish.checks, before, after) for wish in every if wish.checks}
    orders: list[EverydayOrder | None] = []
    for row in range(len(before)):
        sizes = [_size(wish, row, change, came_true) for wish in every]
        ranked = [every[at] for at in np.argsort(sizes)[::-1] if sizes[at] > 0]
        orders.append(_order(ranked, {name: values[row] for name, values in change.items()}, rng))
    return orders


def _new(checks: tuple[str, ...], before: Tensor, after: Tensor) -> list[bool]:
    """Of which pairs all of these hold now and did not before."""
    was, now = (satisfied(checks, points).all(dim=1) for points in (before, after))
    return (now & ~was).tolist()


def _size(wish: Wish, row: int, change: dict[str, list[float]], came_true: dict[str, list[bool]]) -> float:
    """How much worth saying a wish is, in units of the usual amount; 0 where it is not what happened."""
    if wish.measure is None:
        return STATE_SIZE * came_true[wish.name][row]
    signed = wish.sign * change[wish.name][row]
    return min(signed / wish.measure.by[1], 3.0) if signed > LEAST * wish.measure.by[0] else 0.0


def _order(ranked: Sequence[Wish], change: dict[str, float], rng: np.random.Generator) -> EverydayOrder | None:
    said: list[Said] = []
    wanted = 1 + int(rng.random() < TWO_RATE)
    left = list(ranked[:FEW])
    while left and len(said) < wanted:
        wish = left.pop(int(rng.integers(len(left))))
        said.append(say(wish, ranked, change, rng))
        left = [other for other in left if part_of(other.name) != part_of(wish.name)]
    if not said:
        return None
    text, checks, changes = joined(said, rng)
    return None if is_edit_prompt(text) else EverydayOrder(typed(text, rng), checks, changes)


def joined(said: Sequence[Said], rng: np.random.Generator) -> Said:
    """Several wishes in one order."""
    clause = pick(rng, BETWEEN_CLAUSES).join(each.clause for each in said)
    checks, changes = (tuple(one for each in said for one in getattr(each, part)) for part in ("checks", "changes"))
    return Said(clause, checks, changes)


def twin_of(wish: Wish) -> Wish:
    """The same wish of the other side; itself if it has no side."""
    other = exchange_sides(wish.name)
    return next((w for w in wishes() if w.name == other and w.sign == wish.sign), wish)


def part_of(name: str) -> str:
    """What a wish moves: arms, legs, head, or the trunk and all."""
    return next((group[0] for group in GROUPS if any(word in name for word in group)), "")


def say(wish: Wish, ranked: Sequence[Wish], change: Mapping[str, float], rng: np.random.Generator) -> Said:
    """One way to say a wish; of both sides where the same of the other side is among ``ranked`` and as large.

    Args:
        change: by how much quantities changed, by name.
    """
    if wish.measure is None:
        which = int(rng.integers(len(wish.wordings)))
        return Said(_filled(wish.wordings[which], "", rng), wish.checks, wish.claims[which] if wish.claims else ())
    size, low, high = _amount(wish.measure, abs(change[wish.name]), rng)
    compared = [_comparison(wish, low, high)]
    twin = next((w for w in ranked if w.sign == wish.sign and w.name == exchange_sides(wish.name) != wish.name), None)
    wording, noun = pick(rng, wish.wordings), ""
    if "{np}" in wording and wish.nouns:
        both = twin is not None and low < abs(change[twin.name]) < high
        nouns = [pair[both] or pair[not both] for pair in wish.nouns]
        noun = pick(rng, ("the ", "the ", "your ", "")) + pick(rng, nouns)
        if both and twin is not None:
            compared.append(_comparison(twin, low, high))
    words = _filled(wording, noun, rng)
    return Said(f"{words} {size}".strip(), (), tuple(map(str, compared)))


def _amount(measure: Measure, far: float, rng: np.random.Generator) -> tuple[str, float, float]:
    """Words for how far something changed, and from where to where they would be right."""
    metres = unit_of(measure.of) == UNIT_METRES
    if rng.random() < NUMBER_RATE:
        number = f"{round(far * 100)} cm" if metres else f"{round(far)} degrees"
        spare = min(max(0.25 * far, 0.03 if metres else 6.0), 0.6 * far)
        return pick(rng, ("by ", "", "about ")) + number, far - spare, far + spare
    little, some, much = measure.by
    fits = {
        "little": (0.4 * little, some),
        "some": (0.5 * some, 1.7 * some),
        "much": (0.6 * much, np.inf),
    }
    sizes = [name for name, (low, high) in fits.items() if low < far < high] or ["some"]
    name = pick(rng, sizes)
    low, high = fits[name]
    words = "" if name == "some" and rng.random() < 0.8 else pick(rng, AMOUNTS[name])
    return words, min(low, 0.8 * far), max(high, 1.2 * far)


def _comparison(wish: Wish, low: float, high: float) -> Comparison:
    assert wish.measure is not None
    low, high = round(low, 3), round(high, 3)
    return Comparison(wish.measure.of, low, high) if wish.sign > 0 else Comparison(wish.measure.of, -high, -low)


def _filled(wording: str, noun: str, rng: np.random.Generator) -> str:
    """One of the ways to say "(put) {np} up|down"."""
    words, said = [], pick(rng, OPTIONAL_RATES)
    for word in wording.replace("{np}", "\0").split():
        if word.startswith("(") and rng.random() > said:
            continue
        words.append(pick(rng, word.strip("()").split("|")))
    text = re.sub(r" +", " ", " ".join(words)).replace("oneself", "yourself").strip()
    if rng.random() < ARTICLE_RATE:
        text = _BARE.sub(pick(rng, ("the ", "the ", "your ")), text)
    return text.replace("\0", noun)
