"""Training samples and their hidden states, drawn and read once for all runs of a study that learn from the same."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pose_rft.ablation.study import StageConfig
from pose_rft.data.mixtures.training import training_samples
from pose_rft.data.sample import Sample
from pose_rft.runs.rft import RftConfig

KEPT = 2  # draws in memory: those of supervised and of reinforced runs of one seed


class Shared(NamedTuple):
    """What a run takes in place of its own.

    Attributes:
        samples: of its training; None lets it draw them.
        states: file of the hidden states of these samples, which the first run to need them writes.
    """

    samples: Sequence[Sample] | None = None
    states: Path | None = None


class SharedSamples:
    """What runs from one start share.

    Args:
        folder: of the files of hidden states.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drawn: dict[str, Sequence[Sample]] = {}
        self._files: set[Path] = set()

    def of(self, config: StageConfig, from_start: bool) -> Shared:
        """For a run whose samples are texts of the built-in mixture; nothing for any other.

        Args:
            from_start: its language model is the start's.

        Raises:
            UserError: as drawing samples does.
        """
        if config.data.sources or config.pictures.samples:
            return Shared()
        if isinstance(config, RftConfig):
            count, seed = config.prompts, config.hygrpo.seed
        else:
            count, seed = config.num_samples, config.data_seed
        drawn = repr((count, seed, config.data))
        if drawn not in self._drawn:
            while len(self._drawn) >= KEPT:
                del self._drawn[next(iter(self._drawn))]
            self._drawn[drawn] = training_samples(count, seed, config.data, config.processes)
        if not from_start:
            return Shared(self._drawn[drawn])
        # A supervised head learns from all samples with a pose, the opening phase from those with checks too.
        name = hashlib.sha256(f"{type(config).__name__} {drawn}".encode()).hexdigest()[:12]
        file = self._folder / f"states-{name}.safetensors"
        self._files.add(file)
        return Shared(self._drawn[drawn], file)

    def clear(self) -> None:
        """Delete the files of hidden states that were handed out."""
        for file in self._files:
            file.unlink(missing_ok=True)
