"""The benchmark wordings: prompts whose words decide, such as a negation or a number, and whose spelling may be odd."""

from pose_rft.data.everyday import Split, is_prompt_of, read_prompts
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError

CATEGORIES = ("negation", "contrast", "numbers", "degrees", "capitals", "typos", "long")


def wording_prompts(split: Split = "test", category: str | None = None) -> list[Sample]:
    """The prompts of ``wording_prompts.yaml`` in file order.

    Args:
        split: "dev" (25 of each category, for choosing settings), "test" (50, what is reported) or "all".
        category: one of ``CATEGORIES``; None takes all.

    Returns:
        Samples with ``prompt``, ``checks`` and ``category``; there is no recorded pose. A pose that meets all checks
        is what a person would call right.

    Raises:
        UserError: an unknown split or category.
    """
    if category not in (None, *CATEGORIES):
        raise UserError(f"no category of wordings is called {category!r}; there are: {', '.join(CATEGORIES)}")
    prompts = read_prompts("wording_prompts.yaml", "wordings", split)
    return [sample for sample in prompts if category in (None, sample.category)]


def is_wording_prompt(prompt: str) -> bool:
    """Whether a prompt is one of the benchmark's, up to case, punctuation and articles: keep it out of training."""
    return is_prompt_of(wording_prompts, prompt)
