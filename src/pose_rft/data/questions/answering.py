"""Answers to questions about a given pose, by geometry: "Is the left knee bent?", "Which hand is higher?".

What is asked is read as statements are (``pose_rft.posescript.parsing``) or known from the table of questions. Whatever
is not understood has no answer here.
"""

import re
from collections.abc import Callable

from torch import Tensor

from pose_rft.data.questions.side_comparisons import SIDE_COMPARISONS, SIDES, true_sides
from pose_rft.posescript.captions import caption
from pose_rft.posescript.checks import measure, satisfied
from pose_rft.posescript.entailment import contradicts
from pose_rft.posescript.mentions import code_of
from pose_rft.posescript.outline import outline_of_facts, outlined
from pose_rft.posescript.parsing import parse
from pose_rft.posescript.posecodes import classify, exchange_sides, load_posecodes
from pose_rft.posescript.selection import Statement, part_of

DESCRIBE = re.compile(
    r"(?:please )?(?:describe|explain)\b(?!.* of an?\b)|what (?:pose|posture|position) is (?:this|that|it)\b"
    r"|what(?: is|'s) (?:this|that|the) (?:pose|posture|position)\b|what (?:am i|are we) (?:looking at|seeing)\b"
    r"|what is (?:the person|she|he|it) doing\b|how (?:is|does) the (?:person|body|figure) (?:posed|stand|sit|lie)\b",
    re.IGNORECASE,
)
LEAD = re.compile(
    r"\s*(?:(?:and|so|but|now|please|tell me|yes or no|look at the \w+|would you say(?: that)?)\b[\s:,.]*)*",
    re.IGNORECASE,
)
YES_OR_NO = re.compile(r"(?:is|are|does|do|has|have)\s+", re.IGNORECASE)
VERB_WITHIN = re.compile(r"^(.*?)\s+(?:is|are)\s+", re.IGNORECASE)  # "would you say that the knee is bent"
AROUND = re.compile(r"\s*(?:in|on) (?:this|the|that) (?:picture|pose|photo|image)\b|[?!.\s]+$", re.IGNORECASE)
WHAT_LIMBS = re.compile(r"(?:what|how)\b.*\b(arms|legs)\b", re.IGNORECASE)
SIDE = r"(left|right) "
MEASURED: tuple[tuple[re.Pattern[str], str, str], ...] = (  # question -> quantity, and how it is said
    (
        re.compile(rf"(?:how (?:far|much)|what angle|what is the angle).*\b{SIDE}(knee|elbow|hip)\b", re.IGNORECASE),
        "angle({0}_{1})",
        "The angle of the {0} {1} is {2:.0f} degrees; straight is 180.",
    ),
    (
        re.compile(rf"how high.*\b{SIDE}(hand|wrist|foot|ankle|knee|elbow)\b", re.IGNORECASE),
        "height({0}_{1})",
        "The {0} {1} is {2:.0f} cm above the lowest joint.",
    ),
    (
        re.compile(r"how (?:far|wide) apart.*?\b(?:(?:the|both) )?(hands|feet|knees|elbows)\b()", re.IGNORECASE),
        "distance(left_{0}, right_{0})",
        "The {0} are {2:.0f} cm apart.",
    ),
)
JOINT = {"hand": "wrist", "foot": "ankle", "hands": "wrist", "feet": "ankle", "knees": "knee", "elbows": "elbow"}
UNCLEAR = "There is little between the two sides."


def answer_question(question: str, points: Tensor) -> str | None:
    """What is so in a pose.

    Args:
        question: in ordinary words.
        points: (32, 3) joints and landmarks, metres, y up.

    Returns:
        A sentence, or None for what is not understood: no guess.
    """
    lead = LEAD.match(question)
    asked = AROUND.sub("", question[lead.end() if lead else 0 :])
    points = points[None]
    if DESCRIBE.match(asked):
        return caption(points, seed=0, style="medium", declarative=True)[0].text
    ways: tuple[Callable[[str, Tensor], str | None], ...] = (_measured, _which, _limbs, _yes_or_no)
    return next((answer for way in ways if (answer := way(asked, points)) is not None), None)


def _measured(asked: str, points: Tensor) -> str | None:
    for pattern, quantity, said in MEASURED:
        if found := pattern.match(asked):
            one, other = (word.lower() for word in found.groups())
            of = quantity.format(JOINT.get(one, one), JOINT.get(other, other))
            value = float(measure(of, points))
            return said.format(one, other, value if of.startswith("angle") else 100 * value)
    return None


def _which(asked: str, points: Tensor) -> str | None:
    for comparison in SIDE_COMPARISONS:
        if _plain(asked) in map(_plain, comparison.asked):
            (side,) = true_sides(comparison, points)
            answer = comparison.answers[min(max(SIDES.index(side) - 1, 0), 2)] if side else UNCLEAR
            return exchange_sides(answer) if side == "right" else answer
    return None


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def _limbs(asked: str, points: Tensor) -> str | None:
    """What the arms, or the legs, do."""
    if not (found := WHAT_LIMBS.match(asked)):
        return None
    clear = classify(points, clearly=True)[0].tolist()
    limb = found[1].lower().removesuffix("s")
    facts = (code.id for code, holds in zip(load_posecodes(), clear, strict=True) if holds)
    said = outline_of_facts(name for name in facts if part_of(code_of(name).subject) == limb)
    return f"{said.text}." if said else None


def _yes_or_no(asked: str, points: Tensor) -> str | None:
    if begins := YES_OR_NO.match(asked):
        said = parse(asked[begins.end() :])
    elif within := VERB_WITHIN.match(asked):
        said = parse(f"{within[1]} {asked[within.end() :]}")
    else:
        return None
    if not said.statements or said.unknown:
        return None
    checks = [code_of(each.posecode).check if each.posecode else each.check for each in said.statements]
    holds = satisfied(checks, points)[0].tolist()
    if all(holds):
        told = outline_of_facts(said.posecodes) if len(said.posecodes) == len(said.statements) else None
        return f"Yes, {_lowered(told.text)}." if told else "Yes."
    missed = [each.posecode for each, true in zip(said.statements, holds, strict=True) if not true]
    reasons = dict.fromkeys(filter(None, (_instead(name, points) for name in missed if name)))
    return f"No, {', '.join(reasons)}." if reasons else "No."


def _instead(name: str, points: Tensor) -> str:
    """What clearly holds of the same part and denies a posecode, or ""."""
    clear = classify(points, clearly=True)[0].tolist()
    subject = code_of(name).subject
    denying = [
        code
        for code, holds in zip(load_posecodes(), clear, strict=True)
        if holds and code.subject == subject and contradicts(code.id, name)
    ]
    return _lowered(outlined([Statement(denying[0], False)])) if denying else ""


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
