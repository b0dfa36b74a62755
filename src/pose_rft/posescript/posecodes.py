"""Posecodes: the facts about a pose that have a name, each with the check that is exactly its truth condition.

After PoseScript (Delmas et al., ECCV 2022): categories of angles, distances, relative positions, orientations of limbs
and ground contact, and postures made of several of them. Definitions and words are data, ``posecodes.yaml``; how common
each one is, and which ones say nothing new beside another, are statistics of real poses, ``posecode_statistics.json``
(made by ``scripts/posecode_statistics.py``).
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pose_rft.posescript.checks import mirrored, satisfied, tightened
from pose_rft.storage import package_table, package_text

SIDE = re.compile(r"(?<![a-z])(?:left|right)(?![a-z])(?! angle| next)")
MIN_SUPPORT = 30  # poses that must hold a posecode before it is believed to imply another
IMPLIED = 0.95  # share of them that must hold the other


@dataclass(frozen=True)
class Posecode:
    """One nameable fact.

    Attributes:
        id: ``subject.predicate``, e.g. ``left_knee.square``.
        subject, predicate: the two halves of the id.
        check: holds exactly when the posecode does.
        clearly: ``check`` with a margin; captions state the posecode only where this holds.
        rivals: other predicates of the same subject that a caption does not state beside this one.
        implies: ids that need not be stated beside this one, besides those the statistics find.
        salience: how readily people would state it, against others as rare; 1 for most.
        nouns: names of the subject as "one side|both sides".
        be, verb, do, act: wordings, see ``posecodes.yaml``.
    """

    id: str
    subject: str
    predicate: str
    check: str
    clearly: str
    rivals: frozenset[str]
    implies: tuple[str, ...]
    salience: float
    nouns: tuple[str, ...]
    be: tuple[str, ...]
    verb: tuple[str, ...]
    do: tuple[str, ...]
    act: tuple[str, ...]

    @property
    def partner(self) -> str | None:
        """Id of the same fact about the other side, or None for facts about the whole body."""
        sided = self.subject.startswith(("left_", "right_"))
        return f"{exchange_sides(self.subject)}.{self.predicate}" if sided else None


def exchange_sides(text: str) -> str:
    """left <-> right in words and names."""
    if "left" not in text and "right" not in text:
        return text
    return SIDE.sub(lambda match: "right" if match[0] == "left" else "left", text)


def _posecode(subject: str, predicate: str, part: dict[str, Any]) -> Posecode:
    entry = part["predicates"][predicate]
    groups = [group for group in part.get("one_of", ()) if predicate in group]
    return Posecode(
        id=f"{subject}.{predicate}",
        subject=subject,
        predicate=predicate,
        check=entry["check"],
        clearly=tightened(entry["check"]),
        rivals=frozenset(name for group in groups for name in group) - {predicate},
        implies=tuple(entry.get("implies", ())),
        salience=float(entry.get("salience", 1)),
        nouns=tuple(entry.get("nouns", part["nouns"])),
        **{kind: tuple(entry.get(kind, ())) for kind in ("be", "verb", "do", "act")},
    )


def _other_side(code: Posecode) -> Posecode:
    check = mirrored(code.check)
    kinds = ("implies", "nouns", "be", "verb", "do", "act")
    words: dict[str, Any] = {kind: tuple(map(exchange_sides, getattr(code, kind))) for kind in kinds}
    subject = exchange_sides(code.subject)
    return replace(
        code, id=f"{subject}.{code.predicate}", subject=subject, check=check, clearly=tightened(check), **words
    )


@cache
def load_posecodes() -> tuple[Posecode, ...]:
    """All posecodes, in a fixed order."""
    codes: list[Posecode] = []
    for subject, part in package_table(__package__, "posecodes.yaml").items():
        for predicate in part["predicates"]:
            code = _posecode(subject, predicate, part)
            codes += [code, _other_side(code)] if code.partner else [code]
    return tuple(codes)


@cache
def posecode_index() -> dict[str, int]:
    """id -> column of ``classify``."""
    return {code.id: column for column, code in enumerate(load_posecodes())}


def classify(joints: Tensor | np.ndarray, clearly: bool = False) -> Tensor:
    """Which posecodes hold for which poses.

    Args:
        joints: (N, 22, 3) metres.
        clearly: only with the margin that a caption asks for.

    Returns:
        (N, C) bool, columns as in ``load_posecodes``.
    """
    return satisfied([code.clearly if clearly else code.check for code in load_posecodes()], joints)


@dataclass(frozen=True)
class PosecodeStatistics:
    """What is ordinary, learned from poses.

    Attributes:
        frequency: (C,) share of the poses for which a posecode clearly holds.
        implied: for each posecode, the columns of those that nearly always hold with it.
    """

    frequency: np.ndarray
    implied: tuple[frozenset[int], ...]


def posecode_statistics(joints: Tensor, shaken: Tensor) -> dict[str, Any]:
    """Frequencies and implications, ready for ``json.dump``.

    Args:
        joints: (N, 22, 3) real poses; the frequencies are theirs, averaged over left and right.
        shaken: (M, 22, 3) poses with noise in every joint, in which what merely goes together has come apart:
            A implies B if B holds in 95 % of those in which A clearly holds.
    """
    codes, index = load_posecodes(), posecode_index()
    frequency = classify(joints, clearly=True).float().mean(dim=0)
    partners = torch.tensor([index[code.partner or code.id] for code in codes])
    frequency = (frequency + frequency[partners]) / 2
    clear, loose = classify(shaken, clearly=True).float(), classify(shaken).float()
    support = clear.sum(dim=0)
    together = clear.T @ loose / support.clamp_min(1).unsqueeze(1)  # (C, C): share of row's poses that hold column
    implied = (together > IMPLIED) & (support >= MIN_SUPPORT).unsqueeze(1)
    implied.fill_diagonal_(False)
    return {
        "poses": len(joints),
        "frequency": {code.id: round(float(frequency[i]), 5) for i, code in enumerate(codes)},
        "implied": {
            code.id: [codes[j].id for j in implied[i].nonzero()[:, 0].tolist()]
            for i, code in enumerate(codes)
            if implied[i].any()
        },
    }


@cache
def load_statistics() -> PosecodeStatistics:
    """The statistics that are shipped; a posecode added since counts as rare and implies nothing."""
    table = json.loads(package_text(__package__, "posecode_statistics.json"))
    index = posecode_index()

    def columns(ids: Iterable[str]) -> frozenset[int]:
        return frozenset(index[name] for name in ids if name in index)

    return PosecodeStatistics(
        frequency=np.array([table["frequency"].get(code.id, 0.0) for code in load_posecodes()]),
        implied=tuple(columns((*table["implied"].get(code.id, ()), *code.implies)) for code in load_posecodes()),
    )
