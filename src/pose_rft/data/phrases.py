"""How people type: a concept's phrase becomes "show me a woman standing in tree pose", "sit on a chair".

Everything is drawn from one `np.random.Generator`, so that a seed gives the same words.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from pose_rft.data.verbs import with_verb

T = TypeVar("T")


class Subject(NamedTuple):
    """Somebody who is in a pose."""

    text: str
    whose: str  # his, her, their
    be: str = "is"


# Whose limbs -> who; said twice is said more often.
_WHO = {
    "their": (
        *["a person"] * 7, *["someone"] * 4, *["a character"] * 2, *["the person"] * 2, "a human", "somebody", "a kid",
        "a child", "a teenager", "an adult", "a model", "a dancer", "an athlete", "this person", "one person",
    ),
    "his": (*["a man"] * 4, *["a boy"] * 2, "a guy", "a young man", "an old man", "the man", "a male"),
    "her": (*["a woman"] * 4, *["a girl"] * 2, "a lady", "a young woman", "the woman", "a female"),
    "the": ("a figure", "a figure", "a mannequin"),
}  # fmt: skip
SUBJECTS = tuple(Subject(who, whose) for whose, people in _WHO.items() for who in people)
PRONOUNS = (
    Subject("he", "his"), Subject("she", "her"), Subject("they", "their", "are"), Subject("I", "my", "am"),
    Subject("you", "your", "are"),
)  # fmt: skip

# {s} subject; {g} gerund phrase; {b} imperative ("sit down"); {t} third person ("sits down"); {n} the pose's name;
# {w} a person in the pose; {x} what follows "with"; {p} a pronoun with its form of "be"
ASK_PERSON = (
    "{s} {g}", "{s} {g}", "{s} {g}", "{s} {g}", "{s} is {g}", "{s} is {g}", "{s} who is {g}", "there is {s} {g}",
    "{s}, {g}", "show me {s} {g}", "show {s} {g}", "can you show me {s} {g}?", "I want to see {s} {g}",
    "I need {s} {g}", "I need a pose of {s} {g}", "generate {s} {g}", "generate a pose of {s} {g}",
    "create {s} {g}", "create a 3d pose of {s} {g}", "make a pose of {s} {g}", "give me {s} {g}",
    "give me a pose of {s} {g}", "draw {s} {g}", "draw me {s} {g}", "pose of {s} {g}", "the pose of {s} {g}",
    "a picture of {s} {g}", "a photo of {s} {g}", "an image of {s} {g}", "imagine {s} {g}", "3d pose of {s} {g}",
    "a sketch of {s} {g}", "a statue of {s} {g}", "what does {s} {g} look like?", "this is {s} {g}",
    "what does it look like when {s} is {g}?", "please show {s} {g}", "could you make a pose of {s} {g}?",
    "can you generate {s} {g}?", "I'd like a pose of {s} {g}", "I'm looking for a pose of {s} {g}",
    "we see {s} {g}", "picture {s} {g}", "{s} in a pose, {g}", "I need a reference of {s} {g}", "pose {s} {g}",
    "SMPL pose of {s} {g}", "a 3d model of {s} {g}", "body pose: {s} {g}",
)  # fmt: skip
ASK_GERUND = (
    "{p} {g}", "{p} {g}", "what does {g} look like?", "3d pose: {g}", "pose: {g}", "give me a pose for {g}",
    "a pose for {g}", "show me what {g} looks like", "how does {g} look?", "someone {g} please",
    "I need a pose: {g}", "full body, {g}", "character {g}", "man {g}", "woman {g}",
    "person {g}", "girl {g}", "figure {g}",
)  # fmt: skip
ASK_IMPERATIVE = (
    "{b}", "{b}", "{b}", "{b}", "please {b}", "{b} please", "make the character {b}", "make the person {b}",
    "have him {b}", "have her {b}", "let the figure {b}", "can you {b}?", "could you {b}?", "now {b}",
    "I want you to {b}", "show me how to {b}", "the person should {b}", "the character has to {b}",
)  # fmt: skip
TOLD = {"him": "his", "her": "her", "character": "their", "person": "their", "figure": "its"}
ASK_NAME = (
    "{n}", "{n}", "{n}", "do {n}", "{s} doing {n}", "{s} doing {n}", "{s} is doing {n}", "{s} does {n}", "show me {n}",
    "show {n}", "what does {n} look like?", "3d pose: {n}", "pose: {n}", "can you show me {n}?", "can you do {n}?",
    "demonstrate {n}", "draw {s} doing {n}", "generate {n}", "show me someone doing {n}", "I want to see {n}",
    "how does {n} look?", "give me {n}", "please do {n}", "create {n}", "this is {n}", "make {s} do {n}",
    "what would {n} look like?", "I need a reference for {n}",
)  # fmt: skip
ASK_IN_NAME = ("{s} in {n}", "{s} in {n}", "show me {s} in {n}", "{s} is in {n}", "put {s} in {n}", "draw {s} in {n}")
ASK_WHO = (
    "{w}", "{w}", "{w}", "{w}", "show me {w}", "show {w}", "this is {w}", "imagine {w}", "generate {w}", "draw {w}",
    "there is {w}", "a picture of {w}", "a photo of {w}", "pose like {w}", "can you show me {w}?", "the pose of {w}",
    "what does {w} look like?", "I need {w}", "I need a pose of {w}", "give me {w}", "create {w}", "pose of {w}",
    "make a 3d pose of {w}", "3d pose: {w}", "could you pose {w}?", "I want to see {w}", "look like {w}",
)  # fmt: skip
ASK_WITH = (
    "{s} with {x}", "{s} with {x}", "{s} with {x}", "{x}", "{x}", "show me {s} with {x}", "a pose with {x}",
    "show someone with {x}", "generate {s} with {x}", "draw {s} with {x}", "I need a pose with {x}", "{s}, {x}",
    "give me {s} with {x}", "can you make a pose with {x}?", "pose with {x}", "create a pose with {x}",
    "a picture of {s} with {x}", "there is {s} with {x}", "I want {s} with {x}", "body pose: {x}",
)  # fmt: skip
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
_SELVES = {
    "his": "himself",
    "her": "herself",
    "their": "themselves",
    "your": "yourself",
    "my": "myself",
    "its": "itself",
}
KEYBOARD_TYPO_RATE = 0.02


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, each as likely."""
    return options[int(rng.integers(len(options)))]


