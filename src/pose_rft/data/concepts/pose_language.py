"""The pose language: a pose written down in words and a few numbers, as people describe it to one another.

docs/data.md is the reference for writers. This file turns the YAML of one pose into a `PoseSpec`; `procedural.py` turns
a `PoseSpec` into poses. Every mistake raises `UserError` with the words that are wrong.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pose_rft.data.concepts.landmarks import LANDMARKS
from pose_rft.errors import UserError
from pose_rft.storage import package_table

DIRECTION_WORDS = ("up", "down", "forward", "back", "out", "in", "left", "right")
FOOT_MODES = ("auto", "flat", "relax", "point", "flex", "tiptoe", "tucked")
NUMBERS = {
    "trunk": ("bend", "side", "twist", "curl"), "head": ("nod", "turn", "tilt", "push"),
    "root": ("pitch", "roll", "turn"),
}  # fmt: skip
SIDED_NUMBERS = {  # change sign in a mirror
    ("trunk", "side"), ("trunk", "twist"), ("head", "turn"), ("head", "tilt"), ("root", "roll"), ("root", "turn"),
}  # fmt: skip
NUMBER_LIMITS = {  # human ranges, degrees
    ("trunk", "bend"): (-75, 150), ("trunk", "side"): (-50, 50), ("trunk", "twist"): (-60, 60),
    ("trunk", "curl"): (0, 50), ("head", "nod"): (-60, 55), ("head", "turn"): (-75, 75),
    ("head", "tilt"): (-40, 40), ("head", "push"): (0, 45),
}  # fmt: skip
PAIRS = {
    "arms": "arm", "hands": "hand", "palms": "palm", "wrists": "wrist", "shoulders": "shoulder",
    "legs": "leg", "feet": "foot",
}  # fmt: skip
ARM_NUMBERS = {"wrist": (-70, 75), "shoulder": (0, 25)}  # human ranges, degrees
_SIDED_KEYS = (f"{side}_{limb}" for side in ("left", "right") for limb in PAIRS.values())
POSE_KEYS = {"base", "vary", "off_balance", *NUMBERS, *PAIRS, *_SIDED_KEYS}

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Direction:
    """A weighted sum of direction words, in the torso's frame or the world's (gravity and the body's heading)."""

    terms: tuple[tuple[float, float, str], ...]  # (lowest weight, highest weight, word)
    world: bool = False


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a hand or a foot goes: a landmark, an offset in metres, and where elbow or knee points."""

    landmark: str  # a key of LANDMARKS
    side: str  # "left", "right" or "" for landmarks on the midline
    offset: Direction | None = None
    pole: Direction | None = None


@dataclass(frozen=True, slots=True)
class Limb:
    """An arm or a leg: directions of its two bones, or a target for its end."""

    upper: Direction | None = None
    lower: Direction | str | None = None  # a direction or "straight"
    angle: Span | None = None  # interior angle at the elbow or knee, degrees; 180 = straight
    reach: Reach | None = None
    palm: Direction | None = None
    wrist: float = 0.0  # degrees by which the hand is bent back, below 0 towards the palm
    shoulder: float = 0.0  # degrees by which the shoulder is pulled up beyond what the arm needs
    foot: str = "auto"


@dataclass(frozen=True, slots=True)
class PoseSpec:
    """One pose with its natural variation; what `procedural.sample_poses` samples from.

    Attributes:
        base: name of the stance.
        numbers: (group, name) -> lowest and highest value in degrees, or one value twice (then noise is added).
        look: what the face is turned to: a direction, a hand's side ("left"/"right"), or None.
        limbs: left_arm, right_arm, left_leg, right_leg.
        vary: factor on all default noise.
        level: both feet stand on the floor, so that ankle heights are made equal.
        off_balance: the body moves, leans on or hangs from something, so its weight need not be over the feet.
        fixed: limbs and groups ("trunk", "head", "root") that the writer set, as opposed to the stance's defaults.
        arms_free: whether the stance leaves the arms free for something else.
    """

    base: str
    numbers: Mapping[tuple[str, str], Span]
    limbs: Mapping[str, Limb]
    look: Direction | str | None = None
    vary: float = 1.0
    level: bool = False
    off_balance: bool = False
    fixed: frozenset[str] = frozenset()
    arms_free: bool = True


_TERM = re.compile(r"(?P<lo>\d*\.?\d+)?(?:\.\.(?P<hi>\d*\.?\d+))?\s*(?P<word>[a-z]+)$")


def parse_direction(text: object) -> Direction:
    """Parse "forward + 0.3 up", "world down - 0.1..0.3 out".

    Weights are relative for directions and metres for offsets; `lo..hi` draws the weight anew for every sample.
    """
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"a direction is words such as 'forward + 0.3 up', not {text!r}")
    words = text.strip()
    world = words.startswith("world ")
    words = words.removeprefix("world ")
    terms = []
    for piece in re.findall(r"[+-]?[^+-]+", words):
        sign = -1.0 if piece.startswith("-") else 1.0
        match = _TERM.match(piece.lstrip("+-").strip())
        if match is None or match["word"] not in DIRECTION_WORDS:
            raise UserError(
                f"cannot read {piece.strip()!r} in direction {text!r}; words are {', '.join(DIRECTION_WORDS)}"
            )
        low = float(match["lo"] or 1.0)
        high = float(match["hi"] or low)
        if high < low:
            raise UserError(f"range {low}..{high} runs backwards in {text!r}")
        terms.append((min(sign * low, sign * high), max(sign * low, sign * high), match["word"]))
    return Direction(tuple(terms), world)


def parse_landmark(name: str, own_side: str) -> tuple[str, str]:
    """Landmark and side of a name: "left_knee", "chin", or relative to `own_side` "knee", "own_knee", "other_knee"."""
    sides = {"left": "left", "right": "right", "own": own_side, "other": "right" if own_side == "left" else "left"}
    prefix, _, rest = name.partition("_")
    if prefix in sides and rest in LANDMARKS and LANDMARKS[rest].sided:
        return rest, sides[prefix]
    if name in LANDMARKS:
        return name, own_side if LANDMARKS[name].sided else ""
    known = ", ".join(LANDMARKS)
    raise UserError(
        f"unknown landmark {name!r}; known (with left_, right_, own_ or other_ where there are two): {known}"
    )


def parse_reach(text: str, own_side: str, pole: object = None) -> Reach:
    """Parse "at left_hip", "at in_front_of_chest + 0.1 up - 0.05..0.1 forward"."""
    match = re.match(r"at\s+(?P<name>[a-z_]+)\s*(?P<offset>[+-].*)?$", text.strip())
    if match is None:
        raise UserError(f"a target is 'at LANDMARK' or 'at LANDMARK + 0.1 up', not {text!r}")
    landmark, side = parse_landmark(match["name"], own_side)
    offset = None
    if match["offset"]:
        # Keep a leading minus with its term; a leading plus is only the separator.
        offset = parse_direction(match["offset"].removeprefix("+").strip())
    return Reach(landmark, side, offset, None if pole is None else parse_direction(pole))


def parse_span(value: object) -> Span:
    """30 -> (30, 30); [20, 40] -> (20, 40)."""
    if isinstance(value, bool):
        raise UserError(f"expected a number or [low, high], not {value!r}")
    if isinstance(value, int | float):
        return float(value), float(value)
    if (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, int | float) for v in value)
        and value[0] <= value[1]
    ):
        return float(value[0]), float(value[1])
    raise UserError(f"expected a number or [low, high], not {value!r}")


def swap_sides(text: str) -> str:
    """Exchange "left" and "right" in words and names, but not in "right angle": "left_hip" -> "right_hip"."""
    swap = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    return re.sub(r"(?<![A-Za-z])(left|right|Left|Right)(?![a-z]|[ -]angle)", lambda m: swap[m[1]], text)


def mirrored(pose: Any) -> Any:
    """The YAML of a pose with left and right exchanged."""
    result = {}
    for key, value in pose.items():
        if key in NUMBERS and isinstance(value, Mapping):
            value = {
                name: _negated(v) if (key, name) in SIDED_NUMBERS else (swap_sides(v) if isinstance(v, str) else v)
                for name, v in value.items()
            }
        elif isinstance(value, Mapping):
            value = {name: swap_sides(v) if isinstance(v, str) else v for name, v in value.items()}
        elif isinstance(value, str):
            value = swap_sides(value)
        result[swap_sides(key)] = value
    return result


def _negated(value: Any) -> Any:
    return [-value[1], -value[0]] if isinstance(value, list) and len(value) == 2 else -value


def expanded(pose: Mapping[str, Any]) -> dict[str, Any]:
    """Write `arms: x` as `left_arm: x` and `right_arm: x`, and so on; a sided key beside it wins."""
    result: dict[str, Any] = {}
    for key, value in pose.items():
        if key in PAIRS:
            for side in ("left", "right"):
                result.setdefault(f"{side}_{PAIRS[key]}", value)
        else:
            result[key] = value
    for key in list(pose):
        if key not in PAIRS:
            result[key] = pose[key]
    return result


def alike(left: Limb, right: Limb) -> bool:
    """Whether both limbs of a pair are told the same, each for its own side."""
    if right.reach is not None:
        other = {"left": "right", "right": "left"}.get(right.reach.side, right.reach.side)
        right = replace(right, reach=replace(right.reach, side=other))
    return left == right


@cache
def load_bases() -> dict[str, dict[str, Any]]:
    """The stances of stances.yaml, with the mirrored twin of each name that holds "left"."""
    table = package_table(__package__, "stances.yaml")
    for name in list(table):
        if "left" in name:
            entry = table[name]
            table[swap_sides(name.replace("_", " ")).replace(" ", "_")] = {**entry, "pose": mirrored(entry["pose"])}
    return table


def parse_pose(pose: object) -> PoseSpec:
    """Turn the YAML of one pose into a `PoseSpec`.

    Raises:
        UserError: naming the key and the words that are wrong.
    """
    if not isinstance(pose, Mapping):
        raise UserError(f"a pose is a mapping such as {{base: stand, left_hand: at left_hip}}, not {pose!r}")
    unknown = sorted(set(map(str, pose)) - POSE_KEYS)
    if unknown:
        raise UserError(f"unknown key {unknown[0]!r}; keys are {', '.join(sorted(POSE_KEYS))}")
    name = pose.get("base", "stand")
    bases = load_bases()
    if name not in bases:
        raise UserError(f"unknown base {name!r}; bases are {', '.join(sorted(bases))}")
    entry = bases[name]
    own, stance = expanded(pose), expanded(entry["pose"])

    numbers = {}
    for group, names in NUMBERS.items():
        given = {**_group(stance, group), **_group(own, group)}
        extra = sorted(set(given) - set(names) - ({"look"} if group == "head" else set()))
        if extra:
            raise UserError(f"{group}: unknown {extra[0]!r}; it has {', '.join(names)}")
        for number in names:
            if number in given:
                try:
                    numbers[group, number] = _within(parse_span(given[number]), group, number)
                except UserError as error:
                    raise UserError(f"{group}.{number}: {error}") from None
    look_text = _group(own, "head").get("look", None if _group(own, "head") else _group(stance, "head").get("look"))
    look = _parse_look(look_text)

    limbs, fixed = {}, {group for group in NUMBERS if group in own}
    for side in ("left", "right"):
        for limb, end, extra_key in (("arm", "hand", "palm"), ("leg", "foot", "")):
            keys = [f"{side}_{limb}", f"{side}_{end}"]
            if any(key in own for key in keys):
                fixed.add(keys[0])
            try:
                parsed = _parse_limb(side, limb, own, stance, f"{side}_{extra_key}" if extra_key else None)
                if limb == "arm":
                    wrist, shoulder = (_arm_number(own, side, name) for name in ARM_NUMBERS)
                    parsed = replace(parsed, wrist=wrist, shoulder=shoulder)
                limbs[keys[0]] = parsed
            except UserError as error:
                raise UserError(f"{side}_{limb}: {error}") from None
    for side, other in (("left", "right"), ("right", "left")):
        reach, back = limbs[f"{side}_arm"].reach, limbs[f"{other}_arm"].reach
        if reach and LANDMARKS[reach.landmark].of_arm and reach.side == side:
            raise UserError(f"{side}_hand cannot go to its own arm")
        if reach and back and LANDMARKS[reach.landmark].of_arm and LANDMARKS[back.landmark].of_arm:
            raise UserError(
                "left_hand and right_hand cannot both go to the other arm; give one of them a place in space"
            )
    vary = parse_span(pose.get("vary", 1.0))[0]
    if not 0 <= vary <= 3:
        raise UserError(f"vary is a factor from 0 to 3, not {vary:g}")
    off_balance = pose.get("off_balance", entry.get("off_balance", False))
    if not isinstance(off_balance, bool):
        raise UserError(f"off_balance is true or false, not {off_balance!r}")
    return PoseSpec(
        base=name,
        numbers=numbers,
        limbs=limbs,
        look=look,
        vary=vary * float(entry.get("vary", 1.0)),
        level=bool(entry.get("level", False)) and not fixed & {"left_leg", "right_leg"},
        off_balance=off_balance,
        fixed=frozenset(fixed),
        arms_free=bool(entry.get("arms_free", True)),
    )


def _arm_number(own: Mapping[str, Any], side: str, name: str) -> float:
    value = own.get(f"{side}_{name}", 0.0)
    low, high = ARM_NUMBERS[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UserError(f"{side}_{name} is a number of degrees from {low} to {high}, not {value!r}")
    return float(value)


def _within(span: Span, group: str, number: str) -> Span:
    low, high = NUMBER_LIMITS.get((group, number), (-360, 360))
    if not low <= span[0] <= span[1] <= high:
        raise UserError(f"{span[0]:g} to {span[1]:g} degrees is outside {low} to {high}, the human range")
    return span


def _group(pose: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = pose.get(key, {})
    if not isinstance(value, Mapping):
        raise UserError(f"{key} is a mapping such as {{{NUMBERS[key][0]}: 20}}, not {value!r}")
    return value


def _parse_look(text: object) -> Direction | str | None:
    if text is None:
        return None
    if isinstance(text, str) and text.strip() in ("at left_hand", "at right_hand"):
        return text.strip().removeprefix("at ").removesuffix("_hand")
    return parse_direction(text)


def _parse_limb(side: str, limb: str, own: Mapping[str, Any], stance: Mapping[str, Any], palm_key: str | None) -> Limb:
    """Merge the writer's limb with the stance's: the writer's target or directions replace the stance's altogether."""
    bone_key, end_key = f"{side}_{limb}", f"{side}_{'hand' if limb == 'arm' else 'foot'}"
    upper_name, lower_name, joint = ("upper", "fore", "elbow") if limb == "arm" else ("thigh", "shin", "knee")

    def is_target(value: object) -> bool:
        return isinstance(value, Mapping) or (isinstance(value, str) and value.strip().startswith("at "))

    bones, end = own.get(bone_key), own.get(end_key)
    stance_end = stance.get(end_key)
    if bones is not None and end is not None and is_target(end):
        raise UserError(f"give either {bone_key} or {end_key}: at ..., not both")
    foot = "auto"
    if limb == "leg" and isinstance(stance_end, str) and not is_target(stance_end):
        foot, stance_end = stance_end, None
    if limb == "leg" and isinstance(end, str) and not is_target(end):
        foot, end = end, None
        if foot not in FOOT_MODES:
            raise UserError(f"{end_key}: unknown {foot!r}; it is 'at LANDMARK' or one of {', '.join(FOOT_MODES)}")
    if bones is None and end is None:
        bones, end = stance.get(bone_key), stance_end
    palm = own.get(palm_key) if palm_key else None
    palm_direction = None if palm is None else parse_direction(palm)

    if end is not None:
        text, pole = (end, None) if isinstance(end, str) else (end.get("at"), end.get(joint))
        if not isinstance(end, str):
            unknown = sorted(set(end) - {"at", joint})
            if unknown or text is None:
                raise UserError(
                    f"{end_key} is 'at LANDMARK' or {{at: LANDMARK, {joint}: DIRECTION}}, not {dict(end)!r}"
                )
            text = text if str(text).startswith("at ") else f"at {text}"
        if not isinstance(text, str):
            raise UserError(f"{end_key} is 'at LANDMARK', not {text!r}")
        return Limb(reach=parse_reach(text, side, pole), palm=palm_direction, foot=foot)
    if bones is None:
        return Limb(palm=palm_direction, foot=foot)
    if isinstance(bones, str):
        return Limb(upper=parse_direction(bones), lower="straight", palm=palm_direction, foot=foot)
    if not isinstance(bones, Mapping):
        raise UserError(f"expected a direction or {{{upper_name}: ..., {lower_name}: ...}}, not {bones!r}")
    unknown = sorted(set(bones) - {upper_name, lower_name, joint})
    if unknown:
        raise UserError(f"unknown {unknown[0]!r}; it has {upper_name}, {lower_name}, {joint}")
    if upper_name not in bones:
        raise UserError(f"{upper_name} is missing")
    lower = bones.get(lower_name)
    return Limb(
        upper=parse_direction(bones[upper_name]),
        lower="straight" if lower == "straight" else None if lower is None else parse_direction(lower),
        angle=None if joint not in bones else _bendable(parse_span(bones[joint]), joint),
        palm=palm_direction,
        foot=foot,
    )


def _bendable(span: Span, joint: str) -> Span:
    if not 15 <= span[0] <= span[1] <= 180:
        raise UserError(
            f"{joint} is an interior angle from 15 (folded) to 180 (straight), not {span[0]:g} to {span[1]:g}"
        )
    return span
