"""How long the steps of a run take, and how many steps fit a time."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import TrainerCallback


class StepTimer(TrainerCallback):
    """Notes in a file how long every update of a run takes, so that a resumed run knows it of earlier ones too.

    Args:
        path: of the file, JSON Lines.
        stop_after: (updates, seconds): the run ends after that many updates that took that long; None lets it go on.
    """

    def __init__(self, path: Path, stop_after: tuple[int, float] | None = None) -> None:
        self.path, self.stop_after, self._begun = path, stop_after, 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._begun = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        seconds = time.monotonic() - self._begun
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"update": state.global_step, "seconds": round(seconds, 4)}) + "\n")
        if self.stop_after is not None:
            updates, least = self.stop_after
            control.should_training_stop |= state.global_step >= updates and sum(read_times(self.path).values()) > least


def read_times(path: Path) -> dict[int, float]:
    """Seconds of every update; of one that was made again after a run was killed, those of the last time."""
    times: dict[int, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        times[entry["update"]] = entry["seconds"]
    return times


def seconds_per_step(times: Mapping[int, float], updates: int) -> float:
    """The mean over whole steps of ``updates`` updates each, without the first one, which warms up.

    Args:
        times: of the updates 1, 2, ...
    """
    whole = len(times) // updates
    steps = [sum(times[step * updates + update] for update in range(1, updates + 1)) for step in range(whole)]
    return fmean(steps[1:])


def steps_within(minutes: float, seconds: float) -> int:
    """How many steps of so many seconds come nearest to a time; at least one."""
    return max(1, round(60 * minutes / seconds))
