"""What the environments of hybrid actions have in common: a discrete action, and numbers that belong to it."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np


class Step(NamedTuple):
    """What one action led to, in each of N copies.

    Attributes:
        states: (N, S) the states that follow.
        rewards: (N,)
        ended: (N,) bool; what the rules end and what the limit of steps ends alike.
        success: (N,) bool; the task was done with this step.
    """

    states: np.ndarray
    rewards: np.ndarray
    ended: np.ndarray
    success: np.ndarray


class Environment(ABC):
    """An environment without a state of its own: states are rows of an array, as in Gymnasium's functional interface.

    So hundreds of copies are stepped at once, and an episode goes on from any state as often as one likes.

    Attributes:
        low, high: (A, P) bounds of the parameters of each of A actions; an action with fewer than P numbers has NaN
            at the other places.
        observed: O, how many numbers an observation has.
        limit: steps after which an episode ends.
        scale: about how far apart two returns are that differ in what matters.
    """

    low: np.ndarray
    high: np.ndarray
    observed: int
    limit: int
    scale: float

    @abstractmethod
    def start(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """(count, S) states in which episodes begin."""

    @abstractmethod
    def observe(self, states: np.ndarray) -> np.ndarray:
        """(N, O) what a policy sees of states (N, S), each number about between -1 and 1."""

    @abstractmethod
    def act(self, states: np.ndarray, actions: np.ndarray, numbers: np.ndarray, generator: np.random.Generator) -> Step:
        """Act in each of N states with ``numbers`` (N, P) in the units of ``low`` and ``high``, and within them."""

    @property
    def has(self) -> np.ndarray:
        """(A, P) bool: which numbers an action has."""
        return np.isfinite(self.low)

    def step(
        self, states: np.ndarray, actions: np.ndarray, parameters: np.ndarray, generator: np.random.Generator
    ) -> Step:
        """Act with parameters (N, P) on a scale from -1 to 1; what is beyond the bounds counts as the bound."""
        low, high = np.nan_to_num(self.low)[actions], np.nan_to_num(self.high)[actions]
        numbers = low + (np.clip(parameters, -1, 1) + 1) / 2 * (high - low)
        return self.act(states, actions, numbers, generator)
