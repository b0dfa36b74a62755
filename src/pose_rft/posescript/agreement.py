"""What the statements of one request make of each other: exceptions, and aims that leave room for one another.

"Both arms hang, but the right one is raised" says nothing of the right arm with its first words. "Raise the arms, but
not over the head" raises them less than "raise the arms" alone, and "arms not raised" lets them hang only where
nothing else is said of them.
"""

import re
from collections.abc import Collection, Sequence

from pose_rft.posescript.denial import clearly
from pose_rft.posescript.entailment import exclude
from pose_rft.posescript.facts import Fact, Facts
from pose_rft.posescript.mentions import Mention

EXCEPTING = {"but", "while", "whereas"}  # before an exception from what is said of both sides
COMPARING = {"lower", "higher", "more", "less", "slightly", "little", "bit", "further"}  # adds to what is said of both
MEASURED = re.compile(r"angle\(\w+\)|\b(?:left|right)_\w+")


def of_side(facts: Facts, side: str) -> Facts:
    """Those facts that are about this side alone."""
    other = "left" if side == "right" else "right"
    return tuple(fact for fact in facts if f"{side}_" in fact.check and f"{other}_" not in fact.check)


def of_both(facts: Facts) -> bool:
    """Whether they say the same of either side: "arms up"."""
    return bool(of_side(facts, "left") and of_side(facts, "right"))


def without_exceptions(tokens: Sequence[str], wanted: Sequence[Mention]) -> list[Mention]:
    """Statements of both sides without what an exception behind them says otherwise of one of them."""
    kept = list(wanted)
    for later, one in enumerate(kept):
        words = tokens[one.start : one.end]
        if tokens[one.start - 1] not in EXCEPTING or one.limb or COMPARING & set(words) or of_both(one.facts):
            continue
        for side in ("left", "right"):
            if joints := _joints(of_side(one.facts, side)):
                for place, before in enumerate(kept[:later]):
                    if of_both(before.facts):
                        over = [fact for fact in of_side(before.facts, side) if joints & _joints((fact,))]
                        kept[place] = before._replace(facts=tuple(fact for fact in before.facts if fact not in over))
    return kept


def reconciled(wanted: Sequence[Mention], denied: Collection[Mention]) -> list[Mention]:
    """Statements, their aims no narrower than the denials beside them leave room for.

    Args:
        wanted: what is stated.
        denied: of these, the contraries of what is denied.
    """
    stated = [fact for one in wanted if one not in denied for fact in one.facts]
    joints = _joints(stated)
    milder = [
        one._replace(facts=tuple(clearly(fact.check) if joints & _joints((fact,)) else fact for fact in one.facts))
        if one in denied
        else one
        for one in wanted
    ]
    contrary = [fact for one, before in zip(milder, wanted, strict=True) if before in denied for fact in one.facts]
    return [
        one if before in denied else one._replace(facts=tuple(_with_room(fact, contrary) for fact in one.facts))
        for one, before in zip(milder, wanted, strict=True)
    ]


def _joints(facts: Sequence[Fact]) -> set[str]:
    """What is measured: bends by themselves, and joints whose places are."""
    return {joint for fact in facts for joint in MEASURED.findall(fact.check)}


def _with_room(fact: Fact, contrary: Sequence[Fact]) -> Fact:
    """A fact, aimed at no more closely than its check tells where its aim is what is denied."""
    denied = any(exclude(fact.aim or fact.check, each.aim) for each in contrary)
    return fact._replace(aim=fact.check) if denied else fact
