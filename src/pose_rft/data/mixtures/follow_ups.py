"""Questions about the pose that was shown before, answered from what was said of it and from nothing else."""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from pose_rft.data.concepts.concept import has_side
from pose_rft.data.phrases import pick
from pose_rft.posescript.captions import Caption
from pose_rft.posescript.entailment import contradicts, follows, left_open, limbs_told
from pose_rft.posescript.lexicon import synonyms
from pose_rft.posescript.mentions import code_of
from pose_rft.posescript.outline import outline_of_facts, outlined
from pose_rft.posescript.posecodes import Posecode, load_posecodes, load_statistics, posecode_index
from pose_rft.posescript.selection import Statement, part_of
from pose_rft.posescript.wording import is_plural, participle, words_of
from pose_rft.storage import package_table

SHOWN = "You showed this pose: {said}. {question}"
TABLE = package_table(__package__, "requests.yaml")
LEFT_OPEN: str = TABLE["left_open"]
LIMBS = {"arms": "arm", "legs": "leg"}
RAREST = 0.02  # what fewer poses do than this is not asked about, unless it was said
TRUTHS = {"yes": 0.4, "no": 0.35, "open": 0.25}  # of questions with yes or no


class Asked(NamedTuple):
    """Something that can be asked about.

    Attributes:
        ids: of one posecode, or of both sides' of it.
        noun: the left knee, both knees, the person.
        be: bent.
        plural: whether the noun is.
    """

    ids: tuple[str, ...]
    noun: str
    be: str
    plural: bool

    @property
    def verb(self) -> str:
        return "are" if self.plural else "is"


def about_shown(said: str, question: str) -> str:
    """The prompt for a question about the pose that was shown last.

    Args:
        said: what the answer said of that pose before it showed it; a stop at its end is left out.
        question: what the user asks.
    """
    return SHOWN.format(said=said.rstrip(" .:"), question=question)


def question_about(said: Caption, rng: np.random.Generator) -> tuple[str, str] | None:
    """A question about a pose and its answer by what was said of the pose; None where none was found."""
    ask = pick(rng, (_yes_or_no, _yes_or_no, _yes_or_no, _which, _limbs))
    return ask(said, rng)


@cache
def askable() -> tuple[Asked, ...]:
    """All that can be asked about with yes or no, in every wording."""
    found = []
    for code in (*load_posecodes(), *synonyms()):
        if "turn()" in code.check:
            continue
        one, both = words_of(code)
        if code.subject == "body":
            states = [participle(act) for act in one.act if "{" not in act]
            found += [Asked((code.id,), "the person", state, False) for state in states]
            continue
        for noun in one.nouns:
            found += [Asked((code.id,), f"the {noun}", _plain(be), is_plural(code, noun)) for be in one.be]
        if code.partner and code.id.startswith("left_"):
            ids = (code.id, code.partner)
            found += [Asked(ids, f"both {noun}", _plain(be), True) for noun in both.nouns for be in both.be]
    return tuple(dict.fromkeys(found))


def _plain(be: str) -> str:
    return be.replace("{the}", "the")


@lru_cache(maxsize=4096)
def truths(stated: tuple[str, ...]) -> dict[str, tuple[Asked, ...]]:
    """What can be asked about where these posecodes are stated: what is so, what is not, and what is left open."""
    known: dict[str, str | None] = {code.id: _truth(stated, code.id) for code in load_posecodes()}
    sorted_out: dict[str, list[Asked]] = {truth: [] for truth in TRUTHS}
    for asked in askable():
        each = {known[name] for name in asked.ids}
        truth = "no" if "no" in each else each.pop() if len(each) == 1 else None
        if truth and (truth == "yes" or _is_usual(asked.ids[0])):
            sorted_out[truth].append(asked)
    return {truth: tuple(found) for truth, found in sorted_out.items()}


def _truth(stated: Sequence[str], asked: str) -> str | None:
    holds = follows(stated, asked)
    if holds is None:
        return "open" if left_open(stated, asked) else None
    return "yes" if holds else "no"


