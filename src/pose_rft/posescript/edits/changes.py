"""What can be asked of somebody who is to go from one pose to another, and when asking for it says nothing false.

An *edit* is either a posecode that is to come true or a quantity that is to grow or shrink (``edits.yaml``). Each has
*wordings*, and every wording says what must hold of the two poses before it may be used: the statement it makes, with
a margin, and what its verb claims beside that ("raise" a joint that rises, "bend" an angle that closes).
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import filter as matching
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from pose_rft.posescript.check_syntax import DEGREES
from pose_rft.posescript.checks import UNIT_DEGREES, UNIT_METRES, compile_check, mirrored
from pose_rft.posescript.edits.comparisons import Comparison, PosePair
from pose_rft.posescript.posecodes import Posecode, exchange_sides, load_posecodes, load_statistics
from pose_rft.posescript.selection import RAREST, Table, limbs_of
from pose_rft.posescript.wording import one_and_both
from pose_rft.storage import package_table

ABSENT = -0.15  # a posecode is new if it failed before by this margin: 3 degrees or 15 mm
CHANGE_FREQUENCY = 0.2  # changes count as this common when they compete with posecodes
LARGEST = 4.0  # units of 20 degrees or 10 cm beyond which a change is no more preferred


class Scale(NamedTuple):
    """What counts as a change, in degrees or metres."""

    least: float  # graded: less than this is none
    little: float  # "a little" ends here
    lot: float  # "a lot" begins here
    margin: float  # what is said holds with this to spare


IN_DEGREES, IN_METRES = Scale(12, 42, 45, 5), Scale(0.07, 0.25, 0.3, 0.03)

# What verbs of edits.yaml move: the joint at the end of a part, and the hinge in it.
JOINTS = {"hand": "wrist", "arm": "wrist", "forearm": "wrist", "upper_arm": "elbow", "elbow": "elbow", "knee": "knee"}
JOINTS |= {"thigh": "knee", "foot": "ankle", "leg": "ankle", "shin": "ankle"}
HINGES = {"arm": "elbow", "elbow": "elbow", "leg": "knee", "knee": "knee"}


@cache
def edits_table() -> dict[str, Any]:
    """``edits.yaml``."""
    return package_table(__package__, "edits.yaml")


class Need(NamedTuple):
    """A condition on the first pose, the second, or the change between them."""

    of: Literal["from", "to", "change"]
    condition: str | Comparison


@dataclass(frozen=True)
class Wording:
    """Ways to ask for one thing.

    Attributes:
        statement: what they say: a check of the second pose, or a comparison of both.
        needs: all that must hold before they may be used.
        phrases: base forms with {np}, for one side and for both.
        amount: which of the ``amounts`` fills their slots.
    """

    statement: str | Comparison
    needs: tuple[Need, ...]
    phrases: tuple[tuple[str, ...], tuple[str, ...]]
    amount: int = 0


@dataclass(frozen=True)
class Edit:
    """A posecode that is to come true (``code``), or a quantity that is to change (``of``).

    Attributes:
        id: the posecode's, or for example ``left_knee_angle.falls``.
        subject: what it is about, as a posecode's.
        partner: id of the same edit of the other side, or None.
        rivals: patterns of ids not to be said beside it.
        nouns: names of the part, for one side and for both.
    """

    id: str
    subject: str
    partner: str | None
    rivals: tuple[str, ...]
    nouns: tuple[tuple[str, ...], tuple[str, ...]]
    wordings: tuple[Wording, ...]
    code: Posecode | None = None
    of: str | None = None


def _numbers(words: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words for one side and for both; those that know one number only have it for both."""
    pairs = [one_and_both(word) for word in words]
    return tuple(one or both for one, both in pairs), tuple(both or one for one, both in pairs)


def _scale(of: str) -> Scale:
    return IN_DEGREES if set(re.findall(r"[a-z]+", of)) & DEGREES else IN_METRES


def _moves(of: str, sign: int) -> Need:
    """A quantity has moved that way by more than the margin."""
    least = _scale(of).margin
    return Need("change", Comparison(of, low=least) if sign > 0 else Comparison(of, high=-least))


