"""What a prompt or an answer states of the body whose pose it is about, as strictly as captions mean it."""

from functools import lru_cache
from typing import NamedTuple

from torch import Tensor

from pose_rft.data.concepts.named import named_checks
from pose_rft.data.sample import POSE_TOKEN
from pose_rft.posescript.parsing import parse
from pose_rft.posescript.settling import settle
from pose_rft.posescript.symmetry import evened, is_one_sided


@lru_cache(maxsize=65536)
def stated_checks(text: str, request: bool = False) -> tuple[str, ...]:
    """Its statements in the language of ``pose_rft.posescript.checks``; empty where it says nothing of a body.

    Args:
        text: a prompt or an answer.
        request: it asks for a pose, and is read with the trust of ``parse``.

    Of each statement its aim, which is narrower than what people may mean by the words (``parse``): an answer speaks as
    captions do, and who aims at the middle of a meaning does not miss it.
    """
    return tuple(each.aim or each.check for each in parse(text.replace(POSE_TOKEN, ""), request).statements)


class Said(NamedTuple):
    """What texts say of one body.

    Attributes:
        checks: that they state.
        one_sided: whether they may tell its sides apart.
    """

    checks: tuple[str, ...]
    one_sided: bool

    def settle(self, poses: Tensor) -> Tensor:
        """Poses (..., 22, 3), axis-angle, the same on both sides where they nearly are, and ``settle``d."""
        return settle(poses if self.one_sided else evened(poses), self.checks)


def said(prompt: str, *answers: str) -> Said:
    """What a prompt asks for, in statements or by the name of a pose, and what answers say, of one body together."""
    asked, told = stated_checks(prompt, request=True), (check for text in answers for check in stated_checks(text))
    checks = tuple(dict.fromkeys((*asked, *told, *named_checks(prompt))))
    return Said(checks, any(map(is_one_sided, (prompt, *answers))))
