"""What can be said of a person in a picture, and which of it a prompt asks about."""

import math
import re
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from pose_rft.posescript.posecodes import exchange_sides

RELATED = 0.3  # similarity from which on a prompt asks about something
NEARLY = 0.75  # of the likeliest's similarity: what else a prompt may mean
ASKED_ABOUT = 3  # things at most that are said for a prompt that asks about something
UNASKED = 6  # things that are said for a prompt that asks about nothing in particular
GENERAL = frozenset({"the", "person", "body", "pose", "picture"})  # words that say nothing of what is asked
# Says which of several people is meant, and nothing of what is asked about them.
WHO = re.compile(
    r"\b(?:person|man|woman|boy|girl|one) (?:on|to|at) the (?:left|right)\b|\b(?:left|right) (?:person|man|woman)\b"
)


@dataclass(frozen=True)
class Attribute:
    """What can be said of a pose where a question about it has the given answer.

    Attributes:
        text: the sentence.
        topic: what the question is about; statements about one thing exclude each other.
        truth: the question's answer: ``yes``, ``left``, ``right``, ``both`` or ``neither``.
        denial: what can be said where the answer is no; empty if ``truth`` is not yes.
        questions: wordings of the question, or of what it asks about.
    """

    text: str
    topic: str
    truth: str
    denial: str = ""
    questions: tuple[str, ...] = ()


def rows_by_topic(attributes: Sequence[Attribute]) -> dict[str, list[int]]:
    """The rows of the attributes of each topic: one for yes or no, one for each side."""
    rows: dict[str, list[int]] = {}
    for row, attribute in enumerate(attributes):
        rows.setdefault(attribute.topic, []).append(row)
    return rows


class AttributeVerbalizer:
    """Says of what was found in a picture what a prompt asks about.

    Prompts and wordings are compared by the letters of their words: by the cosine of which runs of three letters they
    hold and which pairs of words, rare ones counting more. So "does she bend her left knee" asks about the statement
    "the left knee is bent".

    Args:
        attributes: F of them.

    Attributes:
        flipped_rows: (F,) the row of what holds of the flipped picture where an attribute holds.
    """

    def __init__(self, attributes: Sequence[Attribute]) -> None:
        self.attributes = list(attributes)
        self.rows = rows_by_topic(self.attributes)
        row_of = {statement.text: row for row, statement in enumerate(self.attributes)}
        self.flipped_rows = [row_of.get(exchange_sides(each.text), row_of[each.text]) for each in self.attributes]
        wordings = [
            (about, _runs(text)) for about, rows in self.rows.items() for text in self.attributes[rows[0]].questions
        ]
        things: dict[str, set[str]] = {about: set() for about in self.rows}  # that a run occurs in
        for about, runs in wordings:
            things[about] |= runs
        holders = Counter(run for runs in things.values() for run in runs)
        self.rarity = {run: math.log((1 + len(things)) / count) for run, count in holders.items()}
        self.wordings = [(about, runs, self._length(runs)) for about, runs in wordings]

    def topics(self, prompt: str) -> list[str]:
        """What a prompt may ask about, the likeliest first; empty if it asks about nothing in particular."""
        runs = _runs(WHO.sub("", prompt.lower())) & self.rarity.keys()
        length = self._length(runs)
        best: dict[str, float] = {}
        for about, own, own_length in self.wordings:
            alike = sum(self.rarity[run] ** 2 for run in runs & own) / max(length * own_length, 1e-9)
            best[about] = max(best.get(about, 0.0), alike)
        least = max(RELATED, NEARLY * max(best.values(), default=0.0))
        related = [about for about, alike in best.items() if alike >= least]
        return sorted(related, key=lambda about: -best[about])[:ASKED_ABOUT]

    def verbalize(self, prompt: str, logits: Sequence[float]) -> str:
        """Sentences for a prompt about a picture.

        Args:
            logits: F of them, that each statement holds.
        """
        asked = self.topics(prompt)
        if asked:
            return " ".join(self._about(about, logits) for about in asked)
        texts: dict[str, str] = {}
        for row in sorted(range(len(logits)), key=lambda row: -logits[row]):
            if logits[row] > 0 and len(texts) < UNASKED:
                texts.setdefault(self.attributes[row].topic, self.attributes[row].text)
        return " ".join(texts.values())

    def _about(self, about: str, logits: Sequence[float]) -> str:
        row = max(self.rows[about], key=lambda row: logits[row])
        statement = self.attributes[row]
        return statement.denial if statement.truth == "yes" and logits[row] <= 0 else statement.text

    def _length(self, runs: Set[str]) -> float:
        return math.sqrt(sum(self.rarity[run] ** 2 for run in runs))


def _runs(text: str) -> frozenset[str]:
    """Runs of three letters in the words of a text, which begin and end with a blank, and pairs of words."""
    words = [word for word in re.findall(r"[a-z]+", text.lower()) if word not in GENERAL]
    letters = {f" {word} "[i : i + 3] for word in words for i in range(len(word))}
    return frozenset(letters | {f"{one} {other}" for one, other in pairwise(words)})