def verb_needs(phrase: str, subject: str) -> tuple[Need, ...]:
    """What must have happened so that the verb of ``phrase``, said of ``subject``, is the right one."""
    side, _, part = subject.partition("_")
    joint, hinge = (f"{side}_{places[part]}" if part in places else "" for places in (JOINTS, HINGES))
    needs = []
    for pattern, quantity, sign in edits_table()["verbs"]:
        place = joint if "{joint}" in quantity else hinge if "{hinge}" in quantity else "anywhere"
        if place and re.match(pattern, phrase):
            needs.append(_moves(quantity.format(joint=joint, hinge=hinge), sign))
    return tuple(needs)


def _posecode_edit(code: Posecode, wordings_of: dict[str, Any]) -> Edit:
    """``wordings_of``: the wordings by posecode of ``edits.yaml``."""
    entry: list[Any] = wordings_of.get(code.id, ())
    if not entry and code.partner in wordings_of:
        entry = [exchange_sides(words) for words in wordings_of[code.partner]]
    if not entry:
        phrases = [*code.do, *code.act]
        entry = [words for words in phrases if not words.startswith(("keep", "hold", "stay"))]
        entry = entry or [re.sub(r"^(keep|hold)", "bring", words) for words in phrases]
    groups = [{"do": [words]} if isinstance(words, str) else words for words in entry]
    wordings: list[Wording] = []
    for group in groups:
        needs = tuple(_moves(str(group[way]), sign) for way, sign in (("rises", 1), ("falls", -1)) if way in group)
        for words in group["do"]:
            claims = verb_needs(one_and_both(words)[0] or one_and_both(words)[1], code.subject)
            wordings.append(Wording(code.check, (Need("to", code.clearly), *needs, *claims), _numbers([words])))
    rivals = tuple(f"{code.subject}.{name}" for name in code.rivals)
    return Edit(code.id, code.subject, code.partner, rivals, _numbers(code.nouns), tuple(wordings), code=code)


def _levels(of: str, sign: int, group: dict[str, Any]) -> Iterator[tuple[Comparison, int]]:
    """What a group of wordings may state, and the amount that it then speaks of."""
    scale = _scale(of)
    if "low" in group:
        bounds = [(group["low"], group.get("high", math.inf), 0)]
    else:
        bounds = [(scale.least, math.inf, 0), (scale.least, scale.little, 1), (scale.lot, math.inf, 2)]
    for low, high, amount in bounds:
        yield Comparison(of, low, high) if sign > 0 else Comparison(of, -high, -low), amount


def _change_edits(name: str, entry: dict[str, Any]) -> Iterator[Edit]:
    of = entry["of"]
    common = [Need(pose, entry["within"]) for pose in ("from", "to") if "within" in entry]
    for way, sign in (("rises", 1), ("falls", -1)):
        wordings = []
        for group in entry.get(way, ()):
            needs = [Need(pose, group[pose]) for pose in ("from", "to") if pose in group]
            agrees = [_moves(entry["agrees"], sign)] if "agrees" in entry else []
            for comparison, amount in _levels(of, sign, group):
                stated = Need("change", comparison.narrowed(_scale(of).margin))
                wordings.append(Wording(comparison, (stated, *common, *needs, *agrees), _numbers(group["do"]), amount))
        if not wordings:
            continue
        sided = name.startswith(("left_", "right_"))
        partner = f"{exchange_sides(name)}.{way}" if sided and "nouns" in entry else None
        rivals = tuple(entry["rivals"])
        nouns = _numbers(entry.get("nouns", [""]))
        yield Edit(f"{name}.{way}", name.rpartition("_")[0], partner, rivals, nouns, tuple(wordings), of=of)


