"""Questions about a pose that are answered in words, with the truth read off the joints by posecodes.

Three kinds: yes or no ("Is the left knee bent?", one for every posecode that people would ask about), which side
("Which hand is higher?"), and descriptions ("Describe the pose."). Only what clearly holds or clearly fails is asked.
Joints are y-up: "raised" is about gravity, so joints in a camera's frame must be turned upright first
(``Renders.upright_joints``). Which way somebody faces is asked by ``facing`` alone: it is about the camera.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from pose_rft.data.phrases import pick
from pose_rft.data.questions.attributes import Attribute
from pose_rft.errors import UserError
from pose_rft.posescript.captions import caption
from pose_rft.posescript.checks import as_joints, compile_check, measure
from pose_rft.posescript.measurements import Measurements
from pose_rft.posescript.posecodes import exchange_sides, load_posecodes, load_statistics
from pose_rft.posescript.wording import participle, words_of

CLEAR = 0.5  # of 20 degrees or 0.1 metres: by how much a fact must hold or fail to be asked about
SIDEWAYS = 0.35  # who turns no more than this towards the camera or away from it faces neither
RAREST = 0.03  # posecodes that hold for fewer poses than this, or fail for fewer, are not asked about
SIDES = ("left", "right", "both", "neither")
ARM_RAISED = 0.23  # share of the CMU poses of docs/data.md that clearly hold one given hand above its shoulder
KINDS = {"yes_no": 0.6, "which": 0.25, "describe": 0.15}


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


@dataclass(frozen=True)
class Comparison:
    """A question whose answer is a side.

    Attributes:
        name: of the comparison.
        asked: wordings.
        answers: for left (the right one is its mirror image), both and neither; an empty one is never true.
        quantity: of the left side, in the check language.
        high, low: with `low`, a side counts when its quantity is above `high` and does not when it is below `low`;
            without, the side counts whose quantity is larger by `high`.
        same: without `low`, sides that differ by less than this are alike.
    """

    name: str
    asked: tuple[str, ...]
    answers: tuple[str, str, str]
    quantity: str
    high: float
    low: float | None = None
    same: float = 0.0


COMPARISONS = (
    Comparison(
        "knee_bent_more",
        ("Which knee is bent more?", "Which knee is more bent, the left or the right?", "which leg is bent more?"),
        ("The left knee is bent more.", "Both knees are bent about the same.", ""),
        "-angle(left_knee)", 25, same=5,
    ),
    Comparison(
        "elbow_bent_more",
        ("Which elbow is bent more?", "Which arm is bent more?", "which elbow is more bent, left or right?"),
        ("The left elbow is bent more.", "Both elbows are bent about the same.", ""),
        "-angle(left_elbow)", 25, same=5,
    ),
    Comparison(
        "hand_higher",
        ("Which hand is higher?", "Which hand is held higher?", "Which hand is higher up, the left or the right?"),
        ("The left hand is higher.", "Both hands are at about the same height.", ""),
        "y(left_wrist)", 0.13, same=0.03,
    ),
    Comparison(
        "foot_higher",
        ("Which foot is higher?", "Which foot is higher off the ground?", "which foot is lifted more?"),
        ("The left foot is higher.", "Both feet are at about the same height.", ""),
        "y(left_ankle)", 0.13, same=0.03,
    ),
    Comparison(
        "foot_in_front",
        ("Which foot is further forward?", "Which foot is in front?", "Which foot is ahead of the other?"),
        ("The left foot is further forward.", "Both feet are side by side.", ""),
        "ahead(left_ankle)", 0.15, same=0.05,
    ),
    Comparison(
        "hand_in_front",
        ("Which hand is further in front of the body?", "which hand is more in front?"),
        ("The left hand is further forward.", "Both hands are about equally far forward.", ""),
        "front(left_wrist)", 0.15, same=0.05,
    ),
    Comparison(
        "hand_near_head",
        ("Which hand is closer to the head?", "Which hand is nearer to the head?"),
        ("The left hand is closer to the head.", "Both hands are about equally close to the head.", ""),
        "-distance(left_wrist, head)", 0.13, same=0.03,
    ),
    Comparison(
        "arm_raised",
        ("Which arm is raised?", "Is an arm raised, and which one?", "which arm is lifted above the shoulder?"),
        ("The left arm is raised.", "Both arms are raised.", "Neither arm is raised."),
        "y(left_wrist) - y(left_shoulder)", 0.08, low=-0.05,
    ),
    Comparison(
        "elbow_bent",
        ("Which elbow is bent?", "Which arm is bent?", "Is one of the elbows bent, and which?"),
        ("The left elbow is bent.", "Both elbows are bent.", "Neither elbow is bent."),
        "-angle(left_elbow)", -115, low=-148,
    ),
    Comparison(
        "knee_bent",
        ("Which knee is bent?", "Which leg is bent?", "Is one of the knees bent, and which?"),
        ("The left knee is bent.", "Both knees are bent.", "Neither knee is bent."),
        "-angle(left_knee)", -125, low=-152,
    ),
)  # fmt: skip

ASK_STATE = (
    *["{Is} {noun} {be}?"] * 3, "{is} {noun} {be}", "Would you say that {noun} {is} {be}?",
    "Tell me: {is} {noun} {be}?", "Look at the pose. {Is} {noun} {be}?", "{Is} {noun} {be} in this picture?",
    "Yes or no: {is} {noun} {be}?",
)  # fmt: skip
ASK_DESCRIPTION = (
    "Describe the pose.", "Describe this person's pose.", "What is the person doing with the body?",
    "How is the person posed?", "describe the pose of the person", "Describe the body posture in words.",
    "What does the pose look like?", "Give a short description of the pose.", "Can you describe the pose?",
    "How are the arms and legs held?", "Describe how the person stands, sits or lies.",
)  # fmt: skip


@dataclass(frozen=True)
class _State:
    """What can be asked about; `guards` are the parts of its check that only say when it applies."""

    topic: str
    check: str
    noun: str
    be: tuple[str, ...]
    plural: bool
    guards: tuple[str, ...]
    frequency: float


@cache
def _states() -> tuple[_State, ...]:
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
        plural = not posture and code.partner is None and (noun.endswith("s") or noun == "feet")
        spoken = tuple(text.replace("{the}", "the") for text in be)
        found.append(_State(code.id, code.check, f"the {noun}", spoken, plural, guards, float(frequency)))
    for side in ("left", "right"):
        check, be = f"y({side}_wrist) > y({side}_shoulder) + 0.03", ("raised", "raised", "lifted")
        found.append(_State(f"{side}_arm.raised", check, f"the {side} arm", be, False, (), ARM_RAISED))
    return tuple(found)


def _clear_states(joints: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Which states clearly hold, and which clearly fail though they apply: (N, S) bool each."""
    measured = Measurements(joints)
    holds, fails = [], []
    for state in _states():
        margin = compile_check(state.check).margin(measured)
        applies = torch.ones(len(joints), dtype=torch.bool)
        for guard in state.guards:
            applies &= compile_check(guard).margin(measured) > CLEAR
        holds.append(margin > CLEAR)
        fails.append((margin < -CLEAR) & applies)
    return torch.stack(holds, 1).numpy(), torch.stack(fails, 1).numpy()


