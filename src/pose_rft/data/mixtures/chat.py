"""Talk that wants words and no pose, so that the model learns when not to pose: written pairs and simple templates."""

from functools import cache
from pathlib import Path

import numpy as np
import yaml

from pose_rft.data.phrases import pick, typed

WRITTEN_SHARE = 0.75


@cache
def written_pairs() -> tuple[tuple[str, str], ...]:
    """The (prompt, answer) pairs of chat.yaml; an entry with several prompts gives several pairs."""
    entries = yaml.safe_load((Path(__file__).parent / "chat.yaml").read_text(encoding="utf-8"))
    return tuple((prompt, entry["answer"]) for entry in entries for prompt in entry["prompts"])


def chat_pair(rng: np.random.Generator) -> tuple[str, str]:
    """One prompt with its answer."""
    if rng.random() < WRITTEN_SHARE:
        prompt, answer = pick(rng, written_pairs())
        return (prompt if rng.random() < 0.5 else typed(prompt, rng)), answer
    return pick(rng, (sum_of_two, spelling, next_day, counting, length_of_word, comparison))(rng)


DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WORDS = (
    "knee", "elbow", "shoulder", "ankle", "wrist", "finger", "spine", "muscle", "balance", "stretch", "dancer",
    "runner", "yoga", "boxing", "tennis", "football", "garden", "window", "kitchen", "bicycle", "holiday",
    "morning", "orange", "purple", "river", "mountain", "music", "library", "camera", "pencil",
)  # fmt: skip


def sum_of_two(rng: np.random.Generator) -> tuple[str, str]:
    """Small arithmetic."""
    a, b = int(rng.integers(2, 60)), int(rng.integers(2, 30))
    kind = rng.integers(3)
    if kind == 0:
        frames = ("What is {a} plus {b}?", "{a} + {b} = ?", "add {a} and {b}", "how much is {a} + {b}")
        return pick(rng, frames).format(a=a, b=b), f"{a} plus {b} is {a + b}."
    if kind == 1:
        a, b = a + b, min(a, b)
        frames = ("What is {a} minus {b}?", "{a} - {b}?", "subtract {b} from {a}", "how much is {a} - {b}")
        return pick(rng, frames).format(a=a, b=b), f"{a} minus {b} is {a - b}."
    a, b = a % 12 + 1, b % 12 + 1
    frames = ("What is {a} times {b}?", "{a} x {b}", "multiply {a} by {b}", "{a} * {b} = ?")
    return pick(rng, frames).format(a=a, b=b), f"{a} times {b} is {a * b}."


def spelling(rng: np.random.Generator) -> tuple[str, str]:
    """How a word is spelled."""
    word = pick(rng, WORDS)
    frames = ("How do you spell {w}?", "spell {w}", "Spell the word {w}.", "can you spell {w} for me")
    return pick(rng, frames).format(w=word), f"It is spelled {'-'.join(word.upper())}."


def next_day(rng: np.random.Generator) -> tuple[str, str]:
    """The days of the week."""
    at = int(rng.integers(7))
    if rng.random() < 0.5:
        frames = ("What day comes after {d}?", "which day follows {d}", "the day after {d}?")
        return pick(rng, frames).format(d=DAYS[at]), f"The day after {DAYS[at]} is {DAYS[(at + 1) % 7]}."
    frames = ("What day comes before {d}?", "which day is before {d}", "the day before {d}?")
    return pick(rng, frames).format(d=DAYS[at]), f"The day before {DAYS[at]} is {DAYS[at - 1]}."


def counting(rng: np.random.Generator) -> tuple[str, str]:
    """Counting on."""
    a, n = int(rng.integers(1, 20)), int(rng.integers(3, 7))
    text = ", ".join(str(a + i) for i in range(n))
    frames = ("Count from {a} to {b}.", "count from {a} to {b}", "can you count from {a} up to {b}?")
    return pick(rng, frames).format(a=a, b=a + n - 1), f"Here you go: {text}."


def length_of_word(rng: np.random.Generator) -> tuple[str, str]:
    """How many letters a word has."""
    word = pick(rng, WORDS)
    frames = ("How many letters are in the word {w}?", "how many letters does {w} have", "number of letters in {w}?")
    return pick(rng, frames).format(w=word), f"The word {word} has {len(word)} letters."


def comparison(rng: np.random.Generator) -> tuple[str, str]:
    """Which number is larger."""
    a = int(rng.integers(1, 100))
    b = a + int(rng.integers(1, 40))
    if rng.random() < 0.5:
        a, b = b, a
    frames = ("Which is larger, {a} or {b}?", "is {a} or {b} bigger", "what is more, {a} or {b}?")
    return pick(rng, frames).format(a=a, b=b), f"{max(a, b)} is larger than {min(a, b)}."
