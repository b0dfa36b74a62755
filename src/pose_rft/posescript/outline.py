"""Outlines: one plain sentence that says what a body does, for an answer to say before it shows the pose.

A caption varies its words and its choice, since people do. An outline does neither: the same facts are always said in
the same words, limb by limb, so that a language model learns to say them and ``parsing.parse`` reads them back exactly.
"""

from collections.abc import Iterable, Sequence
from random import Random

import numpy as np
from torch import Tensor

from pose_rft.posescript.captions import READING_ORDER, Caption
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.measurements import Measurements
from pose_rft.posescript.posecodes import Posecode, classify, load_posecodes, posecode_index
from pose_rft.posescript.selection import Statement, choose, part_of, preference_table
from pose_rft.posescript.wording import is_plural, participle, third_person, words_of

SHARED = 0.9  # of several poses of the same words must clearly do what an outline says of them
OFF_BALANCE = 0.12  # metres of the weight from over the feet, beyond which a body needs a seat
SITTING, SQUATTING = "body.sitting", ("body.squatting", "body.half_squat")
MOST = 4  # statements of an outline


class _Always(Random):
    """Chance that always says yes: what holds for both sides is said of both."""

    def random(self) -> float:
        return 0.0


def outline(points: Tensor, most: int = MOST) -> Caption | None:
    """What poses of the same words have in common.

    Args:
        points: (M, 32, 3) joints and landmarks of M poses, metres.
        most: statements at most.

    Returns:
        The unusual facts that nearly all of the poses clearly show, or None where there are none.
    """
    clear = classify(points, clearly=True).float().mean(dim=0) >= SHARED
    index = posecode_index()
    # Who sits and who squats have the same joints; only the weight of the one is over the feet.
    if Measurements(points).measure("support", ()).mean() > OFF_BALANCE:
        clear[[index[name] for name in SQUATTING]] = False
        clear[index[SITTING]] = satisfied([load_posecodes()[index[SITTING]].check], points).float().mean() >= SHARED
    else:
        clear[index[SITTING]] = False
    return _outline_of(clear.cpu().numpy(), most)


def outline_of_facts(posecodes: Iterable[str], most: int = MOST) -> Caption | None:
    """The same of facts that are known by their ids, such as those of a caption."""
    index = posecode_index()
    stated = np.zeros(len(index), dtype=bool)
    stated[[index[name] for name in posecodes]] = True
    return _outline_of(stated, most)


def _outline_of(holds: np.ndarray, most: int) -> Caption | None:
    """Of the posecodes that hold, (C,) bool."""
    table = preference_table()
    order = np.argsort(np.where(holds, -table.weight, np.inf), kind="stable")[: int(holds.sum())].tolist()
    if not order:
        return None
    codes = load_posecodes()
    chosen = choose(order, set(order), most, table, _Always())
    statements = [Statement(codes[column], both) for column, both in chosen]
    said = [codes[column] for statement in statements for column in statement.columns]
    return Caption(outlined(statements), tuple(c.check for c in said), tuple(c.id for c in said))


def outlined(statements: Sequence[Statement]) -> str:
    """The sentence that makes these statements, without its full stop: postures first, then arms, legs and the rest."""
    ordered = sorted(statements, key=lambda statement: READING_ORDER.index(part_of(statement.code.subject)))
    text = ", ".join(_clause(statement.code, statement.both) for statement in ordered)
    return text[:1].upper() + text[1:]


def _clause(code: Posecode, both: bool) -> str:
    """The left knee is bent; both knees are bent; the person is sitting."""
    words = words_of(code)[both]
    if code.subject == "body":
        doing = (words.act or words.do)[0].replace("{the}", "the").replace("{self}", "itself")
        return f"the person is {participle(doing)}"
    noun = words.nouns[0]
    plural = is_plural(code, noun, both)
    name = f"both {noun}" if both else f"the {noun}"
    if words.be:
        state = f"{'are' if plural else 'is'} {words.be[0]}"
    else:
        verb = (words.verb or words.act or words.do)[0]
        state = verb if plural else third_person(verb)
    return f"{name} {state}".replace("{the}", "the").replace("{self}", "itself").replace("{np}", noun)