def _sides(comparison: Comparison, joints: Tensor) -> list[str]:
    """The true side of every pose (N,), or an empty text where it is not clear."""
    left = measure(comparison.quantity, joints).numpy()
    right = measure(exchange_sides(comparison.quantity), joints).numpy()
    if comparison.low is None:
        apart = left - right
        table = (apart > comparison.high, apart < -comparison.high, np.abs(apart) < comparison.same, apart != apart)
    else:
        above = left > comparison.high, right > comparison.high
        below = left < comparison.low, right < comparison.low
        table = (above[0] & below[1], above[1] & below[0], above[0] & above[1], below[0] & below[1])
    return [next((t for t, row in zip(SIDES, table, strict=True) if row[n]), "") for n in range(len(joints))]


FACING, TURNED_AWAY = "The person is facing the camera.", "The person is facing away from the camera."
ASK_FACING = (
    "Is the person facing the camera?", "Does the person face the camera?", "Do we see the person from the front?",
    "is this person turned towards the camera?",
)  # fmt: skip


@cache
def statements() -> tuple[Attribute, ...]:
    """All that questions with a truth ask about; where the truth is yes or no, what is so if it is yes."""
    said = []
    for state in _states():
        subject = f"{state.noun[0].upper()}{state.noun[1:]} {'are' if state.plural else 'is'}"
        asked = tuple(f"{state.noun} {be}" for be in dict.fromkeys(state.be))
        said.append(Attribute(f"{subject} {state.be[0]}.", state.topic, "yes", f"{subject} not {state.be[0]}.", asked))
    for comparison in COMPARISONS:
        left, both, neither = comparison.answers
        if comparison.low is not None:  # as an answer it says of the other side that it is not
            left = f"Only {left[0].lower()}{left[1:]}"
        for side, text in zip(SIDES, (left, exchange_sides(left), both, neither), strict=True):
            said += [Attribute(text, comparison.name, side, questions=comparison.asked)] if text else []
    return (*said, Attribute(FACING, "facing", "yes", TURNED_AWAY, ASK_FACING))


