"""Posecode satisfaction: the share of a prompt's geometric statements that the pose fulfils.

A verifiable reward: geometry on the pose, no learned model that could be fooled. It needs no recorded pose.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from pose_rft.errors import UserError
from pose_rft.posescript.checks import compile_check, fulfilment, tabulated
from pose_rft.rewards.batch import PoseBatch


def posecode_satisfaction(
    prompts: list[str],
    completions: list[str],
    poses: PoseBatch,
    *,
    checks: Sequence[Sequence[str] | None],
    **columns: object,
) -> list[float | None]:
    """Share of what the checks state that holds, 0 to 1; None for invalid poses and for prompts without checks.

    A check of either side counts as all its statements, of the side that does more of them: a phrase is worth the same
    whether or not it names the side, and one that names none still tells a pose that is nearly right from a wrong one.

    Args:
        prompts, completions: not looked at.
        poses: the poses to judge.
        checks: per item, statements in the language of `pose_rft.posescript.checks`.

    Raises:
        ValueError: a check that cannot be read (about one sample, so not a `UserError`, which is about the run).
    """
    stated = tuple(tuple(statements or ()) for statements in checks)
    return list(poses.once(("posecodes", stated), lambda: _satisfaction(stated, poses)))


def _satisfaction(checks: Sequence[tuple[str, ...]], poses: PoseBatch) -> tuple[float | None, ...]:
    texts: dict[tuple[str, ...], int] = {}  # the poses of one prompt share their checks
    items, text_of = [], []
    for item, (statements, usable) in enumerate(zip(checks, poses.valid.tolist(), strict=True)):
        if usable and statements:
            items.append(item)
            text_of.append(texts.setdefault(statements, len(texts)))
    grades: list[float | None] = [None] * len(poses)
    for start in range(0, len(items), size := _at_once(poses.joints.device)):
        some = items[start : start + size]
        try:
            shares = _shares(list(texts), text_of[start : start + size], poses.points[some])
        except UserError as error:
            raise ValueError(str(error)) from error
        for item, share in zip(some, shares.tolist(), strict=True):
            grades[item] = share
    return tuple(grades)


def _at_once(device: torch.device) -> int:
    """How many poses are measured together: what fits a CPU's cache; a GPU would rather start few kernels."""
    return 2048 if device.type == "cpu" else 2**17


def _shares(texts: Sequence[Sequence[str]], text_of: Sequence[int], points: Tensor) -> Tensor:
    """(n,) share of its text's statements that each pose meets; what several texts state is looked at once."""
    present = {text: row for row, text in enumerate(dict.fromkeys(text_of))}
    checks, stated = tabulated([texts[text] for text in present])
    share = fulfilment(checks, points)  # (n, C)
    statements = stated * torch.tensor([compile_check(check).size for check in checks])
    own = statements.to(share)[[present[text] for text in text_of]]
    return (share * own).sum(dim=1) / own.sum(dim=1)
