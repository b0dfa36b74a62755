"""What a phrase says: a check as loose as people's words, and what a pose that is made to do it meets."""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

from pose_rft.posescript.checks import mirrored, tightened
from pose_rft.posescript.posecodes import Posecode
from pose_rft.storage import package_table

ACUTE = 70.0  # degrees; smaller angles of a joint may be angles or bends
NEARER_DEGREES, NEARER_METRES = 6.0, 0.05  # by which a pose is made to come nearer to an amount than words say
LOOSE_DEGREES, LOOSE_METRES = 8.0, 0.05  # by which people's words may miss a posecode's check


class Fact(NamedTuple):
    """What a phrase says.

    Attributes:
        check: its truth condition; where the phrase has an amount, with ``{N}`` for it.
        posecode: the id of the posecode that it is, or "".
        mirror: the check is to be mirrored once the amount is known.
        acute: the check where the amount is below ``ACUTE``, or "" for the same.
        aim: what a pose that is made to do this meets, the middle of what the words may mean; "" for the check.
    """

    check: str
    posecode: str = ""
    mirror: bool = False
    acute: str = ""
    aim: str = ""

    def of_the_other_side(self) -> "Fact":
        """The fact of the right where it is of the left, but for its posecode."""
        return Fact(mirrored(self.check), aim=mirrored(self.aim) if self.aim else "")

    def of_amount(self, value: float) -> "Fact":
        """The fact with its amount filled in."""
        check, aim = (self.acute, "") if self.acute and value < ACUTE else (self.check, self.aim)
        check, aim = (_with_amount(each, value, self.mirror) for each in (check, aim))
        return Fact(check, self.posecode, aim=aim or nearer(check))


def nearer(check: str) -> str:
    """What a pose is made to meet where a check has an amount."""
    return tightened(check, NEARER_DEGREES, NEARER_METRES)


@lru_cache(maxsize=4096)
def _with_amount(check: str, value: float, mirror: bool) -> str:
    check = check.replace("{N}", f"{value:g}")
    return mirrored(check) if mirror and check else check


Facts = tuple[Fact, ...]


@cache
def plain_table() -> dict[str, Any]:
    """``plain_words.yaml``."""
    return package_table(__package__, "plain_words.yaml")


def said_loosely(code: Posecode, in_captions: bool = True) -> Fact:
    """A posecode with the check that people's use of its words meets; the captions' own check implies it.

    Args:
        in_captions: captions use these words, and mean no more by them than the posecode's own check.
    """
    table = plain_table()
    check = of_posecode(table["loosely"], code) or tightened(code.check, -LOOSE_DEGREES, -LOOSE_METRES)
    aim = "" if in_captions else of_posecode(table["aims"], code)
    return Fact(check, code.id, aim=aim or code.check)


def of_posecode(checks: Mapping[str, str], code: Posecode, turned: Callable[[str], str] = mirrored) -> str:
    """What a table says of a posecode or, ``turned`` to the other side, of its twin; "" where it says nothing."""
    twin = checks.get(str(code.partner), "")
    return checks.get(code.id, "") or (turned(twin) if twin else "")