def statement_truths(joints: Tensor, front: Tensor) -> np.ndarray:
    """Whether statements hold: (N, S) int8, 1 if clearly, 0 if clearly not, -1 if it is not clear.

    Args:
        joints: (N, 22, 3) metres, upright.
        front: (N,) how much each person faces the camera, from -1 to 1.
    """
    holds, fails = _clear_states(joints)
    columns = [np.where(holds, 1, np.where(fails, 0, -1))]
    for comparison in COMPARISONS:
        sides = np.array(_sides(comparison, joints))
        own = [statement.truth for statement in statements() if statement.topic == comparison.name]
        columns.append(np.where(sides[:, None] == "", -1, sides[:, None] == np.array(own)))
    toward = front.numpy()[:, None]
    columns.append(np.where(np.abs(toward) < SIDEWAYS, -1, toward > 0))
    return np.concatenate(columns, axis=1).astype(np.int8)


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
    states = _clear_states(joints) if "yes_no" in kinds else None
    sides = [_sides(comparison, joints) for comparison in COMPARISONS]
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
    states = _states()
    often = np.array([state.frequency for state in states])
    asked = np.minimum(often, 1 - often) ** 0.5
    yes = bool(rng.random() < 0.5)
    weights = asked / often * holds if yes else asked / (1 - often) * fails
    if not weights.any():
        return None
    state = states[int(rng.choice(len(states), p=weights / weights.sum()))]
    be = pick(rng, state.be)
    verb = "are" if state.plural else "is"
    text = pick(rng, ASK_STATE).format(Is=verb.capitalize(), **{"is": verb}, noun=state.noun, be=be)
    answer = f"Yes, {state.noun} {verb} {be}." if yes else f"No, {state.noun} {verb} not {be}."
    return Question(text, answer, "yes" if yes else "no", state.topic, (state.check,) if yes else ())


def _which(truths: list[str], rng: np.random.Generator) -> Question | None:
    """A question about a side; which answer it has is drawn first, so that none is given nearly always."""
    wanted = rng.permuted(np.repeat(SIDES, (7, 7, 4, 2)))  # by its first place: 35 %, 35 %, 20 %, 10 %
    truth = next((str(side) for side in wanted if side in truths), None)
    if truth is None:
        return None
    comparison = pick(rng, [c for c, true in zip(COMPARISONS, truths, strict=True) if true == truth])
    answer = comparison.answers[{"left": 0, "right": 0, "both": 1, "neither": 2}[truth]]
    if truth == "right":
        answer = exchange_sides(answer)
    return Question(pick(rng, comparison.asked), answer, truth, comparison.name)


