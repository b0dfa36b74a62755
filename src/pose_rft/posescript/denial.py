"""What a denied statement says: "don't bend the knees" is that they are straight."""

from functools import lru_cache

from pose_rft.errors import UserError
from pose_rft.posescript.checks import denied, tightened
from pose_rft.posescript.facts import LOOSE_DEGREES, LOOSE_METRES, Fact, Facts, of_posecode, plain_table
from pose_rft.posescript.mentions import code_of

CLEAR_DEGREES, CLEAR_METRES = 10.0, 0.05  # by which a pose is made to do the contrary


@lru_cache(maxsize=4096)
def contrary(fact: Fact) -> Fact | None:
    """What holds where a fact is denied, by a clear margin where it is aimed at, or None where that says nothing.

    Of a posecode it is what ``plain_words.yaml`` says of it, or else that the gist of its own check does not hold; of
    plain words, that the gist of their check, made stricter, does not.
    """
    table = plain_table()["denied"]
    code = code_of(fact.posecode) if fact.posecode else None
    if code and (said := of_posecode(table, code)):
        return _clearly(said)
    if code and code.subject == "body":
        return None  # of a whole posture, any part may be what is not so
    try:
        return _clearly(denied(code.check if code else tightened(fact.check, LOOSE_DEGREES, LOOSE_METRES)))
    except UserError:
        return None


def _clearly(check: str) -> Fact:
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
