"""The reference policy: weights as they were, which KL terms pull towards."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn


class ReferenceWeights:
    """Copies of parameters at one moment, to be put in their places for a while.

    Args:
        parameters: what training changes.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._values: dict[nn.Parameter, Tensor] = {each: each.detach().clone() for each in parameters}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The parameters hold the copies inside the block, and afterwards what they held before."""
        current = {parameter: parameter.data for parameter in self._values}
        try:
            for parameter, value in self._values.items():
                parameter.data = value.to(parameter.device)
            yield
        finally:
            for parameter, value in current.items():
                parameter.data = value