def _description(joints: Tensor, rng: np.random.Generator) -> Question:
    said = caption(joints, seed=int(rng.integers(2**31)), declarative=True)[0]
    return Question(pick(rng, ASK_DESCRIPTION), said.text, "", "description", said.checks)


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
        questions.append(Question(pick(rng, ASK_FACING), answer, "yes" if front > 0 else "no", "facing"))
    return questions


def truth_in(topic: str, joints: Tensor) -> str:
    """What a pose answers to a question that is not a description: the truth if it must be one, however close it is.

    Args:
        topic: of the ``Question``.
        joints: (22, 3) metres; upright, or in the camera's frame for ``facing``.

    Raises:
        UserError: no question is about that.
    """
    return _truth(topic, joints)[0]


def clearness(topic: str, joints: Tensor) -> float:
    """By how much a pose would have to change for ``truth_in`` to be another: of 20 degrees or 0.1 metres.

    Infinite for ``facing``, which is asked where it is clear. Arguments and errors as for ``truth_in``.
    """
    return _truth(topic, joints)[1]


def _truth(topic: str, joints: Tensor) -> tuple[str, float]:
    measured = Measurements(joints[None])
    if topic == "facing":
        return "yes" if float(measured.front[0, 2]) > 0 else "no", math.inf
    for state in _states():
        if state.topic == topic:
            margin = float(compile_check(state.check).margin(measured))
            return "yes" if margin > 0 else "no", abs(margin)
    for comparison in COMPARISONS:
        if comparison.name == topic:
            left, right = (
                float(measure(quantity, joints[None]))
                for quantity in (comparison.quantity, exchange_sides(comparison.quantity))
            )
            unit = 20 if abs(comparison.high) > 1 else 0.1
            if comparison.low is None:
                middle = (comparison.high + comparison.same) / 2
                truth = "both" if abs(left - right) < middle else "left" if left > right else "right"
                return truth, abs(abs(left - right) - middle) / unit
            middle = (comparison.high + comparison.low) / 2
            counts = [side for side, value in (("left", left), ("right", right)) if value > middle]
            truth = counts[0] if len(counts) == 1 else "both" if counts else "neither"
            return truth, min(abs(left - middle), abs(right - middle)) / unit
    raise UserError(f"no question is about {topic!r}")


YES, NO = frozenset({"yes", "yeah", "yep", "correct", "true"}), frozenset({"no", "nope", "incorrect", "false"})
ASIDE = re.compile(r"\b(?:than|not|unlike|rather than) (?:on |in )?(?:the |his |her |their |its )?(?:left|right)\b")
NEGATION = re.compile(r"\bnot\b|n't\b")


def read_yes_no(text: str) -> str | None:
    """``yes`` or ``no``, as a text begins; None if it says neither, or both.

    "Yes, it is not raised" contradicts itself and says nothing.
    """
    words = _words(text)
    said = ["yes"] * bool(YES & set(words)) + ["no"] * bool(NO & set(words))
    if len(said) != 1 or words[0] not in YES | NO or (said == ["yes"] and NEGATION.search(text.lower())):
        return None
    return said[0]


def read_side(text: str) -> str | None:
    """``left``, ``right``, ``both`` or ``neither``, as a text says; None if it says nothing or several of them."""
    words = set(_words(ASIDE.sub(" ", text.lower())))
    sides = words & {"left", "right"}
    neither = bool(words & {"neither", "none"})
    both = bool(words & {"both", "equally", "same"})
    if neither:
        return None if both or len(sides) == 1 else "neither"
    if both or ("and" in words and len(sides) == 2):
        return None if len(sides) == 1 else "both"
    return sides.pop() if len(sides) == 1 else None


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def is_right(answer: str, truth: str) -> bool | None:
    """Whether a text answers rightly a question with the given ``Question.truth``; None for descriptions.

    Raises:
        UserError: a truth that no question has.
    """
    if truth in ("yes", "no"):
        return read_yes_no(answer) == truth
    if truth in SIDES:
        return read_side(answer) == truth
    if truth:
        raise UserError(f"the truth of a question is yes, no, {', '.join(SIDES)} or empty, not {truth!r}")
    return None
