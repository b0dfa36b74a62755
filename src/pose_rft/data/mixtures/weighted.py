"""Samples drawn from several sources by weight, each read when it is asked for.

What is drawn is settled beforehand, by the seed alone: of every draw the source, the line and the turn. So a draw is
the same whenever it is read, a run that goes on finds the samples that it would have had, and in memory stay fourteen
bytes a draw, whatever the sources hold.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, overload

import numpy as np

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError

STREAM = 37  # keeps these draws apart from others with the same seed
Prepare = Callable[[Sample], Sample]


class Source(Protocol):
    """Samples by number; others have another fingerprint."""

    @property
    def fingerprint(self) -> str: ...

    def __len__(self) -> int: ...

    def sample(self, index: int, turn: int = 0) -> Sample: ...


@dataclass(frozen=True, eq=False)
class WeightedMixture(Sequence[Sample]):
    """N draws.

    Attributes:
        sources: what is drawn from.
        source: (N,) which of them.
        line: (N,) which of its samples.
        turn: (N,) which of a conversation's answers, counted around.
        fingerprint: of the draws and of what the sources hold.
        prepare: what is done to a sample when it is read, such as encoding its photograph.
    """

    sources: Sequence[Source]
    source: np.ndarray
    line: np.ndarray
    turn: np.ndarray
    fingerprint: str
    prepare: Prepare

    def __len__(self) -> int:
        return len(self.source)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> "WeightedMixture": ...

    def __getitem__(self, index: int | slice) -> "Sample | WeightedMixture":
        """A draw, prepared; of a slice those draws, which are not read yet.

        Raises:
            UserError: the line is broken or cannot be prepared; the message says where it stands.
        """
        if isinstance(index, slice):
            source, line, turn = self.source[index], self.line[index], self.turn[index]
            return replace(self, source=source, line=line, turn=turn, fingerprint=f"{self.fingerprint} {index}")
        sample = self.read(index)
        try:
            return self.prepare(sample)
        except UserError as error:
            raise UserError(f"{sample.source}: {error}") from error

    def read(self, index: int) -> Sample:
        """A draw as its source gives it."""
        return self.sources[self.source[index]].sample(int(self.line[index]), int(self.turn[index]))


def shares(weights: Sequence[float], n: int, seed: int) -> np.ndarray:
    """(N,) the source of each draw, by weight."""
    rng = np.random.default_rng([STREAM, 0, seed])
    return rng.choice(len(weights), n, p=np.array(weights) / sum(weights)).astype(np.int16)


def draw(sources: Sequence[Source], weights: Sequence[float], n: int, seed: int, prepare: Prepare) -> WeightedMixture:
    """Draw N samples from sources, none of them empty: by ``shares`` the source, its lines without repetition.

    A source of fewer lines than it is drawn from begins anew, in another order.
    """
    source, rng = shares(weights, n, seed), np.random.default_rng([STREAM, 1, seed])
    line = np.zeros(n, np.int64)
    for number, each in enumerate(sources):
        own = source == number
        line[own] = _passes(len(each), int(own.sum()), rng)
    turn = rng.integers(2**31, size=n, dtype=np.int32)
    described = repr(([each.fingerprint for each in sources], list(weights), n, seed))
    return WeightedMixture(sources, source, line, turn, hashlib.sha256(described.encode()).hexdigest(), prepare)


def _passes(size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) numbers below ``size`` in random order, none of them again before all others came as often."""
    passes = [rng.permutation(size) for _ in range(-(-count // size))]
    return np.concatenate([np.zeros(0, np.int64), *passes])[:count]
