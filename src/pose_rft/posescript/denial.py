"""What a denied statement says: "don't bend the knees" is that they are straight."""

from functools import lru_cache

from pose_rft.errors import UserError
from pose_rft.posescript.checks import denied, mirrored, tightened
from pose_rft.posescript.lexicon import LOOSE_DEGREES, LOOSE_METRES, Fact, Facts, plain_table
from pose_rft.posescript.mentions import code_of


@lru_cache(maxsize=4096)
def contrary(fact: Fact) -> Fact | None:
    """What holds where a fact is denied, or None where that says nothing.

    Of a posecode it is what ``plain_words.yaml`` says of it, or else that the gist of its own check does not hold; of
    plain words, that the gist of their check, made stricter, does not.
    """
    table = plain_table()["denied"]
    if fact.posecode in table:
        return Fact(table[fact.posecode])
    code = code_of(fact.posecode) if fact.posecode else None
    if code and code.partner in table:
        return Fact(mirrored(table[code.partner]))
    if code and code.subject == "body":
        return None  # of a whole posture, any part may be what is not so
    try:
        return Fact(denied(code.check if code else tightened(fact.check, LOOSE_DEGREES, LOOSE_METRES)))
    except UserError:
        return None


def contraries(facts: Facts) -> Facts:
    """What holds where each of these is denied."""
    return tuple(each for each in map(contrary, facts) if each)


def of_the_other_side(facts: Facts) -> Facts:
    """The same facts of the other side; those that have no side are left out."""
    return tuple(Fact(twin, _partner(each)) for each in facts if (twin := mirrored(each.check)) != each.check)


def _partner(fact: Fact) -> str:
    return (code_of(fact.posecode).partner or "") if fact.posecode else ""
