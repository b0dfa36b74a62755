"""The phases of a run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """A part of a run, with checkpoints of its own.

    Attributes:
        group: the fields of the run's config that are about it.
        folder: of its checkpoints, in the output directory; "" is that directory itself.
        steps: 0 leaves the phase out.
        updates: of the optimiser in one step.
        draws: whether the policy has words already, so that the pose timeline can be drawn.
    """

    group: str
    folder: str
    steps: int
    updates: int = 1
    draws: bool = True
