"""What numbers and degrees are said of: poses whose angle or distance is a given one, and how it is measured."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Fragment = dict[str, Any]  # keys and values of the pose language, of a limb without its side

LEG, HIP_WIDTH = 0.83, 0.22  # metres: hip to ankle of the straight leg, and between the ankles of legs that hang down


def between(first: str, second: str, degrees: float) -> str:
    """A direction of the pose language that is `degrees` from `first` towards `second`, which is square to it."""
    across = math.sin(math.radians(degrees))
    along = math.cos(math.radians(degrees))
    opposite = {"down": "up", "forward": "back"}
    first = first if along >= 0 else opposite[first]
    return f"{abs(along):.3f} {first} + {across:.3f} {second}"


def elbow(value: float, rng: np.random.Generator) -> Fragment:
    """Interior angle of the elbow."""
    upper = ("down + 0.15 out", "down + 0.15 out", "down + 0.15 out", "down + 0.3 forward + 0.1 out", "out", "forward")
    return {"arm": {"upper": upper[int(rng.integers(len(upper)))], "elbow": _around(value)}}


def squat(value: float, rng: np.random.Generator) -> Fragment:
    """Interior angle of both knees, feet under the body."""
    bent = 180 - value
    thigh, shin = between("down", "forward", 0.62 * bent), between("down", "back", 0.38 * bent)
    legs = {"legs": {"thigh": f"{thigh} + {0.1 + 0.003 * bent:.2f} out", "shin": shin, "knee": _around(value)}}
    return legs | {"feet": "flat", "trunk": {"bend": round(0.3 * bent)}}


def knee(value: float, rng: np.random.Generator) -> Fragment:
    """Interior angle of the knee of a lifted leg."""
    swing = max(52.0, 0.85 * (180 - value)) if value > 100 or rng.random() < 0.5 else 8.0
    return {"leg": {"thigh": between("down", "forward", min(swing, 88.0)), "knee": _around(value)}}


def knee_sitting(value: float, rng: np.random.Generator) -> Fragment:
    """Interior angle of the knee on a chair."""
    return {"leg": {"thigh": "forward + 0.1 out", "knee": _around(value)}}


def knee_lying(value: float, rng: np.random.Generator) -> Fragment:
    """Interior angle of the knee on the back, the foot on the floor."""
    half = (180 - value) / 2
    return {
        "leg": {
            "thigh": between("down", "forward", half),
            "shin": between("down", "back", half),
            "knee": _around(value),
        }
    }


def hips_bending(value: float, rng: np.random.Generator) -> Fragment:
    """Angle between trunk and thighs, standing with straight legs."""
    return {"trunk": {"bend": _around(180 - value)}, "legs": {"thigh": "down + 0.05 out", "knee": 176}, **_hanging()}


def hips_sitting(value: float, rng: np.random.Generator) -> Fragment:
    """Angle between trunk and thighs on a chair."""
    return {"trunk": {"bend": _around(90 - value)}}


def lean_forward(value: float, rng: np.random.Generator) -> Fragment:
    """Pitch of the trunk."""
    return {"trunk": {"bend": _around(value)}} | (_hanging() if value > 60 else {})


def lean_back(value: float, rng: np.random.Generator) -> Fragment:
    """Pitch of the trunk backwards."""
    return {"trunk": {"bend": _around(-value)}}


def lean_side(value: float, rng: np.random.Generator) -> Fragment:
    """Roll of the trunk to the left."""
    return {"trunk": {"side": _around(value), "bend": 0}}


def twist(value: float, rng: np.random.Generator) -> Fragment:
    """Turn of the shoulders against the hips, to the left."""
    return {"trunk": {"twist": _around(1.05 * value, 1)}, "root": {"turn": 0}}


def straight(limb: str, towards: str) -> Callable[[float, np.random.Generator], Fragment]:
    """Angle of a straight limb from where it hangs, towards a side."""
    return lambda value, rng: {limb: between("down", towards, value)}


def feet_apart(value: float, rng: np.random.Generator) -> Fragment:
    """Metres between the ankles, legs straight."""
    out = math.degrees(math.asin(max(-0.1, (value - HIP_WIDTH) / 2 / LEG)))
    return {"legs": {"thigh": between("down", "out", out).replace("+ -", "- "), "knee": 177}}


def legs_angle(value: float, rng: np.random.Generator) -> Fragment:
    """Degrees between straight legs."""
    return {"legs": {"thigh": between("down", "out", value / 2), "knee": 177}}


def hands_apart(value: float, rng: np.random.Generator) -> Fragment:
    """Metres between the wrists, in front."""
    # The wrists stay behind the palms: measured, the wrists are 0.08 + 0.85 times twice the offset apart.
    return {"hands": f"at in_front_of_chest + {max(0.0, (value - 0.085) / 0.845 / 2 - 0.02):.3f} out"}


def step(value: float, rng: np.random.Generator) -> Fragment:
    """Metres from the right foot forward to the left one."""
    swing = math.degrees(math.asin(value / 2 / LEG))
    return {
        "left_leg": {"thigh": between("down", "forward", swing), "knee": 176},
        "right_leg": {"thigh": between("down", "back", swing), "knee": 174},
        "right_foot": "tiptoe" if value > 0.5 else "flat",
    }


def body_turn(value: float, rng: np.random.Generator) -> Fragment:
    """Turn of the whole body to the left."""
    return {"root": {"turn": _around(value)}}


def head_turn(value: float, rng: np.random.Generator) -> Fragment:
    """Turn of the head against the chest, to the left."""
    return {"head": {"turn": _around(value), "nod": 2}}


def nod(value: float, rng: np.random.Generator) -> Fragment:
    """Chin down."""
    return {"head": {"nod": _around(value)}}


def head_back(value: float, rng: np.random.Generator) -> Fragment:
    """Chin up."""
    return {"head": {"nod": _around(-value)}}


def head_tilt(value: float, rng: np.random.Generator) -> Fragment:
    """Left ear towards the left shoulder."""
    return {"head": {"tilt": _around(value), "nod": 2}}


def _around(value: float, spread: float = 2.0) -> list[float]:
    return [round(value - spread, 1), round(value + spread, 1)]


def _hanging() -> Fragment:
    return {"arms": {"upper": "world down + 0.1 forward", "fore": "world down"}}


POSES: Mapping[str, Callable[[float, np.random.Generator], Fragment]] = {
    "elbow": elbow,
    "squat": squat,
    "knee": knee,
    "knee_sitting": knee_sitting,
    "knee_lying": knee_lying,
    "hips_bending": hips_bending,
    "hips_sitting": hips_sitting,
    "lean_forward": lean_forward,
    "lean_back": lean_back,
    "lean_side": lean_side,
    "twist": twist,
    "arm_side": straight("arm", "out"),
    "arm_front": straight("arm", "forward"),
    "arm_almost_up": straight("arm", "out"),
    "arm_back": straight("arm", "back"),
    "leg_front": straight("leg", "forward"),
    "leg_side": straight("leg", "out"),
    "leg_back": straight("leg", "back"),
    "legs_lying": straight("leg", "forward"),
    "feet_apart": feet_apart,
    "legs_angle": legs_angle,
    "hands_apart": hands_apart,
    "step": step,
    "body_turn": body_turn,
    "head_turn": head_turn,
    "nod": nod,
    "head_back": head_back,
    "head_tilt": head_tilt,
}
