"""What can be said of a pose: all that questions with a truth ask about, and whether it holds."""

from functools import cache

import numpy as np
from torch import Tensor

from pose_rft.data.questions.attributes import Attribute
from pose_rft.data.questions.body_states import body_states, clear_states
from pose_rft.data.questions.side_comparisons import SIDE_COMPARISONS, SIDES, true_sides
from pose_rft.posescript.posecodes import exchange_sides
from pose_rft.storage import package_table

SIDEWAYS = 0.35  # who turns no more than this towards the camera or away from it faces neither
FACING, TURNED_AWAY = "The person is facing the camera.", "The person is facing away from the camera."


@cache
def statements() -> tuple[Attribute, ...]:
    """All that questions with a truth ask about; where the truth is yes or no, what is so if it is yes."""
    said = []
    for state in body_states():
        subject = f"{state.noun[0].upper()}{state.noun[1:]} {'are' if state.plural else 'is'}"
        asked = tuple(f"{state.noun} {be}" for be in dict.fromkeys(state.be))
        said.append(Attribute(f"{subject} {state.be[0]}.", state.topic, "yes", f"{subject} not {state.be[0]}.", asked))
    for comparison in SIDE_COMPARISONS:
        left, both, neither = comparison.answers
        if comparison.low is not None:  # as an answer it says of the other side that it is not
            left = f"Only {left[0].lower()}{left[1:]}"
        for side, text in zip(SIDES, (left, exchange_sides(left), both, neither), strict=True):
            said += [Attribute(text, comparison.name, side, questions=comparison.asked)] if text else []
    asked = tuple(package_table(__package__, "wordings.yaml")["facing"])
    return (*said, Attribute(FACING, "facing", "yes", TURNED_AWAY, asked))


def statement_truths(joints: Tensor, front: Tensor) -> np.ndarray:
    """Whether statements hold: (N, S) int8, 1 if clearly, 0 if clearly not, -1 if it is not clear.

    Args:
        joints: (N, 22, 3) metres, upright.
        front: (N,) how much each person faces the camera, from -1 to 1.
    """
    holds, fails = clear_states(joints)
    columns = [np.where(holds, 1, np.where(fails, 0, -1))]
    for comparison in SIDE_COMPARISONS:
        sides = np.array(true_sides(comparison, joints))
        own = [statement.truth for statement in statements() if statement.topic == comparison.name]
        columns.append(np.where(sides[:, None] == "", -1, sides[:, None] == np.array(own)))
    toward = front.numpy()[:, None]
    columns.append(np.where(np.abs(toward) < SIDEWAYS, -1, toward > 0))
    return np.concatenate(columns, axis=1).astype(np.int8)
