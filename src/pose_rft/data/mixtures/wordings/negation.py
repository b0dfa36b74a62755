"""What is not done, beside what is done: "squatting without raising the arms", "neither knee is bent"."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from pose_rft.data.concepts.compositions import merged
from pose_rft.data.concepts.pose_language import mirrored, swap_sides
from pose_rft.data.mixtures.wordings.scenes import Said, Scene, Wording, draw_subject, two_sided
from pose_rft.data.mixtures.wordings.statements import (
    Side,
    Stance,
    State,
    Statement,
    of_side,
    stances,
    states,
    weighted,
)
from pose_rft.data.mixtures.wordings.templates import noun_phrase, other_phrase, plural_of, sentence, spun
from pose_rft.data.phrases import SUBJECTS, Subject, owned, pick, say_doing
from pose_rft.data.verbs import with_verb
from pose_rft.storage import package_table

TABLE: dict[str, Any] = package_table(__package__, "negation.yaml")
KINDS = {"activity": 0.66, "one_side": 0.18, "stance": 0.16}
ALONE_RATE = 0.6  # of what is excluded while standing, that no more is said
GERUND_RATE = 0.45


@dataclass(frozen=True)
class Activity:
    """What is done; the fields are those of negation.yaml."""

    name: str
    doing: Sequence[str]
    pose: Mapping[str, Any]
    checks: Sequence[str]
    excluded: Sequence[str]
    weight: float
    arms: str = "hang"


@dataclass(frozen=True)
class Negated:
    """Something left out: its words and the limbs that they are said of.

    Attributes:
        state: what is left out.
        both: whether it is a state of arms, said of both.
        side: "right" exchanges the sides of its words.
    """

    state: State
    both: bool
    side: Side

    def words(self, rng: np.random.Generator) -> dict[str, str]:
        """The places {d}, {v}, {n}, {m}, {s}, {b}, {is} of the templates; what cannot be said is left out."""
        noun = pick(rng, self.state.nouns("do") + self.state.nouns("be"))
        said = self.state.words[noun]
        plural = bool(said.get("two", self.both or "two" in self.state.flags))
        bare = plural_of(noun) if self.both else noun
        name = f"the {bare}"
        places = {"n": name, "m": bare, "N": sentence(name, "").rstrip(), "is": "are" if plural else "is"}
        places["isnt"] = "aren't" if plural else "isn't"
        if plural:
            places["s"] = SINGULAR.get(bare, bare.removesuffix("s"))
        if said.get("do"):
            named = pick(rng, (name, name, f"both {bare}" if self.both else name)) if noun else ""
            places["d"] = spun(pick(rng, said["do"]), rng, plural).replace("{np}", named)
            places["v"] = with_verb(places["d"])
        if said.get("be"):
            places["b"] = spun(pick(rng, said["be"]), rng, plural)
        if not noun:
            places = {key: text for key, text in places.items() if key in ("d", "v")}
        return {key: swap_sides(text) for key, text in places.items()} if self.side == "right" else places


SINGULAR = {"feet": "foot", "calves": "calf"}


def draw_negation(rng: np.random.Generator) -> Wording:
    """Something done without something else, one side without the other, or one stance and not another."""
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    if kind == "one_side":
        return _one_side(rng)
    return _stance(rng) if kind == "stance" else _activity(rng)


def _activity(rng: np.random.Generator) -> Wording:
    every = activities()
    weights = np.array([activity.weight for activity in every])
    activity = every[int(rng.choice(len(every), p=weights / weights.sum()))]
    side: Side = "left" if rng.random() < 0.5 else "right"
    name = pick(rng, activity.excluded)
    arm = states("arm").get(name)
    negated = Negated(arm or excluded()[name], arm is not None, side)
    pose = dict(activity.pose)
    strict = list(of_side(activity.checks, side))
    rest = states("arm").get(activity.arms)
    if rest is not None:
        pose = merged(pose, Statement(rest, "both").pose(rng))
        strict += of_side(rest.checks, "both")
    if arm is None:
        pose = merged(pose, negated.state.poses[0])
    fails = of_side(negated.state.fails, "both" if arm else side)
    doing = tuple(swap_sides(text) if side == "right" else text for text in activity.doing)
    stated = (*of_side(activity.checks, side), *fails)

    def say(rng: np.random.Generator) -> Said:
        if activity.name == "stand" and rng.random() < ALONE_RATE:
            return _worded(TABLE["alone"], doing, negated, rest, rng), fails
        frames = "gerunds" if rng.random() < GERUND_RATE else "sentences"
        return _worded(TABLE[frames], doing, negated, rest, rng, frame=frames == "gerunds"), stated

    return Wording("negation", mirrored(pose) if side == "right" else pose, (*strict, *fails), say)


def _worded(
    templates: Sequence[str],
    doing: Sequence[str],
    negated: Negated,
    rest: State | None,
    rng: np.random.Generator,
    frame: bool = False,
) -> str:
    """A text from a template of which every place can be filled."""
    while True:
        template, places = pick(rng, templates), negated.words(rng)
        places["g"] = spun(pick(rng, doing), rng)
        places["o"] = with_verb(places["g"])
        if rest is not None and negated.both:
            arm_words = rest.words.get("arm" if places.get("m") == "arms" else "hand", rest.words["arm"])
            told = [words for words in arm_words["be"] if not words.startswith("not ")]
            places["y"] = spun(pick(rng, told), rng, plural=True)
        subject = subject_for(template, rng)
        places |= of_subject(subject)
        if " with " in places["g"] and "{g} with" in template:
            continue
        if any(f"{{{place}}}" in template for place in PLACES - places.keys()):
            continue
        text = spun(template, rng).format(**places)
        if frame:
            return say_doing(text, rng)
        whose = subject.whose if "{w}" in template else "your" if "{o}" in template or "{v}" in template else "the"
        return owned(text, whose, rng)


PLACES = {"g", "o", "d", "v", "n", "m", "s", "b", "is", "isnt", "y", "N"}


def subject_for(template: str, rng: np.random.Generator) -> Subject:
    """Somebody for ``{w}``; a pronoun only where a verb follows."""
    if re.search(r"\{w\} \{(be|does|doesnt|wisnt)\}(?! not {d}, only)", template) and "want" not in template:
        return draw_subject(rng)
    return pick(rng, SUBJECTS)


def of_subject(subject: Subject) -> dict[str, str]:
    """Who, with the forms of "be" and "do"."""
    plural = subject.be != "is"
    negative = {"is": "isn't", "are": "aren't", "am": "am not"}[subject.be]
    return {
        "w": subject.text,
        "W": {"his": "He", "her": "She"}.get(subject.whose, sentence(subject.text, "").rstrip()),
        "be": subject.be,
        "wisnt": negative,
        "does": "do" if plural else "does",
        "doesnt": "don't" if plural else "doesn't",
    }


def _one_side(rng: np.random.Generator) -> Wording:
    """One limb does something, the other does not."""
    stance = weighted([s for s in stances().values() if s.name != "lie_back"], rng)
    stance = stance.mirrored() if rng.random() < 0.5 else stance
    first, second = two_sided("arm", stance, rng)
    second = Statement(states("arm")["hang"], second.side)
    scene = Scene(stance, (first, second))
    stated = (*first.checks, *of_side(first.state.fails, second.side))

    def say(rng: np.random.Generator) -> Said:
        form = "be" if not first.state.nouns("do") or rng.random() < 0.5 else "do"
        noun = pick(rng, first.state.nouns(form))
        template = spun(pick(rng, TABLE["one_side" if form == "be" else "one_side_do"]), rng)
        p, q = noun_phrase(noun, first.side, rng), other_phrase(noun, second.side, True, rng)
        if template.find("{q}") < template.find("{p}"):
            q = noun_phrase(noun, second.side, rng)
        told = f"{scene.doing(rng)}, " if scene.says_stance(rng) else ""
        checks = (*(scene.stance_checks if told else ()), *stated)
        words = first.words(form, noun, rng)
        if form == "be":
            return told + owned(template.format(p=p, q=q, b=words), "his", rng), checks
        order = with_verb(words.replace("{np}", p))
        text = template.format(a=order, q=q)
        return (f"{with_verb(told.rstrip(', '))} and {text}" if told else text), checks

    return Wording("negation", scene.pose(rng), (*scene.checks, *stated), say)


def _stance(rng: np.random.Generator) -> Wording:
    """One stance and not another."""
    shown = stances()[pick(rng, tuple(TABLE["other_stances"]))]
    other: Stance = stances()[pick(rng, TABLE["other_stances"][shown.name])]
    if rng.random() < 0.5:
        shown = shown.mirrored()

    def say(rng: np.random.Generator) -> Said:
        template = pick(rng, TABLE["stances"])
        subject = subject_for(template, rng)
        g, h = (spun(pick(rng, stance.doing), rng) for stance in (shown, other))
        text = spun(template, rng)
        places = {"g": g, "h": h, "o": with_verb(g), "v": with_verb(h)} | of_subject(subject)
        return text.format(**places), shown.checks

    pose = dict(shown.pose)
    if shown.name == "squat":
        pose = merged(pose, Statement(states("arm")["hang"], "both").pose(rng))
    return Wording("negation", pose, shown.checks, say)


@cache
def activities() -> tuple[Activity, ...]:
    """All activities."""
    return tuple(Activity(name, **entry) for name, entry in TABLE["activities"].items())


@cache
def excluded() -> dict[str, State]:
    """What can be left out beside the states of arms, by name."""
    return {
        name: State(
            "excluded",
            name,
            (entry["pose"],),
            (),
            tuple(entry["fails"]),
            entry["words"],
            frozenset(),
            1.0,
            frozenset({"two"} if entry.get("two") else ()),
        )
        for name, entry in TABLE["excluded"].items()
    }
