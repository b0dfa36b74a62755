"""What a denied statement says: "don't bend the knees" is that they are straight."""

from functools import lru_cache

from pose_rft.errors import UserError
from pose_rft.posescript.checks import denied, mirrored, tightened
from pose_rft.posescript.facts import LOOSE_DEGREES, LOOSE_METRES, Fact, Facts, of_posecode, plain_table
from pose_rft.posescript.mentions import code_of

CLEAR_DEGREES, CLEAR_METRES = 10.0, 0.05  # by which a pose is made to do the contrary


@lru_cache(maxsize=4096)
def contrary(fact: Fact) -> Fact | None:
    """What holds where a fact is denied, by a clear margin where it is aimed at, or None where that says nothing.

    Of a posecode, and of plain words with that check, it is what ``plain_words.yaml`` says of it; else of a posecode,
    that the gist of its own check does not hold, of plain words, that the gist of their check, made stricter, does not.
    """
    code = code_of(fact.posecode) if fact.posecode else None
    if said := _said(fact):
        return said
    if code and code.subject == "body":
        return None  # of a whole posture, any part may be what is not so
    try:
        return clearly(denied(code.check if code else tightened(fact.check, LOOSE_DEGREES, LOOSE_METRES)))
    except UserError:
        return None


def _said(fact: Fact) -> Fact | None:
    """What ``plain_words.yaml`` says where this is denied: "CHECK", or "CHECK >> AIM"."""
    table = plain_table()["denied"]
    said = of_posecode(table, code_of(fact.posecode), _mirrored) if fact.posecode else ""
    for check in (fact.check, fact.aim):
        said = said or table.get(check, "") or (_mirrored(table.get(mirrored(check), "")) if check else "")
    check, _, aim = said.partition(" >> ")
    return (Fact(check, aim=aim) if aim else clearly(check)) if said else None


def _mirrored(said: str) -> str:
    return " >> ".join(map(mirrored, said.split(" >> "))) if said else ""


def clearly(check: str) -> Fact:
    """A check, aimed at by a margin."""
    return Fact(check, aim=tightened(check, CLEAR_DEGREES, CLEAR_METRES))


def contraries(facts: Facts) -> Facts:
    """What holds where each of these is denied."""
    return tuple(each for each in map(contrary, facts) if each)


def of_the_other_side(facts: Facts) -> Facts:
    """The same facts of the other side; those that have no side are left out."""
    twins = (each.of_the_other_side()._replace(posecode=_partner(each)) for each in facts)
    return tuple(twin for each, twin in zip(facts, twins, strict=True) if twin.check != each.check)


def _partner(fact: Fact) -> str:
    return (code_of(fact.posecode).partner or "") if fact.posecode else ""
