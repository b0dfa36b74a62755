"""The benchmark everyday-prompts: what people type, with what a pose must show to be kept."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Literal, Protocol

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
    return samples_of_split(entries_by_category(table), source, split)


def entries_by_category(table: str) -> list[tuple[str, dict[str, Any]]]:
    """The entries of a benchmark's table in file order, each behind its category."""
    return [(group["category"], entry) for group in package_table(__package__, table) for entry in group["prompts"]]


def of_split(entries: Iterable[tuple[str, dict[str, Any]]], split: Split) -> list[tuple[str, dict[str, Any]]]:
    """Those entries of a benchmark's table that are in a split.

    Raises:
        UserError: an unknown split.
    """
    if split not in SPLITS:
        raise UserError(f"no split is called {split!r}; there are: {', '.join(SPLITS)}")
    return [(category, entry) for category, entry in entries if split in ("all", entry["split"])]


def samples_of_split(entries: Iterable[tuple[str, dict[str, Any]]], source: str, split: Split) -> list[Sample]:
    """Entries of a benchmark's table (``text``, ``checks``, ``split``), each behind its category, as samples.

    Raises:
        UserError: an unknown split.
    """
    return [
        Sample(prompt=entry["text"], answer="", checks=tuple(entry["checks"]), source=source, category=category)
        for category, entry in of_split(entries, split)
    ]


def words(prompt: str) -> str:
    """A prompt without case, punctuation and articles: two prompts with the same words ask for the same thing."""
    return " ".join(word for word in re.findall(r"[a-z0-9]+", prompt.lower()) if word not in ("a", "an", "the"))


class Prompted(Protocol):
    """An entry of a benchmark."""

    @property
    def prompt(self) -> str: ...


Benchmark = Callable[[Split], Sequence[Prompted]]


@cache
def _words_of(benchmark: Benchmark) -> frozenset[str]:
    return frozenset(words(entry.prompt) for entry in benchmark("all"))


def is_prompt_of(benchmark: Benchmark, prompt: str) -> bool:
    """Whether a prompt is one of a benchmark's, up to case, punctuation and articles."""
    return words(prompt) in _words_of(benchmark)


def is_everyday_prompt(prompt: str) -> bool:
    """Whether a prompt is one of the benchmark's, up to case, punctuation and articles: keep it out of training."""
    return is_prompt_of(everyday_prompts, prompt)