def _is_usual(name: str) -> bool:
    return bool(load_statistics().frequency[posecode_index()[name]] >= RAREST)


def _yes_or_no(said: Caption, rng: np.random.Generator) -> tuple[str, str] | None:
    found = {truth: asked for truth, asked in truths(said.posecodes).items() if asked}
    share = np.array([TRUTHS[truth] for truth in found])
    if not found:
        return None
    truth = list(found)[int(rng.choice(len(found), p=share / share.sum()))]
    ids = pick(rng, list(dict.fromkeys(asked.ids for asked in found[truth])))  # as often in however many wordings
    asked = pick(rng, [asked for asked in found[truth] if asked.ids == ids])
    words = {"noun": asked.noun, "is": asked.verb, "Is": asked.verb.capitalize(), "be": asked.be}
    question = pick(rng, TABLE["state"]).format(**words)
    if truth == "open":
        return question, LEFT_OPEN
    if truth == "yes":
        return question, f"Yes, {asked.noun} {asked.verb} {asked.be}."
    return question, f"No, {_reasons(said.posecodes, asked.ids)}."


def _reasons(stated: Sequence[str], asked: Sequence[str]) -> str:
    """What was said that denies these: "both legs are straight"."""
    denying = [next((one for one in stated if contradicts(one, name)), None) for name in asked]
    return ", ".join(dict.fromkeys(_clause(one, stated) for one in denying if one))


def _clause(name: str, stated: Sequence[str]) -> str:
    """A fact as it was said: of both sides where it was said of both."""
    text = outlined([Statement(code_of(name), code_of(name).partner in stated)])
    return f"{text[0].lower()}{text[1:]}"


def _which(said: Caption, rng: np.random.Generator) -> tuple[str, str] | None:
    """Which side does something."""
    options = [code for code in load_posecodes() if code.id.startswith("left_") and _sideless(code)]
    told = {code.id: tuple(_truth(said.posecodes, name) for name in (code.id, str(code.partner))) for code in options}
    wanted = pick(rng, ("yes", "yes", "yes", "no", "open"))
    options = [code for code in options if _is_wanted(wanted, told[code.id], code)]
    if not options:
        return None
    code = pick(rng, options)
    noun = pick(rng, words_of(code)[0].nouns).removeprefix("left ")
    question = pick(rng, TABLE["which"]).format(noun=noun, be=pick(rng, _sideless(code)))
    if wanted == "open":
        return question, LEFT_OPEN
    if wanted == "no":
        return question, f"Neither: {_reasons(said.posecodes, (code.id, str(code.partner)))}."
    sides = [name for name, truth in zip((code.id, str(code.partner)), told[code.id], strict=True) if truth == "yes"]
    return question, outlined([Statement(code_of(sides[0]), len(sides) == 2)]) + "."


def _is_wanted(wanted: str, told: tuple[str | None, ...], code: Posecode) -> bool:
    """Whether a question about a side has such an answer: one side does it or both, neither, or nothing was said."""
    return wanted in told if wanted == "yes" else set(told) == {wanted} and _is_usual(code.id)


@cache
def _sideless(code: Posecode) -> tuple[str, ...]:
    """The wordings of a fact about one side that say no side."""
    return tuple(be for be in map(_plain, words_of(code)[0].be) if not has_side(be) and "opposite" not in be)


def part_of_outline(said: Caption, limbs: str) -> Caption | None:
    """What was said of the "arms" or of the "legs"; None for nothing."""
    return outline_of_facts(name for name in said.posecodes if part_of(code_of(name).subject) == LIMBS[limbs])


def _limbs(said: Caption, rng: np.random.Generator) -> tuple[str, str] | None:
    """What the arms or the legs do."""
    limbs = pick(rng, list(LIMBS))
    question = pick(rng, TABLE["limbs_shown"]).format(limbs=limbs)
    if (part := part_of_outline(said, limbs)) is not None:
        return question, f"{part.text}."
    told = frozenset().union(*map(limbs_told, said.posecodes))
    return None if any(limb.endswith(LIMBS[limbs]) for limb in told) else (question, LEFT_OPEN)
