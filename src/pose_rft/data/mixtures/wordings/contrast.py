"""Left and right limbs that do different things, told in many orders and forms."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from pose_rft.data.concepts.concept import has_side
from pose_rft.data.mixtures.wordings.scenes import Said, Scene, Wording, draw_scene, draw_subject
from pose_rft.data.mixtures.wordings.statements import Mention, Statement, of_side
from pose_rft.data.mixtures.wordings.templates import joined, noun_phrase, plural_of, sentence, spun
from pose_rft.data.phrases import owned, pick, say_doing, say_with
from pose_rft.data.verbs import with_verb
from pose_rft.posescript.checks import either_side
from pose_rft.storage import package_table

TABLE: dict[str, Any] = package_table(__package__, "contrast.yaml")

ADJECTIVE_RATE = 0.4  # "with slightly bent knees" instead of "with the knees slightly bent"

Form = Callable[[Scene, np.random.Generator], Said | None]


def draw_contrast(rng: np.random.Generator) -> Wording:
    """A scene of contrasts."""
    scene = draw_scene(rng)
    return Wording("contrast", scene.pose(rng), scene.checks, lambda rng: say(scene, rng))


def say(scene: Scene, rng: np.random.Generator) -> Said:
    """A prompt for a scene, and the checks that its words state."""
    weights = np.array([weight for _, weight in FORMS])
    while True:
        form = FORMS[int(rng.choice(len(FORMS), p=weights / weights.sum()))][0]
        if said := form(scene, rng):
            return said


def _listed(mentions: list[Mention], rng: np.random.Generator) -> str:
    """ "the left arm up and the right one at the side"."""
    said = [(rng.random() < ADJECTIVE_RATE and m.adjective(rng)) or f"{m.phrase} {m.be(rng)}" for m in mentions]
    return joined(said, rng, joints(TABLE["list_joints"], said))


def joints(words: list[str], parts: list[str]) -> list[str]:
    """What may stand between parts: of more than two, only "and" and commas."""
    return words if len(parts) < 3 else [" and ", ", ", ", and "]


def as_with(scene: Scene, rng: np.random.Generator) -> Said | None:
    """ "a woman sitting with her left arm up and her right hand on the hip"."""
    mentions = scene.mentions("be", rng, article=rng.random() < 0.6)
    if mentions is None:
        return None
    text = _listed(mentions, rng)
    if not scene.says_stance(rng):
        return say_with(text, False, rng), _stated(mentions)
    doing = scene.doing(rng)
    text = f"{doing}{', ' if ' with ' in doing or rng.random() < 0.15 else ' with '}{text}"
    return say_doing(text, rng), scene.checks


def as_clauses(scene: Scene, rng: np.random.Generator) -> Said | None:
    """ "The left arm is raised, but the right one hangs at the side." """
    mentions = scene.mentions("be", rng)
    if mentions is None:
        return None
    said = [f"{m.phrase} {'are' if m.statement.plural else 'is'} {m.be(rng)}" for m in mentions]
    if rng.random() < 0.25:
        text = " ".join(sentence(each) for each in said)
    else:
        text = joined(said, rng, joints(TABLE["clause_joints"], said))
    return _of_somebody(scene, text, _stated(mentions), rng)


def _of_somebody(scene: Scene, text: str, checks: tuple[str, ...], rng: np.random.Generator) -> Said:
    """Clauses about limbs, given to an owner whose stance may be told first."""
    if scene.says_stance(rng):
        subject = draw_subject(rng)
        told = f"{subject.text} {subject.be} {scene.doing(rng)}"
        text = owned(text, subject.whose, rng, 0.85)
        apart = text.endswith(".") or rng.random() < 0.5
        text = f"{sentence(told)} {sentence(text)}" if apart else f"{told}{pick(rng, (', ', '; '))}{text}"
        return text, (*scene.stance_checks, *checks)
    if text.endswith("."):
        return owned(text, pick(rng, ("his", "her", "their", "the", "the")), rng, 0.85), checks
    frame = pick(rng, TABLE["clause_frames"])
    return frame.format(c=owned(text, pick(rng, ("his", "her", "the", "your", "their")), rng)), checks


def as_doing(scene: Scene, rng: np.random.Generator) -> Said | None:
    """ "a man raising the left arm while keeping the right one down"."""
    mentions = scene.mentions("do", rng)
    if mentions is None:
        return None
    said = [mention.do(rng) for mention in mentions]
    text = joined(said, rng, joints(TABLE["doing_joints"], said))
    if not scene.says_stance(rng):
        return say_doing(text, rng), _stated(mentions)
    return say_doing(f"{scene.doing(rng)}{pick(rng, (', ', ' and ', ' while '))}{text}", rng), scene.checks


def as_orders(scene: Scene, rng: np.random.Generator) -> Said | None:
    """ "Raise your left arm. Keep the other one down." """
    mentions = scene.mentions("do", rng)
    if mentions is None:
        return None
    orders, checks = [with_verb(mention.do(rng)) for mention in mentions], _stated(mentions)
    if scene.says_stance(rng):
        orders, checks = [with_verb(scene.doing(rng)), *orders], scene.checks
    frame = "{o}" if rng.random() < 0.35 else spun(pick(rng, TABLE["order_frames"]), rng)
    whose = "his" if re.search(r"\b(he|him)\b", frame) else "her" if re.search(r"\b(she|her)\b", frame) else "your"
    orders = [owned(order, whose, rng) for order in orders]
    if frame == "{o}" and rng.random() < 0.7:
        return " ".join(map(sentence, orders)), checks
    text = joined(orders, rng, joints(TABLE["order_joints"], orders))
    return frame.format(o=text), checks


def as_notes(scene: Scene, rng: np.random.Generator) -> Said | None:
    """ "left arm: up, right arm: on the hip"."""
    mentions = scene.mentions("be", rng, article=False)
    if mentions is None:
        return None
    style = pick(rng, TABLE["note_styles"])
    notes = []
    for mention in mentions:
        name = mention.phrase
        if mention.statement.state.limb in ("arm", "leg"):
            name = noun_phrase(mention.noun, mention.statement.side, rng, article=False)
        if style["initials"]:
            name = name.replace("left ", "L ").replace("right ", "R ")
        notes.append(style["note"].format(n=name, b=mention.be(rng)))
    if not scene.says_stance(rng):
        return style["between"].join(notes), _stated(mentions)
    return style["between"].join([scene.doing(rng), *notes]), scene.checks


def as_pair(scene: Scene, rng: np.random.Generator) -> Said | None:
    """ "arms: left up, right down", of two statements about the same noun."""
    mentions = scene.mentions("be", rng, article=False)
    if mentions is None or len(mentions) != 2 or len({m.noun for m in mentions}) > 1 or _has_both(mentions):
        return None
    sides = [f"{m.statement.side}{pick(rng, ('', '', ':'))} {m.be(rng)}" for m in mentions]
    text = f"{plural_of(mentions[0].noun)}: {joined(sides, rng, (', ', ' / ', '; '))}"
    return (f"{scene.doing(rng)}, {text}", scene.checks) if scene.says_stance(rng) else (text, _stated(mentions))


def as_one_and_other(scene: Scene, rng: np.random.Generator) -> Said | None:
    """ "one arm up and the other on the hip": either side will do."""
    form = pick(rng, ("be", "be", "do"))
    mentions = scene.mentions(form, rng)
    if mentions is None or len(mentions) != 2 or _is_sided(scene) or _has_both(mentions):
        return None
    first, second = mentions
    first.phrase = f"one {first.noun}"
    same = first.noun == second.noun
    second.phrase = (
        pick(rng, ("the other", "the other one", f"the other {first.noun}")) if same else f"the other {second.noun}"
    )
    told = [m.do(rng) if form == "do" else f"{m.phrase} {m.be(rng)}" for m in mentions]
    if any(has_side(text) or "opposite" in text or "same side" in text for text in told):
        return None
    text = joined(told, rng, TABLE["doing_joints"] if form == "do" else TABLE["list_joints"])
    checks: tuple[str, ...] = (either_side(_stated(mentions)),)
    stance = scene.says_stance(rng)
    if stance:
        checks = (*scene.stance_checks, *checks)
    if form == "do":
        return say_doing(f"{scene.doing(rng)} and {text}" if stance else text, rng), checks
    doing = scene.doing(rng)
    return (
        say_doing(f"{doing}{', ' if ' with ' in doing else ' with '}{text}", rng)
        if stance
        else say_with(text, False, rng)
    ), checks


def as_one(scene: Scene, rng: np.random.Generator) -> Said | None:
    """ "one elbow bent at 45 degrees": either side will do."""
    form = pick(rng, ("be", "do"))
    mentions = scene.mentions(form, rng)
    if mentions is None or len(mentions) != 1 or scene.statements[0].side == "both" or _is_sided(scene):
        return None
    (mention,) = mentions
    if mention.statement.state.limb not in ("arm", "leg"):
        return None
    mention.phrase = f"one {mention.noun}"
    text = mention.do(rng) if form == "do" else f"{mention.phrase} {mention.be(rng)}"
    if has_side(text):
        return None
    checks: tuple[str, ...] = (either_side(_stated(mentions)),)
    stance = scene.says_stance(rng)
    if stance:
        text = f"{scene.doing(rng)} {'and' if form == 'do' else 'with'} {text}"
        checks = (*scene.stance_checks, *checks)
    return say_doing(text, rng) if stance or form == "do" else say_with(text, False, rng), checks


def as_only(scene: Scene, rng: np.random.Generator) -> Said | None:
    """ "only the left arm is raised": the other one does not do it."""
    if len(scene.statements) != 2 or "rest" not in scene.statements[1].state.flags:
        return None
    first, second = scene.statements
    form = pick(rng, ("be", "do"))
    if first.state.limb != second.state.limb or not first.state.nouns(form):
        return None
    mention = Mention.of(first, form, rng)
    name = mention.phrase.removeprefix("the ")
    if form == "be":
        text = spun(pick(rng, TABLE["only_be"]), rng).format(n=name, b=mention.be(rng), p=plural_of(mention.noun))
    else:
        mention.phrase = pick(
            rng, ("only the {n}", "just the {n}", "the {n} only", "only one {m}, the {s} one")
        ).format(n=name, m=mention.noun, s=first.side)
        text = mention.do(rng)
    checks = (*first.checks, *of_side(first.state.fails, second.side))
    if not scene.says_stance(rng):
        return (text, checks) if form == "be" else (say_doing(text, rng), checks)
    if form == "be":
        return f"{scene.doing(rng)}, {text}", (*scene.stance_checks, *checks)
    return say_doing(f"{scene.doing(rng)} and {text}", rng), (*scene.stance_checks, *checks)


def as_exception(scene: Scene, rng: np.random.Generator) -> Said | None:
    """ "both arms hang down except the left, which is raised"."""
    if len(scene.statements) != 2:
        return None
    first, second = scene.statements if rng.random() < 0.7 else scene.statements[::-1]
    nouns = [noun for noun in first.state.nouns("be") if noun in second.state.nouns("be")]
    if first.state.limb != second.state.limb or not nouns or "alone" in second.state.flags:
        return None
    noun = pick(rng, nouns)
    both = Statement(second.state, "both").words("be", noun, rng)
    text = spun(pick(rng, TABLE["exceptions"]), rng).format(
        p=plural_of(noun), b=both, s=first.side, n=noun, e=first.words("be", noun, rng)
    )
    checks = (*first.checks, *second.checks)
    if not scene.says_stance(rng):
        return text, checks
    return f"{scene.doing(rng)}, {text}", (*scene.stance_checks, *checks)


def _stated(mentions: list[Mention]) -> tuple[str, ...]:
    return tuple(check for mention in mentions for check in mention.statement.checks)


def _has_both(mentions: list[Mention]) -> bool:
    """Whether two limbs at once, or different limbs, are spoken of."""
    return any(m.statement.plural for m in mentions) or len({m.statement.state.limb for m in mentions}) > 1


def _is_sided(scene: Scene) -> bool:
    return any(has_side(text) for text in scene.stance.doing)


FORMS: list[tuple[Form, float]] = [
    (as_with, 5),
    (as_clauses, 4),
    (as_doing, 4),
    (as_orders, 4),
    (as_notes, 2),
    (as_pair, 1),
    (as_one_and_other, 2),
    (as_one, 1.5),
    (as_only, 1.5),
    (as_exception, 1.2),
]
