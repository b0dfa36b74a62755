"""How much a server takes on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What is refused, and how questions are gathered into calls of the policy.

    Attributes:
        waiting: questions in the queue; more are refused (503) with the time after which to ask again.
        prompts_per_call: questions answered in one call of the policy.
        answers_per_call: the same, counted in answers: a question for 16 samples counts as 16.
        tokens_per_call: the same, counted in tokens: of prompts, and of answers as long as they may become.
        prompt_tokens: of one prompt's words (422). Signs are no measure: an emoji may be five tokens.
        gather_seconds: how long an idle policy waits for company to the first question.
        answer_seconds: how long a client waits (504).
        body_bytes: of a request, and so of an uploaded file (413).
    """

    waiting: int = 128
    prompts_per_call: int = 32
    answers_per_call: int = 128
    tokens_per_call: int = 4096
    prompt_tokens: int = 512
    gather_seconds: float = 0.005
    answer_seconds: float = 60.0
    body_bytes: int = 12 * 2**20
