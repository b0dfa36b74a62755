"""The benchmarks requests and general: prompts whose answers are judged by their words, with a pose or without one."""

from dataclasses import dataclass

from pose_rft.data.everyday import Split, entries_by_category, is_prompt_of, of_split


@dataclass(frozen=True, slots=True)
class TalkPrompt:
    """A prompt and what a right answer to it must have.

    Attributes:
        prompt: what the user says.
        category: what kind of prompt it is.
        wants_pose: exactly one pose is right, or none.
        checks: of the pose, in the language of ``pose_rft.posescript.checks``.
        content: groups of alternatives; of each group at least one must occur in the words. An alternative is a regular
            expression for whole words in any case, behind which a plural s may follow.
        never: alternatives of which none may occur.
        refuses: a right answer says that it cannot know; otherwise it must not.
        answer: what an ordinary assistant says, or empty.
    """

    prompt: str
    category: str
    wants_pose: bool = False
    checks: tuple[str, ...] = ()
    content: tuple[tuple[str, ...], ...] = ()
    never: tuple[str, ...] = ()
    refuses: bool = False
    answer: str = ""

    @property
    def asks_of_words(self) -> bool:
        """Whether anything is demanded of the words."""
        return bool(self.content or self.never or self.refuses)


def request_prompts(split: Split = "test") -> list[TalkPrompt]:
    """The prompts of ``request_prompts.yaml`` in file order: what people ask for beside or instead of a pose.

    Args:
        split: "dev" (30, for choosing settings), "test" (60, what is reported) or "all".

    Raises:
        UserError: an unknown split.
    """
    return _read("request_prompts.yaml", split)


def general_prompts(split: Split = "test") -> list[TalkPrompt]:
    """The prompts of ``general_prompts.yaml`` in file order: plain questions, each with an answer.

    Args:
        split: "dev" (20, for choosing settings), "test" (60, what is reported) or "all".

    Raises:
        UserError: an unknown split.
    """
    return _read("general_prompts.yaml", split)


def is_request_prompt(prompt: str) -> bool:
    """Whether a prompt is one of requests, up to case, punctuation and articles: keep it out of training."""
    return is_prompt_of(request_prompts, prompt)


def is_general_prompt(prompt: str) -> bool:
    """Whether a prompt is one of general, up to case, punctuation and articles: keep it out of training."""
    return is_prompt_of(general_prompts, prompt)


def _read(table: str, split: Split) -> list[TalkPrompt]:
    return [
        TalkPrompt(
            prompt=entry["text"],
            category=category,
            wants_pose=entry.get("wants_pose", False),
            checks=tuple(entry.get("checks", ())),
            content=tuple(tuple(alternatives) for alternatives in entry.get("content", ())),
            never=tuple(entry.get("never", ())),
            refuses=entry.get("refuses", False),
            answer=entry.get("answer", ""),
        )
        for category, entry in of_split(entries_by_category(table), split)
    ]
