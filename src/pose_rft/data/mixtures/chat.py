"""Talk that wants words and no pose, so that the model learns when not to pose: written pairs and simple templates."""

from functools import cache

import numpy as np

from pose_rft.data.phrases import pick, typed
from pose_rft.storage import package_table

WRITTEN_SHARE = 0.75
TEMPLATES = package_table(__package__, "chat_templates.yaml")
FRAMES: dict[str, list[str]] = TEMPLATES["frames"]
DAYS, WORDS = TEMPLATES["days"], TEMPLATES["words"]


@cache
def written_pairs() -> tuple[tuple[str, str], ...]:
    """The (prompt, answer) pairs of chat.yaml; an entry with several prompts gives several pairs."""
    entries = package_table(__package__, "chat.yaml")
    return tuple((prompt, entry["answer"]) for entry in entries for prompt in entry["prompts"])


def chat_pair(rng: np.random.Generator) -> tuple[str, str]:
    """One prompt with its answer."""
    if rng.random() < WRITTEN_SHARE:
        prompt, answer = pick(rng, written_pairs())
        return (prompt if rng.random() < 0.5 else typed(prompt, rng)), answer
    return pick(rng, (sum_of_two, spelling, next_day, counting, length_of_word, comparison))(rng)


def sum_of_two(rng: np.random.Generator) -> tuple[str, str]:
    """Small arithmetic."""
    a, b = int(rng.integers(2, 60)), int(rng.integers(2, 30))
    kind = rng.integers(3)
    if kind == 0:
        return pick(rng, FRAMES["plus"]).format(a=a, b=b), f"{a} plus {b} is {a + b}."
    if kind == 1:
        a, b = a + b, min(a, b)
        return pick(rng, FRAMES["minus"]).format(a=a, b=b), f"{a} minus {b} is {a - b}."
    a, b = a % 12 + 1, b % 12 + 1
    return pick(rng, FRAMES["times"]).format(a=a, b=b), f"{a} times {b} is {a * b}."


def spelling(rng: np.random.Generator) -> tuple[str, str]:
    """How a word is spelled."""
    word = pick(rng, WORDS)
    return pick(rng, FRAMES["spelling"]).format(w=word), f"It is spelled {'-'.join(word.upper())}."


def next_day(rng: np.random.Generator) -> tuple[str, str]:
    """The days of the week."""
    at = int(rng.integers(7))
    if rng.random() < 0.5:
        return pick(rng, FRAMES["day_after"]).format(d=DAYS[at]), f"The day after {DAYS[at]} is {DAYS[(at + 1) % 7]}."
    return pick(rng, FRAMES["day_before"]).format(d=DAYS[at]), f"The day before {DAYS[at]} is {DAYS[at - 1]}."


def counting(rng: np.random.Generator) -> tuple[str, str]:
    """Counting on."""
    a, n = int(rng.integers(1, 20)), int(rng.integers(3, 7))
    text = ", ".join(str(a + i) for i in range(n))
    return pick(rng, FRAMES["counting"]).format(a=a, b=a + n - 1), f"Here you go: {text}."


def length_of_word(rng: np.random.Generator) -> tuple[str, str]:
    """How many letters a word has."""
    word = pick(rng, WORDS)
    return pick(rng, FRAMES["length"]).format(w=word), f"The word {word} has {len(word)} letters."


def comparison(rng: np.random.Generator) -> tuple[str, str]:
    """Which number is larger."""
    a = int(rng.integers(1, 100))
    b = a + int(rng.integers(1, 40))
    if rng.random() < 0.5:
        a, b = b, a
    return pick(rng, FRAMES["larger"]).format(a=a, b=b), f"{max(a, b)} is larger than {min(a, b)}."
