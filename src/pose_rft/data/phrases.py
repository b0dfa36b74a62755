"""How people type: a concept's phrase becomes "show me a woman standing in tree pose", "sit on a chair".

Everything is drawn from one `np.random.Generator`, so that a seed gives the same words.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from pose_rft.data.keyboard import VARIANT_RATE, odd_capitals, respelt, with_slips
from pose_rft.data.verbs import with_verb
from pose_rft.storage import package_table

T = TypeVar("T")


class Subject(NamedTuple):
    """Somebody who is in a pose."""

    text: str
    whose: str  # his, her, their
    be: str = "is"


TABLE = package_table(__package__, "phrases.yaml")
SUBJECTS = tuple(
    Subject(who, whose)
    for whose, people in TABLE["subjects"].items()
    for who, times in people.items()
    for _ in range(times)
)
PRONOUNS = tuple(Subject(*pronoun) for pronoun in TABLE["pronouns"])
ADDRESSEES: dict[str, str] = TABLE["addressees"]
REFLEXIVES: dict[str, str] = TABLE["reflexives"]
FRAMES: dict[str, list[str]] = TABLE["frames"]

IN_POSE = re.compile(r"\b(pose|position|posture|stance|guard|plank|squat|lunge|split|splits|asana|bow|T|A)$")

_PARTS = (
    "hands?|arms?|elbows?|wrists?|fists?|fingers?|palms?|forearms?|shoulders?|legs?|knees?|foot|feet|ankles?|thighs?|"
    "shins?|toes|soles?|heels?|calves|calf|head|face|neck|chin|cheek|cheeks|forehead|ears?|eyes|mouth|nose|hair|chest|"
    "stomach|belly|torso|upper body|body|waist|hips?|back|lower back|lap|heart|ribs|side|buttocks|bottom"
)
_ADJECTIVES = "left|right|front|back|rear|other|opposite|same|upper|lower|standing|raised|bent|straight|outstretched"
_THE_PART = re.compile(rf"\bthe ((?:(?:{_ADJECTIVES}) )*(?:{_PARTS}))\b(?! of\b)(?! (?:pose|position|stance))")
_WHOSE = re.compile(r"\b(?:his|her|their|your|one's)(?= )")
_SELF = re.compile(r"\b(?:himself|herself|themselves|themself|yourself|oneself)\b")


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, each as likely."""
    return options[int(rng.integers(len(options)))]


def owned(text: str, whose: str, rng: np.random.Generator, rate: float = 0.4) -> str:
    """Give the body parts of a phrase to their owner: "the left arm raised" -> "her left arm raised".

    Args:
        whose: his, her, their, your, my, or "the" for nobody's in particular.
        rate: how often "the" gives way.
    """
    if whose == "the":
        return text
    text = _SELF.sub(REFLEXIVES[whose], _WHOSE.sub(whose, text))
    return _THE_PART.sub(lambda match: f"{whose} {match[1]}", text) if rng.random() < rate else text


def say_doing(doing: str, rng: np.random.Generator) -> str:
    """A prompt from a gerund phrase: "standing in tree pose" -> "a woman stands in tree pose"."""
    chance = rng.random()
    if chance < 0.17:
        return doing
    if chance < 0.55:
        subject = pick(rng, SUBJECTS)
        return _frame(FRAMES["person"], doing, rng).format(s=subject.text, g=owned(doing, subject.whose, rng))
    if chance < 0.67:
        subject = pick(rng, SUBJECTS)
        return f"{subject.text} {owned(with_verb(doing, third=True), subject.whose, rng)}"
    if chance < 0.83:
        frame = pick(rng, FRAMES["imperative"])
        whose = next((whose for word, whose in ADDRESSEES.items() if word in frame), "your")
        return frame.format(b=owned(with_verb(doing), whose, rng))
    frame, pronoun = _frame(FRAMES["gerund"], doing, rng), pick(rng, PRONOUNS)
    whose = pronoun.whose if "{p}" in frame else "the"
    return frame.format(p=f"{pronoun.text} {pronoun.be}", g=owned(doing, whose, rng))


def _frame(frames: Sequence[str], phrase: str, rng: np.random.Generator) -> str:
    """A frame; a phrase with commas is not put in the middle of a question."""
    frame = pick(rng, frames)
    while "," in phrase and " look" in frame:
        frame = pick(rng, frames)
    return frame


def say_name(name: str, rng: np.random.Generator) -> str:
    """A prompt from a pose's name: "tree pose" -> "a man in tree pose", "what does tree pose look like?"."""
    subject = pick(rng, SUBJECTS)
    frames = FRAMES["name"] + 2 * FRAMES["in_name"] if IN_POSE.search(name) else FRAMES["name"]
    return pick(rng, frames).format(n=name, s=subject.text)


def say_who(who: str, rng: np.random.Generator) -> str:
    """A prompt from a person in a pose: "a boxer throwing a left jab" -> "show me a boxer throwing a left jab"."""
    return pick(rng, FRAMES["who"]).format(w=who)


def say_told(told: str, rng: np.random.Generator) -> str:
    """A prompt from a description that stands by itself; most people type nothing around it."""
    return pick(rng, FRAMES["told"]).format(t=told)


def say_with(text: str, standing: bool, rng: np.random.Generator) -> str:
    """A prompt from what may follow "with": "hands on hips" -> "a girl with hands on hips".

    Args:
        standing: whether "standing with ..." is true as well.
    """
    if standing and rng.random() < 0.3:
        return say_doing(f"standing with {text}", rng)
    frame, subject = pick(rng, FRAMES["with"]), pick(rng, SUBJECTS)
    return frame.format(s=subject.text, x=owned(text, subject.whose if "{s}" in frame else "the", rng))


def typed(text: str, rng: np.random.Generator) -> str:
    """Capitals, full stops, British and American words, and slips of the finger, as people type."""
    if rng.random() < VARIANT_RATE:
        text = respelt(text, rng)
    text = with_slips(text, rng)
    chance = rng.random()
    question = text.endswith("?")
    if chance < 0.42:  # as it is; question marks are often left out
        return text.removesuffix("?") if question and rng.random() < 0.5 else text
    if chance < 0.47:
        text = text.lower()
    elif chance < 0.51:
        return odd_capitals(text, rng)
    else:
        text = text[0].upper() + text[1:]
    if text.endswith(("?", ".", "!")) or chance < 0.6:
        return text
    return text + ("!" if chance > 0.99 else "." if chance < 0.985 else "..")