def owned(text: str, whose: str, rng: np.random.Generator) -> str:
    """Give the body parts of a phrase to their owner: "the left arm raised" -> "her left arm raised".

    Args:
        whose: his, her, their, your, my, or "the" for nobody's in particular.
    """
    if whose == "the":
        return text
    text = _SELF.sub(_SELVES[whose], _WHOSE.sub(whose, text))
    return _THE_PART.sub(lambda match: f"{whose} {match[1]}", text) if rng.random() < 0.4 else text


def say_doing(doing: str, rng: np.random.Generator) -> str:
    """A prompt from a gerund phrase: "standing in tree pose" -> "a woman stands in tree pose"."""
    chance = rng.random()
    if chance < 0.17:
        return doing
    if chance < 0.55:
        subject = pick(rng, SUBJECTS)
        return _frame(ASK_PERSON, doing, rng).format(s=subject.text, g=owned(doing, subject.whose, rng))
    if chance < 0.67:
        subject = pick(rng, SUBJECTS)
        return f"{subject.text} {owned(with_verb(doing, third=True), subject.whose, rng)}"
    if chance < 0.83:
        frame = pick(rng, ASK_IMPERATIVE)
        whose = next((whose for word, whose in TOLD.items() if word in frame), "your")
        return frame.format(b=owned(with_verb(doing), whose, rng))
    frame, pronoun = _frame(ASK_GERUND, doing, rng), pick(rng, PRONOUNS)
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
    frames = ASK_NAME + 2 * ASK_IN_NAME if IN_POSE.search(name) else ASK_NAME
    return pick(rng, frames).format(n=name, s=subject.text)


def say_who(who: str, rng: np.random.Generator) -> str:
    """A prompt from a person in a pose: "a boxer throwing a left jab" -> "show me a boxer throwing a left jab"."""
    return pick(rng, ASK_WHO).format(w=who)


def say_with(text: str, standing: bool, rng: np.random.Generator) -> str:
    """A prompt from what may follow "with": "hands on hips" -> "a girl with hands on hips".

    Args:
        standing: whether "standing with ..." is true as well.
    """
    if standing and rng.random() < 0.3:
        return say_doing(f"standing with {text}", rng)
    frame, subject = pick(rng, ASK_WITH), pick(rng, SUBJECTS)
    return frame.format(s=subject.text, x=owned(text, subject.whose if "{s}" in frame else "the", rng))


def typed(text: str, rng: np.random.Generator) -> str:
    """Capitals, full stops and the occasional slip of the finger."""
    chance = rng.random()
    if rng.random() < KEYBOARD_TYPO_RATE:
        text = slipped(text, rng)
    question = text.endswith("?")
    if chance < 0.45:  # as it is; question marks are often left out
        return text.removesuffix("?") if question and rng.random() < 0.5 else text
    if chance < 0.49:
        text = text.lower()
    elif chance < 0.495:
        return text.upper()
    elif chance < 0.505:
        return text.title().replace("'S ", "'s ").replace("'M ", "'m ").replace("'D ", "'d ")
    else:
        text = text[0].upper() + text[1:]
    if question or chance < 0.6:
        return text
    return text + ("!" if chance > 0.99 else "." if chance < 0.985 else "..")


def slipped(text: str, rng: np.random.Generator) -> str:
    """One typing error in one longer word; "left" and "right" are spared."""
    places = [m for m in re.finditer(r"[a-z]{5,}", text) if m[0] not in ("right",)]
    if not places:
        return text
    word = pick(rng, places)
    at = word.start() + 1 + int(rng.integers(len(word[0]) - 2))
    kind = rng.integers(3)
    if kind == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + (text[at + 1 :] if kind == 1 else text[at] + text[at:])
