"""The reference policy: weights as they were, which KL terms pull towards."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pose_rft.policy.language_model import LanguageModel


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


class ReferencePolicy:
    """A policy as it is when this is made.

    Args:
        model: its language model.
        parameters: all that is trained.
    """

    def __init__(self, model: LanguageModel, parameters: Iterable[nn.Parameter]) -> None:
        self._model, self._weights = model, ReferenceWeights(parameters)
        self.is_bare = model.adapters_do_nothing()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The policy is this one inside the block, without gradients."""
        adapters = self._model.without_adapters if self.is_bare else self._model.merged_adapters
        with self._weights.in_place(), torch.no_grad(), adapters():
            yield
