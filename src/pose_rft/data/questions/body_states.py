"""Questions with yes or no: states of the body, one for every posecode that people would ask about."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from pose_rft.posescript.checks import compile_check
from pose_rft.posescript.measurements import Measurements
from pose_rft.posescript.posecodes import load_posecodes, load_statistics
from pose_rft.posescript.wording import is_plural, participle, words_of

CLEAR = 0.5  # of 20 degrees or 0.1 metres: by how much a state must hold or fail to be asked about
RAREST = 0.03  # posecodes that hold for fewer poses than this, or fail for fewer, are not asked about
ARM_RAISED = 0.23  # share of the CMU poses of docs/data.md that clearly hold one given hand above its shoulder


@dataclass(frozen=True)
class BodyState:
    """What can be asked about; `guards` are the parts of its check that only say when it applies."""

    topic: str
    check: str
    noun: str
    be: tuple[str, ...]
    plural: bool
    guards: tuple[str, ...]
    frequency: float


@cache
def body_states() -> tuple[BodyState, ...]:
    found = []
    for code, frequency in zip(load_posecodes(), load_statistics().frequency, strict=True):
        words = words_of(code)[0]
        posture = code.subject == "body"
        be = tuple(participle(act) for act in words.act if "{" not in act) if posture else words.be
        if not be or "turn()" in code.check or not RAREST <= frequency <= 1 - RAREST:
            continue
        noun = "person" if posture else words.nouns[0]
        parts = [] if " or " in code.check else code.check.split(" and ")
        guards = tuple(part for part in parts if part.startswith("lean()")) if len(parts) > 1 else ()
        plural = not posture and is_plural(code, noun)
        spoken = tuple(text.replace("{the}", "the") for text in be)
        found.append(BodyState(code.id, code.check, f"the {noun}", spoken, plural, guards, float(frequency)))
    for side in ("left", "right"):
        check, be = f"y({side}_wrist) > y({side}_shoulder) + 0.03", ("raised", "raised", "lifted")
        found.append(BodyState(f"{side}_arm.raised", check, f"the {side} arm", be, False, (), ARM_RAISED))
    return tuple(found)


def clear_states(joints: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Which states clearly hold, and which clearly fail though they apply: (N, S) bool each."""
    measured = Measurements(joints)
    holds, fails = [], []
    for state in body_states():
        margin = compile_check(state.check).margin(measured)
        applies = torch.ones(len(joints), dtype=torch.bool)
        for guard in state.guards:
            applies &= compile_check(guard).margin(measured) > CLEAR
        holds.append(margin > CLEAR)
        fails.append((margin < -CLEAR) & applies)
    return torch.stack(holds, 1).numpy(), torch.stack(fails, 1).numpy()
