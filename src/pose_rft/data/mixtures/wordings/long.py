"""Long prompts of which one sentence matters: what people tell around what they want."""

import numpy as np

from pose_rft.data.keyboard import with_slips
from pose_rft.data.mixtures.wordings.templates import sentence, spun
from pose_rft.data.phrases import pick
from pose_rft.storage import package_table

TABLE: dict[str, list[str]] = package_table(__package__, "long.yaml")


def told_at_length(prompt: str, rng: np.random.Generator) -> str:
    """A prompt with one to four sentences before it and up to two after it, none of which says anything of the pose."""
    before = _some(TABLE["openings"], int(rng.integers(1, 5)), rng)
    after = _some(TABLE["closings"], int(rng.integers(0, 3)), rng)
    if rng.random() < 0.12:
        before, after = [], _some(TABLE["closings"], int(rng.integers(2, 5)), rng)
    text = prompt.strip().rstrip(".")
    carrier = pick(rng, TABLE["carriers"])
    if "{P}" in carrier or ". " in text or text.endswith(("?", "!")):
        told = sentence(text)
    else:
        told = spun(carrier, rng).format(p=text)
    return with_slips(" ".join([*before, told, *after]), rng)


def _some(templates: list[str], count: int, rng: np.random.Generator) -> list[str]:
    chosen = rng.choice(len(templates), size=count, replace=False)
    return [spun(templates[index], rng) for index in chosen]
