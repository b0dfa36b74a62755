"""The benchmark everyday-prompts: what people type, with the geometry that any fitting pose shows."""

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Literal

import yaml

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError

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
    if split not in SPLITS:
        raise UserError(f"no split is called {split!r}; there are: {', '.join(SPLITS)}")
    text = resources.files(__package__).joinpath("everyday_prompts.yaml").read_text(encoding="utf-8")
    return [
        Sample(
            prompt=entry["text"],
            answer="",
            checks=tuple(entry["checks"]),
            source="everyday-prompts",
            category=group["category"],
        )
        for group in yaml.safe_load(text)
        for entry in group["prompts"]
        if split in ("all", entry["split"])
    ]


def words(prompt: str) -> str:
    """A prompt without case, punctuation and articles: two prompts with the same words ask for the same thing."""
    return " ".join(word for word in re.findall(r"[a-z0-9]+", prompt.lower()) if word not in ("a", "an", "the"))


@cache
def _benchmark_words() -> dict[str, str]:
    return {words(sample.prompt): sample.prompt for sample in everyday_prompts("all")}


def is_everyday_prompt(prompt: str) -> bool:
    """Whether a prompt is one of the benchmark's, up to case, punctuation and articles: keep it out of training."""
    return words(prompt) in _benchmark_words()


def leaked(training_prompts: Iterable[str]) -> list[str]:
    """Benchmark prompts that also stand in a training set, in benchmark order. Should be empty."""
    seen = {words(prompt) for prompt in training_prompts}
    return [prompt for key, prompt in _benchmark_words().items() if key in seen]
