"""What pieces said of a limb mean: "raise", "slight" of the left arm is a check (``grammar.yaml``).

Pieces of one clause are looked up together: first all of them, then those of each rule, the most specific rule first.
Places ("at shoulder height", "on the other knee", "above the head") are put together from what is placed and where.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from pose_rft.posescript.checks import mirrored, tightened
from pose_rft.posescript.facts import ACUTE, LOOSE_DEGREES, LOOSE_METRES, Fact, nearer
from pose_rft.posescript.phrases import ANGLE, CLOCK, FLEXION, LENGTH, SHARE, Piece, grammar_table

HINGES = {
    "elbow": "left_elbow",
    "arm": "left_elbow",
    "hand": "left_elbow",
    "palm": "left_elbow",
    "knee": "left_knee",
    "leg": "left_knee",
}
PAIRED = {
    "foot": "feet", "leg": "feet", "knee": "knees", "thigh": "thighs", "hand": "hands", "palm": "hands", "arm": "arms",
    "elbow": "elbows", "heel": "heels", "toe": "toes", "forearm": "arms", "shoulder": "shoulders",
    "sole": "feet", "shin": "feet",
}  # fmt: skip
ENDS = {
    "arm": "left_wrist", "hand": "left_wrist", "palm": "left_wrist", "forearm": "left_wrist", "elbow": "left_elbow",
    "upper_arm": "left_elbow",
    "knee": "left_knee", "thigh": "left_knee", "leg": "left_ankle", "shin": "left_ankle", "foot": "left_ankle",
    "heel": "left_heel", "toe": "left_toes", "sole": "left_ankle", "head": "head", "chin": "head", "face": "face",
    "hips": "pelvis", "shoulder": "left_shoulder", "hip": "left_hip",
}  # fmt: skip
TOUCHING = {
    "arm": "left_hand", "hand": "left_hand", "palm": "left_hand", "forearm": "left_forearm", "elbow": "left_elbow",
    "foot": "left_foot", "upper_arm": "left_upper_arm", "knee": "left_knee", "thigh": "left_thigh", "leg": "left_shin",
    "shin": "left_shin", "heel": "left_foot", "toe": "left_foot", "sole": "left_foot",
    "head": "head", "face": "head", "chin": "head",
}  # fmt: skip
OF_THE_ARM = {"hand", "forearm", "elbow", "upper_arm", "shoulder"}  # a hand touches those of the other arm
OF_THE_LEG = {"left_foot", "left_knee", "left_thigh", "left_shin"}
OTHER_WORDS = {
    "torso": {"bend": "lean", "tilt": "lean", "turn": "twist"},
    "body": {"bend": "lean", "tilt": "lean"},
    "back": {"bend": "lean", "tilt": "lean", "turn": "twist"},
    "self": {"bend": "lean", "tilt": "lean"},
    "lunge": {"fwd": "lunge"},
    "folded": {"fwd": "fold"},
    "head": {"lean": "tilt", "twist": "turn", "look": "turn", "bend": "tilt"},
    "face": {"lean": "tilt", "twist": "turn", "look": "turn", "point": "turn"},
    "chin": {"lean": "tilt", "twist": "turn", "look": "turn", "point": "turn"},
    "shoulders": {"twist": "turn"},
    "arm": {"air": "up"},
    "hand": {"air": "up"},
    "knee": {"air": "up"},
}
MOVES = {"raise", "up", "lower", "down", "tuck", "high", "low", "hang", "nod", "tilt"}
GRADES = {"slight", "barely", "half", "almost", "much", "full", ANGLE, LENGTH, SHARE, CLOCK}
MEASURED = {"slight", "barely", "much", "almost"}  # say nothing beside an amount
DEGREES_OF_PLACES = {"slight", "barely", "much", "full", "dead", "almost"}  # "well above the head" is above it
HEIGHTS = {"above_h", "below_h", "at:shoulder", "above:shoulder", "below:shoulder", "above:head"}
JUST = {"slight", "barely"}
SWAPPED = {"left": "right", "right": "left"}
CONTACT, NEARBY, SLACK, LEVEL = 0.05, 0.16, 0.07, 0.11  # metres
CLEARLY = 0.12  # metres by which a limb is made higher than its twin
STIFF = {"left_shoulder", "left_hip"}  # which hardly are
PALM_REACHES = {"knee": 0.14, "elbow": 0.13, "shoulder": 0.16, "ankle": 0.14}  # metres from a joint that is held


class _Said(NamedTuple):
    """A check as loosely as people mean it, and in the middle of what they may mean."""

    check: str
    aim: str


class _Rule:
    """What some pieces together say.

    Attributes:
        pieces: their names.
        alone: nothing else may be said beside them.
        says: of the left limb.
        of_one: it compares a limb with its twin, so it cannot be said of both.
    """

    def __init__(self, key: str, says: str) -> None:
        self.alone = key.startswith("=")
        self.pieces = frozenset(key.removeprefix("=").split())
        self.says = tuple(_said(each.strip()) for each in says.split(" ; ") if each)
        self.of_one = "left_" in says and "right_" in says and "gap" not in says


def _said(says: str) -> _Said:
    """ "CHECK >> AIM", or an aim that people mean more loosely."""
    if ">>" in says:
        check, aim = says.split(">>")
        return _Said(check.strip(), aim.strip())
    if "{" in says:
        return _Said(says, says)
    return _Said(tightened(says, -LOOSE_DEGREES, -LOOSE_METRES), says)


@cache
def _rules() -> dict[str, list[_Rule]]:
    """Of every limb, those of most pieces first."""
    found: dict[str, list[_Rule]] = {}
    for entry in grammar_table()["rules"]:
        rules = [_Rule(str(key), says) for key, says in entry["says"].items()]
        for limb in entry["of"].split():
            found.setdefault(limb, []).extend(rules)
    return {limb: sorted(rules, key=lambda rule: (-rule.alone, -len(rule.pieces))) for limb, rules in found.items()}


@cache
def _weak() -> frozenset[str]:
    return frozenset(grammar_table()["weak"].split())


def facts_of(limb: str, sides: Sequence[str], pieces: Sequence[Piece]) -> tuple[Fact, ...]:
    """What one clause says of a limb.

    Args:
        limb: its kind, e.g. "knee".
        sides: "left", "right", both, or none where it has no side.
        pieces: of the clause.

    Returns:
        Its facts; none where a piece is not understood of this limb.
    """
    names = frozenset(name for piece in pieces for name in piece.names)
    values = tuple((mark, piece.value) for piece in pieces for mark in piece.names if piece.value is not None)
    return _facts(limb, tuple(sides), names, values) if names else ()


@lru_cache(maxsize=16384)
def _facts(
    limb: str, sides: tuple[str, ...], names: frozenset[str], values: tuple[tuple[str, float], ...]
) -> tuple[Fact, ...]:
    amounts = {ANGLE if mark == FLEXION else mark: value for mark, value in values}
    if len(amounts) != len(values):
        return ()
    bends = FLEXION in names
    names = frozenset(OTHER_WORDS.get(limb, {}).get(name, ANGLE if name == FLEXION else name) for name in names)
    if amounts:
        names -= MEASURED
    if "almost" in names and any(name.startswith(("on:", "near:")) for name in names):
        names = frozenset(re.sub("^on:", "near:", name) for name in names - {"almost"})
    whole, left = _consumed(PAIRED.get(limb, "") if len(sides) == 2 else "", names, False)
    found: list[tuple[str, _Said]] = [("", said) for said in whole]
    rest: frozenset[str] = left
    for side in sides or ("",):
        own = frozenset(map(_mirror_name, left)) if side == "right" else left
        each, rest = _consumed(limb, own, len(sides) == 2)
        for place in sorted(name for name in rest if ":" in name):
            if said := _placed(limb, place, amounts.get(LENGTH), rest):
                each.append(said)
                rest -= {place, *((LENGTH,) if "{L}" in said.aim else ()), *DEGREES_OF_PLACES}
        if rest - _weak() - MOVES:
            return ()
        found += [(side, said) for said in each]
    facts = []
    for side, said in found:
        check, aim = (_filled(text, limb, bends, amounts) for text in said)
        fact = Fact(check, aim=nearer(check) if aim == check else aim)
        facts.append(fact.of_the_other_side() if side == "right" else fact)
    return tuple(facts)


def _consumed(limb: str, names: frozenset[str], both: bool) -> tuple[list[_Said], frozenset[str]]:
    """What the rules of a limb say of pieces, and the pieces that are left."""
    says: list[_Said] = []
    graded = False
    called = {name: name for name in names} | {name.rpartition(":")[0]: name for name in names if ":" in name}
    for rule in _rules().get(limb, ()):
        used = {called[piece] for piece in rule.pieces if piece in called}
        if len(used) < len(rule.pieces) or (rule.alone and used != names) or (both and rule.of_one):
            continue
        measured = LENGTH in called and LENGTH not in rule.pieces and any(":" in piece for piece in rule.pieces)
        raised = rule.pieces & MOVES and rule.pieces & GRADES and not rule.pieces & HEIGHTS and called.keys() & HEIGHTS
        if measured or raised or (graded and rule.pieces <= MOVES):
            continue  # "20 cm above"; "slightly above"; lifted 5 cm is not lifted high
        if not rule.says:
            return [], names  # not understood
        says += rule.says
        graded |= bool(rule.pieces & GRADES)
        called = {piece: name for piece, name in called.items() if name not in used}
    return says, frozenset(called.values())


def _mirror_name(name: str) -> str:
    """left <-> right, also of a place: on:knee:left"""
    relation, _, side = name.rpartition(":")
    swapped = SWAPPED.get(side, side)
    return f"{relation}:{swapped}" if relation else swapped


def _filled(check: str, limb: str, bends: bool, amounts: Mapping[str, float]) -> str:
    """With its amounts."""
    angle = amounts.get(ANGLE)
    if check == "{N}" and angle is not None:
        joint = HINGES[limb]
        if bends:
            return f"abs(angle({joint}) - {180 - angle:g}) < 15"
        if angle < ACUTE:
            return f"abs(abs(angle({joint}) - 90) - {90 - angle:g}) < 15"
        return f"abs(angle({joint}) - {angle:g}) < 15"
    for mark, value in amounts.items():
        check = check.replace(f"{{{mark}}}", f"{value:g}")
    return check


def _placed(limb: str, place: str, length: float | None, beside: frozenset[str]) -> _Said | None:
    """What a place says of the left limb beside other pieces, or None."""
    relation, name, side = place.split(":")
    target, end = grammar_table()["targets"][name], ENDS.get(limb, "")
    if relation in {"at", "above", "below"} and end and name != "body":
        return _at_height(end, relation, name, target, length, beside)
    if name == "foot" and limb in PAIRED and PAIRED[limb] in {"feet", "heels", "toes"} and not side:
        return None  # the foot on its toes
    if limb in PAIRED and TOUCHING.get(limb, "") in OF_THE_LEG and name in {"back", "body"}:
        return None  # legs raised, lying on the back
    gaps = _gaps(limb, target, name, side) if relation in {"on", "near"} and limb in TOUCHING else ""
    if not gaps:
        return None
    if length is not None:
        return _Said(f"abs({gaps} - {{L}}) < 0.12", f"abs({gaps} - {{L}}) < 0.12")
    least = CONTACT if relation == "on" else NEARBY
    palm = _palm_at(limb, name, side) if relation == "on" else ""
    return _Said(f"{gaps} < {least + SLACK:g}", f"{gaps} < {least}{palm}")


def _palm_at(limb: str, name: str, side: str) -> str:
    """That the palm, and not the fingers alone, is where a hand is put."""
    if TOUCHING[limb] != "left_hand" or name not in PALM_REACHES:
        return ""
    side = side or ("other" if name == "elbow" else "any")
    sides = ["left", "right"] if side == "any" else [{"own": "left", "other": "right"}.get(side, side)]
    away = ", ".join(f"distance(left_palm, {each}_{name})" for each in sides)
    nearest = away if len(sides) == 1 else f"min({away})"
    return f" and {nearest} < {PALM_REACHES[name]}"


def _at_height(
    end: str, relation: str, name: str, target: dict, length: float | None, beside: frozenset[str]
) -> _Said | None:
    height = target["y"]
    if name == "one" or f"y({end})" == height:  # the left hand higher than the other; at the height of the hand
        height = f"y({end})"
        if not end.startswith("left_"):
            return None
        height = mirrored(f"{height} > 0").removesuffix(" > 0")
    if name == "floor":
        return None
    if relation == "at" and "almost" in beside:
        return _under(end, height)
    if relation == "at":
        return _Said(*(f"abs(y({end}) - ({height})) < {slack}" for slack in (2 * LEVEL, LEVEL)))
    top = height if name == "one" else target.get("top", height)
    if length is not None:
        sign = "-" if relation == "above" else "+"
        exactly = f"abs(y({end}) - ({top if relation == 'above' else height}) {sign} {{L}}) < 0.12"
        return _Said(exactly, exactly)
    if "almost" in beside:
        return None
    if beside & JUST:
        return _between(end, top, -0.03, 0.3, 0.03, 0.18) if relation == "above" else _under(end, height)
    above, below = (CLEARLY, CLEARLY) if name == "one" and end not in STIFF else (0.04, 0.05)
    if relation == "above":
        return _Said(f"y({end}) > {height} - 0.03", f"y({end}) > {top} + {above}")
    return _Said(f"y({end}) < {height} + 0.03", f"y({end}) < {height} - {below}")


def _between(end: str, height: str, least: float, most: float, low: float, high: float) -> _Said:
    """So much over a height as people mean it, and as a pose is made to be."""
    return _Said(*(f"{a} < y({end}) - ({height}) < {b}" for a, b in ((least, most), (low, high))))


def _under(end: str, height: str) -> _Said:
    """A little under a height."""
    return _between(end, height, -0.33, 0.04, -0.2, -0.05)


def _gaps(limb: str, target: dict, name: str, side: str) -> str:
    """The smallest distance of what touches to the target."""
    own = TOUCHING[limb]
    parts = list(target["gap"])
    if name in OF_THE_ARM and limb in {"arm", "hand", "palm", "forearm"} and not side:
        side = "other" if name != "shoulder" else ""
    swapped = [part.replace("left_", "right_") for part in parts]
    if target.get("sided"):
        if side in {"right", "other"}:
            parts = swapped
        elif side not in {"left", "own"}:
            parts = [*parts, *swapped]
    gaps = [f"gap({own}, {part})" for part in dict.fromkeys(parts) if part != own]
    return "" if not gaps else gaps[0] if len(gaps) == 1 else f"min({', '.join(gaps)})"
