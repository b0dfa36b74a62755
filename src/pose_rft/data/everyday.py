"""The benchmark everyday-prompts: what people type, with what a pose must show to be kept."""

import re
from functools import cache
from typing import Literal

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.storage import package_table

Split = Literal["dev", "test", "all"]
SPLITS = ("dev", "test", "all")


def everyday_prompts(split: Split = "test") -> list[Sample]:
    """The prompts of ``everyday_prompts.yaml`` in file order.

    Args:
        split: "dev" (a third, for choosing settings), "test" (two thirds, what is reported) or "all".

    Returns:
        Samples with ``prompt``, ``checks`` and ``category``; there is no recorded pose.

    Raises:
        UserError: an unknown split.
    """
    return read_prompts("everyday_prompts.yaml", "everyday-prompts", split)


def read_prompts(table: str, source: str, split: Split) -> list[Sample]:
    """The prompts of a benchmark's table in file order, as samples of ``source``.

    Raises:
        UserError: an unknown split.
    """
    if split not in SPLITS:
        raise UserError(f"no split is called {split!r}; there are: {', '.join(SPLITS)}")
    return [
        Sample(
            prompt=entry["text"],
            answer="",
            checks=tuple(entry["checks"]),
            source=source,
            category=group["category"],
        )
        for group in package_table(__package__, table)
        for entry in group["prompts"]
        if split in ("all", entry["split"])
    ]


def words(prompt: str) -> str:
    """A prompt without case, punctuation and articles: two prompts with the same words ask for the same thing."""
    return " ".join(word for word in re.findall(r"[a-z0-9]+", prompt.lower()) if word not in ("a", "an", "the"))


@cache
def _benchmark_words() -> set[str]:
    return {words(sample.prompt) for sample in everyday_prompts("all")}


def is_everyday_prompt(prompt: str) -> bool:
    """Whether a prompt is one of the benchmark's, up to case, punctuation and articles: keep it out of training."""
    return words(prompt) in _benchmark_words()
