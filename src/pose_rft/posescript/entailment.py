"""What follows from posecodes that are stated: another one holds, fails, or is left open.

Checks are compared and not poses. A check is read as bounds on measurements: "the left knee is sharply bent" bounds its
angle from above, so that it is bent, and not straight. What bounds do not tell is not guessed.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from math import inf

from pose_rft.posescript.mentions import code_of
from pose_rft.posescript.posecodes import load_statistics, posecode_index

Bounds = dict[str, tuple[float, float]]  # a sum of measurements -> more than, less than
Sum = tuple[Counter[str], float]  # how often each measurement is added, and a number
SWAPPED = {"ahead": -1, "distance": 1, "front": -1, "gap": 1, "left": -1, "up": -1}  # sign of quantity(b, a)
GUARD = "lean()"  # says when a state of a limb applies; whoever lies has no arms that are not raised
# What people say more loosely than its check does, and the beginnings of the ids that do not deny it.
LOOSE: dict[str, tuple[str, ...]] = {
    "left_knee.raised": ("",),
    "right_knee.raised": ("",),
    "feet.apart": ("feet.wide", "legs.split"),
    "feet.wide": ("feet.apart",),
    "feet.hip_wide": ("",),
    "feet.side_by_side_wide": ("",),
    "body.half_squat": ("body.squatting", "left_knee.fully_bent", "right_knee.fully_bent"),
    "body.kneeling": ("body.kneeling",),
    "body.standing_straight": ("body.standing", "left_foot", "right_foot"),
}
# Where a hand rests, from the head down: it is at one place and at none that is two steps away.
RESTS = {"on_head": 0, "on_belly": 2, "on_hip": 2, "on_lower_back": 2, "on_thigh": 3, "on_other_thigh": 3,
         "on_knee": 3, "on_other_knee": 3, "on_foot": 4, "on_other_foot": 4}  # fmt: skip
LIMBS = {
    "arm": {"shoulder", "upper_arm", "elbow", "forearm", "wrist", "hand"},
    "leg": {"hip", "thigh", "knee", "shin", "ankle", "foot"},
}


def follows(stated: Iterable[str], asked: str) -> bool | None:
    """Whether a posecode holds where others do.

    Args:
        stated: ids of posecodes that hold.
        asked: the id of another, or of one of them.

    Returns:
        True or False where it is certain, else None.
    """
    stated = tuple(stated)
    if asked in stated:
        return True
    wanted, known = bounds_of(asked), _all_bounds(stated)
    if wanted and all(_within(known.get(term, (-inf, inf)), bound) for term, bound in wanted.items()):
        return True
    return False if any(contradicts(one, asked) for one in stated) else None


@cache
def contradicts(stated: str, asked: str) -> bool:
    """Whether a posecode denies another: both cannot hold at once, and nobody would say both."""
    if stated.startswith(LOOSE.get(asked, ())):
        return False
    if _rest_apart(stated, asked):
        return True
    first, second = bounds_of(stated), bounds_of(asked)
    return any(_apart(first[term], second[term]) for term in first.keys() & second.keys() - {GUARD})


def _rest_apart(stated: str, asked: str) -> bool:
    """Whether one hand is said to rest at two places that are far from each other."""
    (hand, one), (other, place) = stated.split("."), asked.split(".")
    if hand != other or not hand.endswith("_hand") or not {one, place} <= RESTS.keys():
        return False
    return abs(RESTS[one] - RESTS[place]) >= 2


def left_open(stated: Iterable[str], asked: str) -> bool:
    """Whether nothing at all is stated of the arms and legs that a posecode is about."""
    stated = tuple(stated)
    column, implied = posecode_index()[asked], load_statistics().implied
    if any(column in implied[posecode_index()[one]] for one in stated):
        return False
    return bool(limbs_told(asked)) and not limbs_told(asked) & frozenset().union(*map(limbs_told, stated))


@cache
def limbs_told(name: str) -> frozenset[str]:
    """The arms and legs whose joints the check of a posecode measures: {"left arm", "right leg"}."""
    names = {node.id for node in ast.walk(ast.parse(code_of(name).check)) if isinstance(node, ast.Name)}
    return frozenset(
        f"{side} {limb}"
        for side in ("left", "right")
        for limb, parts in LIMBS.items()
        if names & {f"{side}_{part}" for part in parts}
    )


def bounds_of(name: str) -> Bounds:
    """The bounds that a posecode puts on measurements; none where its check says "or"."""
    return bounds_in(code_of(name).check)


@cache
def bounds_in(check: str) -> Bounds:
    """The bounds that a check puts on measurements; none where it says "or" or "either_side"."""
    tree, found = ast.parse(check, mode="eval").body, Bounds()
    if any(isinstance(node, ast.Or) for node in ast.walk(tree)) or isinstance(tree, ast.Call):
        return found
    for comparison in _conditions(tree):
        terms = [comparison.left, *comparison.comparators]
        for smaller, relation, larger in zip(terms[:-1], comparison.ops, terms[1:], strict=True):
            pair = (larger, smaller) if isinstance(relation, (ast.Gt, ast.GtE)) else (smaller, larger)
            for difference in _differences(*pair):
                term, bound = _bound(difference)
                found[term] = _tighter(found.get(term, (-inf, inf)), bound)
    return found


def _conditions(tree: ast.expr) -> Iterator[ast.Compare]:
    for value in tree.values if isinstance(tree, ast.BoolOp) else [tree]:
        if isinstance(value, ast.BoolOp):
            yield from _conditions(value)
        else:
            assert isinstance(value, ast.Compare)
            yield value


def exclude(one: str, other: str) -> bool:
    """Whether two checks cannot hold at once, as their bounds tell."""
    first, second = bounds_in(one), bounds_in(other)
    return any(_apart(first[term], second[term]) for term in first.keys() & second.keys())


def _differences(smaller: ast.expr, larger: ast.expr) -> Iterator[Sum]:
    """The sums that are below 0 where `smaller` is below `larger`; max(a, b) < c says that of a and of b."""
    for part, other, function, sign in ((smaller, larger, "max", 1), (larger, smaller, "min", -1)):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in (function, "abs"):
            values = [(_sum(value), sign) for value in part.args]
            if part.func.id == "abs" and sign == 1:
                values.append((values[0][0], -1))
            elif part.func.id == "abs":
                continue
            for value, direction in values:
                yield _added((value, direction), (_sum(other), -sign))
            return
    yield _added((_sum(smaller), 1), (_sum(larger), -1))


def _added(*parts: tuple[Sum, int]) -> Sum:
    """The sum of sums, each with a factor."""
    terms: Counter[str] = Counter()
    for (each, _), factor in parts:
        for term, times in each.items():
            terms[term] += factor * times
    return terms, sum(factor * number for (_, number), factor in parts)


def _sum(node: ast.expr) -> Sum:
    """An expression as a sum; what is no sum, such as min(a, b), counts as one measurement."""
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, (int, float))
        return Counter(), float(node.value)
    if isinstance(node, ast.UnaryOp):
        return _added((_sum(node.operand), -1))
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        return _added((_sum(node.left), 1), (_sum(node.right), 1 if isinstance(node.op, ast.Add) else -1))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SWAPPED and node.args[1:]:
        names = [ast.unparse(argument) for argument in node.args]
        sign = 1 if names == sorted(names) else SWAPPED[node.func.id]
        return Counter({f"{node.func.id}({', '.join(sorted(names))})": sign}), 0.0
    return Counter({ast.unparse(node): 1}), 0.0


def _bound(difference: Sum) -> tuple[str, tuple[float, float]]:
    """A sum below 0 as a bound on its measurements; the first of them is not subtracted."""
    terms, number = difference
    named = sorted((term, times) for term, times in terms.items() if times)
    sign = 1 if named[0][1] > 0 else -1
    text = " + ".join(f"{sign * times} {term}" if times != sign else term for term, times in named)
    return text, (-inf, -number) if sign > 0 else (number, inf)


def _all_bounds(stated: Iterable[str]) -> Bounds:
    known = Bounds()
    for name in stated:
        for term, bound in bounds_of(name).items():
            known[term] = _tighter(known.get(term, (-inf, inf)), bound)
    return known


def _tighter(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return max(one[0], other[0]), min(one[1], other[1])


def _within(inner: tuple[float, float], outer: tuple[float, float]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[1] <= other[0] or other[1] <= one[0]
