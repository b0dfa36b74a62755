"""Questions about a pose that are answered in words, with the truth read off the joints by posecodes.

Three kinds: yes or no ("Is the left knee bent?", one for every posecode that people would ask about), which side
("Which hand is higher?"), and descriptions ("Describe the pose."). Only what clearly holds or clearly fails is asked.
Joints are y-up: "raised" is about gravity, so joints in a camera's frame must be turned upright first
(``Renders.upright_joints``). Which way somebody faces is asked by ``facing`` alone: it is about the camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pose_rft.data.phrases import pick
from pose_rft.data.questions.body_states import body_states, clear_states
from pose_rft.data.questions.side_comparisons import SIDE_COMPARISONS, SIDES, true_sides
from pose_rft.data.questions.statements import FACING, SIDEWAYS, TURNED_AWAY
from pose_rft.errors import UserError
from pose_rft.posescript.captions import caption
from pose_rft.posescript.checks import as_joints
from pose_rft.posescript.measurements import Measurements
from pose_rft.posescript.posecodes import exchange_sides
from pose_rft.storage import package_table

KINDS = {"yes_no": 0.6, "which": 0.25, "describe": 0.15}
WORDINGS: dict[str, list[str]] = package_table(__package__, "wordings.yaml")


@dataclass(frozen=True)
class Question:
    """A question about one pose.

    Attributes:
        text: what is asked.
        answer: a right answer in a sentence.
        truth: ``yes``, ``no``, ``left``, ``right``, ``both`` or ``neither``; empty for a description.
        topic: what it asks about: a posecode's id, the name of a comparison, or ``description``.
        checks: what the answer states, where it can be checked: the posecode for yes, the caption's for a description.
    """

    text: str
    answer: str
    truth: str
    topic: str
    checks: tuple[str, ...] = ()


def ask(joints: Tensor | np.ndarray, seed: int | Sequence[int], kinds: Sequence[str] = tuple(KINDS)) -> list[Question]:
    """One question for each pose.

    Over many poses yes and no come equally often, for every posecode about as often; so do left and right.

    Args:
        joints: (N, 22, 3) metres, y-up.
        seed: question `i` is a function of the seed, `i` and joints `i` alone. A list holds one for each pose, which is
            asked about as it would be alone with that seed.
        kinds: of ``yes_no``, ``which`` and ``describe``; those given keep their proportions.

    Returns:
        N questions.

    Raises:
        UserError: joints of another shape or not finite, or an unknown kind.
    """
    if not kinds or (unknown := [kind for kind in kinds if kind not in KINDS]):
        raise UserError(f"kinds of questions are {', '.join(KINDS)}, not {', '.join(unknown) if kinds else 'none'}")
    joints = as_joints(joints)
    if not torch.isfinite(joints).all():
        raise UserError("questions need joints that are finite numbers; drop the poses that are not")
    states = clear_states(joints) if "yes_no" in kinds else None
    sides = [true_sides(comparison, joints) for comparison in SIDE_COMPARISONS]
    weights = np.array([KINDS[kind] for kind in kinds])
    questions = []
    own = [(seed, row) for row in range(len(joints))] if isinstance(seed, int) else [(each, 0) for each in seed]
    for row, (start, place) in enumerate(own):
        rng = np.random.default_rng([abs(start), int(start < 0), place, 3])
        kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
        question = None
        if kind == "yes_no" and states is not None:
            question = _yes_no(states[0][row], states[1][row], rng)
        elif kind == "which":
            question = _which([truths[row] for truths in sides], rng)
        questions.append(question or _description(joints[row], rng))
    return questions


def _yes_no(holds: np.ndarray, fails: np.ndarray, rng: np.random.Generator) -> Question | None:
    """A question that is answered with yes as often as with no; `holds` and `fails` (S,) bool."""
    states = body_states()
    often = np.array([state.frequency for state in states])
    asked = np.minimum(often, 1 - often) ** 0.5
    yes = bool(rng.random() < 0.5)
    weights = asked / often * holds if yes else asked / (1 - often) * fails
    if not weights.any():
        return None
    state = states[int(rng.choice(len(states), p=weights / weights.sum()))]
    be = pick(rng, state.be)
    verb = "are" if state.plural else "is"
    text = pick(rng, WORDINGS["state"]).format(Is=verb.capitalize(), **{"is": verb}, noun=state.noun, be=be)
    answer = f"Yes, {state.noun} {verb} {be}." if yes else f"No, {state.noun} {verb} not {be}."
    return Question(text, answer, "yes" if yes else "no", state.topic, (state.check,) if yes else ())


def _which(truths: list[str], rng: np.random.Generator) -> Question | None:
    """A question about a side; which answer it has is drawn first, so that none is given nearly always."""
    wanted = rng.permuted(np.repeat(SIDES, (7, 7, 4, 2)))  # by its first place: 35 %, 35 %, 20 %, 10 %
    truth = next((str(side) for side in wanted if side in truths), None)
    if truth is None:
        return None
    comparison = pick(rng, [c for c, true in zip(SIDE_COMPARISONS, truths, strict=True) if true == truth])
    answer = comparison.answers[{"left": 0, "right": 0, "both": 1, "neither": 2}[truth]]
    if truth == "right":
        answer = exchange_sides(answer)
    return Question(pick(rng, comparison.asked), answer, truth, comparison.name)


def _description(joints: Tensor, rng: np.random.Generator) -> Question:
    said = caption(joints, seed=int(rng.integers(2**31)), declarative=True)[0]
    return Question(pick(rng, WORDINGS["description"]), said.text, "", "description", said.checks)


def facing(joints: Tensor | np.ndarray, seed: int) -> list[Question | None]:
    """Whether each person faces the camera: joints (N, 22, 3) in the camera's frame; None if it is sideways."""
    toward = Measurements(as_joints(joints)).front[:, 2].numpy()
    questions: list[Question | None] = []
    for row, front in enumerate(toward.tolist()):
        if abs(front) < SIDEWAYS:
            questions.append(None)
            continue
        rng = np.random.default_rng([abs(seed), int(seed < 0), row, 4])
        if front > 0:
            answer = f"Yes, {FACING[0].lower()}{FACING[1:]}"
        else:
            answer = f"No, {TURNED_AWAY[0].lower()}{TURNED_AWAY[1:]}"
        questions.append(Question(pick(rng, WORDINGS["facing"]), answer, "yes" if front > 0 else "no", "facing"))
    return questions
