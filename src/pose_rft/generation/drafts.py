"""Guesses of how an answer goes on, for the language model to check: one pass for many tokens in place of one for each.

Speculative decoding (Leviathan et al., ICML 2023; Chen et al., 2023) has a smaller model guess. Answers with a pose are
so much alike that a list of usual ones guesses better, and costs nothing.
"""

from collections.abc import Iterable, Sequence


class DraftTable:
    """Usual answers, looked up by how they begin.

    Args:
        answers: token lists without an end token, the commonest first.
    """

    def __init__(self, answers: Iterable[Sequence[int]] = ()) -> None:
        self._commonest: dict[tuple[int, ...], list[int]] = {}
        for answer in map(list, answers):
            for length in range(1, len(answer)):
                self._commonest.setdefault(tuple(answer[:length]), answer[length:])

    def after(self, begun: Sequence[int]) -> list[int]:
        """How the commonest answer that begins like this goes on; empty if none does."""
        return self._commonest.get(tuple(begun), [])
