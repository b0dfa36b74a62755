"""Parsing back: from a text to the posecodes and the other checks that it states.

Captions are read exactly. Of free text, what is said in the words of captions is understood and the rest is reported.
A text is cut into the statements that it mentions and the words between them (``mentions``); of these, the ones that it
makes of the person described are kept (``assertion``). So what is returned is stated, and what is doubtful is reported.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.pose_files import Up, read_poses
from pose_rft.errors import UserError
from pose_rft.posescript.assertion import Word, asserted
from pose_rft.posescript.checks import either_side, satisfied
from pose_rft.posescript.lexicon import ONESELF, OWNERS, POINTERS, SELVES, words_in
from pose_rft.posescript.mentions import ARM_NOUNS, LEG_NOUNS, STOPS, Mention, find_mentions, holds_together
from pose_rft.posescript.requested import requested
from pose_rft.posescript.rewording import reworded
from pose_rft.posescript.spelling import corrected


class Statement(NamedTuple):
    """One thing that a text states.

    Attributes:
        check: its truth condition, in the language of ``pose_rft.posescript.checks``.
        posecode: the id of the posecode that it is, or "" where it is none, as "the left elbow at 120 degrees".
        aim: what a pose that is made to do it meets, the middle of what the words may mean; "" for the check.
    """

    check: str
    posecode: str = ""
    aim: str = ""


@dataclass(frozen=True)
class Parsed:
    """What a text says.

    Attributes:
        statements: what is stated, in the order of the text, each once.
        recognised: share of the words that belong to a statement, 0 to 1; words such as "she", "with" and "and" between
            statements do not count. 0 where nothing is stated.
        unknown: what was not understood, in lower case and without articles.
    """

    statements: tuple[Statement, ...]
    recognised: float
    unknown: tuple[str, ...]

    @property
    def checks(self) -> tuple[str, ...]:
        """The truth conditions of the statements."""
        return tuple(each.check for each in self.statements)

    @property
    def posecodes(self) -> tuple[str, ...]:
        """The ids of those statements that are posecodes."""
        return tuple(each.posecode for each in self.statements if each.posecode)


def parse(text: str, request: bool = False) -> Parsed:
    """What a text states of a pose.

    Args:
        text: a caption, or anything else; capitals, stops and articles do not matter.
        request: the text asks for a pose, so whatever it mentions and does not deny is wanted; words that are not
            understood doubt nothing. What is denied is stated as its contrary.

    Returns:
        What was understood and how much that is; nothing is guessed.
    """
    if request:
        asked = reworded(text)
        tokens, stated = asked.tokens, requested(asked)
    else:
        words = [(".", ""), *_with_owners(text), (".", "")]  # a stop on both sides saves asking for the ends
        tokens = [token for token, _ in words]
        stated = asserted(words, find_mentions(tokens))
    known = [False] * len(tokens)
    for one in stated:
        known[one.start : one.end] = [True] * (one.end - one.start)
    unknown = _runs(tokens, known)
    understood, missed = sum(known), sum(len(run.split()) for run in unknown)
    recognised = understood / (understood + missed) if understood else 0.0
    return Parsed(tuple(dict.fromkeys(_statements(stated))), recognised, unknown)


def _statements(stated: Sequence[Mention]) -> Iterator[Statement]:
    """What mentions state; of "one arm" and "the other arm" together, of whichever side."""
    sideless: list[list[Mention]] = []  # each of one limb and of its twin
    for one in stated:
        if sideless and (one.limb.startswith("other ") or _is_of_same_limb(sideless[-1][-1].limb, one.limb)):
            sideless[-1].append(one)
        elif one.limb:
            sideless.append([one])
    begun = {group[0]: group for group in sideless}
    for one in stated:
        if not one.limb:
            yield from (Statement(fact.check, fact.posecode, fact.aim) for fact in one.facts)
        elif group := begun.get(one):
            facts = [fact for each in group for fact in each.facts]
            aim = either_side([fact.aim or fact.check for fact in facts])
            yield Statement(either_side([fact.check for fact in facts]), "", aim)


def _is_of_same_limb(before: str, limb: str) -> bool:
    """Whether nouns without a side name parts of one limb: "thigh level, shin vertical", and not "one knee" twice."""
    nouns = before.removeprefix("one "), limb.removeprefix("one ")
    if nouns[0] == nouns[1] or not limb.startswith("one ") or not before.startswith("one "):
        return False
    return any(kind.issuperset(noun.split()[-1] for noun in nouns) for kind in (ARM_NOUNS, LEG_NOUNS))


def _with_owners(text: str) -> Iterator[Word]:
    """The tokens of a text, each with the article or possessive before it: "your knee" -> (knee, your)."""
    owner = ""
    for word in corrected(words_in(text)):
        if word in OWNERS or word in POINTERS:
            owner = word
        else:
            yield (ONESELF if word in SELVES else word), owner
            owner = ""


def statements_held(text: str, poses_path: str | Path, up: Up | None = None) -> tuple[Parsed, Tensor]:
    """Which statements of a text hold for the poses of a file.

    Args:
        text: what is said.
        poses_path: a pose file; see ``read_poses``.
        up: the axis that points up in it.

    Returns:
        What the text says, and (N, C) bool for its C checks.

    Raises:
        UserError: nothing in the text is understood, or the poses cannot be read.
    """
    said = parse(text)
    if not said.statements:
        quoted = shorten(text, 80, placeholder=" ...")
        raise UserError(f"nothing in '{quoted}' is understood as said of a person; say 'the left knee is bent'")
    return said, satisfied(said.checks, load_body().points(torch.from_numpy(read_poses(poses_path, up).pose)))


def _runs(tokens: Sequence[str], known: Sequence[bool]) -> tuple[str, ...]:
    """The words that belong to no statement, those side by side together."""
    runs: list[list[str]] = [[]]
    for token, of_statement in zip(tokens, known, strict=True):
        if of_statement or token in STOPS:
            runs.append([])
        elif not holds_together(token):
            runs[-1].append(token)
    return tuple(" ".join(run) for run in runs if run)