def _other_side(edit: Edit) -> Edit:
    """The same edit of the other side of the body."""

    def over(condition: str | Comparison) -> str | Comparison:
        return condition.mirrored() if isinstance(condition, Comparison) else mirrored(condition)

    def exchanged(words: tuple[tuple[str, ...], tuple[str, ...]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(map(exchange_sides, words[0])), tuple(map(exchange_sides, words[1]))

    wordings = tuple(
        Wording(
            over(wording.statement),
            tuple(Need(need.of, over(need.condition)) for need in wording.needs),
            exchanged(wording.phrases),
            wording.amount,
        )
        for wording in edit.wordings
    )
    of = wordings[0].statement.of  # type: ignore[union-attr]
    rivals = tuple(map(exchange_sides, edit.rivals))
    partner = edit.id if edit.partner else None
    name, subject = exchange_sides(edit.id), exchange_sides(edit.subject)
    return Edit(name, subject, partner, rivals, exchanged(edit.nouns), wordings, of=of)


@dataclass(frozen=True)
class EditTable:
    """All edits: the posecodes in their order, then the changes.

    Attributes:
        edits: E of them.
        choice: what ``pose_rft.posescript.selection.choose`` reads.
        needs: the different conditions of all wordings.
        amounts: slot -> words for a change of no special size, a small one, a large one.
    """

    edits: tuple[Edit, ...]
    choice: Table
    needs: tuple[Need, ...]
    amounts: dict[str, list[list[str]]]


def _rival_columns(edits: list[Edit], apart: list[list[str]]) -> list[frozenset[int]]:
    """For each edit the others that its patterns, or whose patterns, name; ``apart`` are more pairs of patterns."""
    index = {edit.id: column for column, edit in enumerate(edits)}
    pairs = [(edit.id, pattern if "." in pattern else f"{pattern}.*") for edit in edits for pattern in edit.rivals]
    pairs += [(one, other) for one, other in apart]
    pairs += [(exchange_sides(one), exchange_sides(other)) for one, other in apart]
    found: list[set[int]] = [set() for _ in edits]
    for one, other in pairs:
        for first in matching(index, one):
            for second in matching(index, other):
                found[index[first]].add(index[second])
                found[index[second]].add(index[first])
    return [frozenset(columns - {column}) for column, columns in enumerate(found)]


@cache
def load_edits() -> EditTable:
    """The table of ``edits.yaml`` and the posecodes."""
    document = edits_table()
    codes, statistics = load_posecodes(), load_statistics()
    edits = [_posecode_edit(code, document["posecodes"]) for code in codes]
    for name, entry in document["changes"].items():
        for edit in _change_edits(name, entry):
            edits += [edit, _other_side(edit)] if name.startswith("left_") else [edit]
    index = {edit.id: column for column, edit in enumerate(edits)}
    rarity = -np.log(np.clip(statistics.frequency, RAREST, 0.97)) * [code.salience for code in codes]
    others = len(edits) - len(codes)
    choice = Table(
        weight=np.log([*rarity, *[-math.log(CHANGE_FREQUENCY)] * others]),
        partner=tuple(index[edit.partner] if edit.partner else -1 for edit in edits),
        rivals=tuple(_rival_columns(edits, document["apart"])),
        implied=(*statistics.implied, *[frozenset[int]()] * others),
        limbs=tuple(limbs_of(edit.subject) for edit in edits),
    )
    needs = tuple(dict.fromkeys(need for edit in edits for wording in edit.wordings for need in wording.needs))
    return EditTable(tuple(edits), choice, needs, document["amounts"])


@dataclass(frozen=True)
class Possible:
    """What may be said of N pairs of poses.

    Attributes:
        wordings: for each edit, (N, W) bool: which of its wordings may be used.
        size: (N, E) how large the change is, in units of 20 degrees or 10 cm.
    """

    wordings: tuple[np.ndarray, ...]
    size: np.ndarray


@torch.no_grad()
def possible_edits(pair: PosePair) -> Possible:
    """Which edits lead from the first to the second pose of each pair, and how large they are."""
    table = load_edits()
    measured = {"from": pair.source, "to": pair.target}

    def held(need: Need) -> np.ndarray:
        if isinstance(need.condition, Comparison):
            return pair.holds(need.condition).numpy()
        return compile_check(need.condition).evaluate(measured[need.of]).expand(pair.size).numpy()

    met = {need: held(need) for need in table.needs}
    sizes, usable = [], []
    for edit in table.edits:
        new = np.ones(pair.size, bool)
        if edit.code is not None:
            before, after = (
                compile_check(edit.code.check).margin(m).expand(pair.size).numpy() for m in (pair.source, pair.target)
            )
            new = before < ABSENT
            sizes.append(after - before)
        else:
            assert edit.of is not None
            unit = UNIT_DEGREES if _scale(edit.of) is IN_DEGREES else UNIT_METRES
            sizes.append(np.abs(pair.change(edit.of).numpy()) / unit)
        allowed = [np.logical_and.reduce([new, *(met[need] for need in wording.needs)]) for wording in edit.wordings]
        usable.append(np.stack(allowed, axis=1))
    return Possible(tuple(usable), np.clip(np.stack(sizes, axis=1), 0.1, LARGEST))
