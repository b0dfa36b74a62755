"""Which posecodes a caption states: unusual ones first, nothing implied, both sides together."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import NamedTuple

import numpy as np
from torch import Tensor

from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.posecodes import Posecode, load_posecodes, load_statistics, posecode_index

PAIRED = 0.9  # how often a fact that holds for both sides is stated for both
PER_LIMB = 2  # statements about one arm or leg; one more in long captions
ARM = {"arm", "upper_arm", "forearm", "elbow", "hand", "arms", "forearms", "elbows", "hands"}
LEG = {"leg", "knee", "thigh", "shin", "foot", "legs", "knees", "feet"}
CHANCE = 0.8  # how much chance has a say in the choice, against preference
RAREST = 0.003  # rarer posecodes than this are not preferred any further


class Statement(NamedTuple):
    """What one caption says of one thing: a posecode, for its own side or for both."""

    code: Posecode
    both: bool

    @property
    def columns(self) -> tuple[int, ...]:
        index = posecode_index()
        own = index[self.code.id]
        return (own, index[self.code.partner]) if self.both and self.code.partner else (own,)


@dataclass(frozen=True)
class Table:
    """Per posecode, or whatever else is to be chosen from, ready for the inner loop."""

    weight: np.ndarray  # (C,) log of how much it is preferred
    partner: tuple[int, ...]  # column of the other side, or -1
    rivals: tuple[frozenset[int], ...]  # columns not to be stated beside it
    implied: tuple[frozenset[int], ...]
    limbs: tuple[frozenset[str], ...]  # which arms and legs it is about


def part_of(subject: str) -> str:
    """arm, leg, torso, head or body."""
    part = subject.removeprefix("left_").removeprefix("right_")
    return "arm" if part in ARM else "leg" if part in LEG else part


def limbs_of(subject: str) -> frozenset[str]:
    """The arms and legs that a subject such as ``left_knee`` or ``hands`` belongs to: {"left leg"}."""
    part = part_of(subject)
    sides = (subject.split("_")[0],) if subject.startswith(("left_", "right_")) else ("left", "right")
    return frozenset(f"{side} {part}" for side in sides if part in ("arm", "leg"))


def preference() -> np.ndarray:
    """(C,) log of how much each posecode is preferred where it clearly holds: the rarer, the more."""
    salience = [code.salience for code in load_posecodes()]
    return np.log(-np.log(np.clip(load_statistics().frequency, RAREST, 0.97)) * salience)


@cache
def preference_table() -> Table:
    """What is chosen from where posecodes are stated."""
    codes, index, statistics = load_posecodes(), posecode_index(), load_statistics()
    return Table(
        weight=preference(),
        partner=tuple(index[code.partner] if code.partner else -1 for code in codes),
        rivals=tuple(frozenset(index[f"{code.subject}.{name}"] for name in code.rivals) for code in codes),
        implied=statistics.implied,
        limbs=tuple(limbs_of(code.subject) for code in codes),
    )


def choose(order: list[int], clear: set[int], count: int, table: Table, rng: Random) -> list[tuple[int, bool]]:
    """Go through the posecodes in order of preference and keep up to ``count`` that add something."""
    stated: dict[int, bool] = {}  # column of a statement -> for both sides?
    said: Counter[str] = Counter()
    taken: set[int] = set()  # columns stated, the other sides included
    known: set[int] = set()  # columns implied by those
    for column in order:
        if len(stated) == count:
            break
        crowded = any(said[limb] >= PER_LIMB + (count > 4) for limb in table.limbs[column])
        if crowded or column in taken or column in known or table.rivals[column] & taken:
            continue
        partner = table.partner[column]
        free = partner in clear and partner not in taken and partner not in known
        both = free and not table.rivals[partner] & taken and rng.random() < PAIRED
        new = {column, partner} if both else {column}
        implied = frozenset().union(*(table.implied[each] for each in new))
        for other, paired in list(stated.items()):  # what the newcomer implies need not be said any more
            old = {other, table.partner[other]} if paired else {other}
            if old <= implied:
                del stated[other]
                taken -= old
        stated[column] = both
        said.update(limb for each in new for limb in table.limbs[each])
        taken |= new
        known |= implied
    return list(stated.items())


def select(joints: Tensor, counts: list[int], seed: int) -> Iterator[list[Statement]]:
    """Statements for each pose.

    Args:
        joints: (N, 22, 3) metres.
        counts: N, how many statements to aim at.
        seed: the choice is a function of the pose, its place in the batch and the seed.
    """
    codes, table = load_posecodes(), preference_table()
    clear = satisfied([code.clearly for code in codes], joints).cpu()
    generator = np.random.default_rng(seed)
    wish = table.weight + generator.gumbel(size=(len(joints), len(codes))) * CHANCE
    wish[~clear.numpy()] = -np.inf
    ranked = np.argsort(-wish, axis=1)
    found = clear.sum(dim=1).tolist()
    for row, count in enumerate(counts):
        order = ranked[row, : found[row]].tolist()
        rng = Random(f"{seed} {row}")
        yield [Statement(codes[c], both) for c, both in choose(order, set(order), count, table, rng)]
