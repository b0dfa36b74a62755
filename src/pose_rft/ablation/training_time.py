"""How long the steps of a run take, and how many steps fill a time."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from transformers import TrainerCallback


class Duration(NamedTuple):
    """Seconds.

    Attributes:
        wall: on the clock.
        computed: of computing, the process's CPU time shared out among its threads; other work on the machine, which
            stretches the time on the clock, does not count.
    """

    wall: float
    computed: float


class StepTimer(TrainerCallback):
    """Notes in a file how long every update of a run takes, so that a resumed run knows it of earlier ones too.

    Args:
        path: of the file, JSON Lines.
        stop_after: (updates, seconds): the run ends after that many updates that took that long; None lets it go on.
    """

    def __init__(self, path: Path, stop_after: tuple[int, float] | None = None) -> None:
        self.path, self.stop_after, self._begun = path, stop_after, _now()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._begun = _now()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        now = _now()
        entry = {
            "update": state.global_step,
            "wall": round(now.wall - self._begun.wall, 4),
            "computed": round((now.computed - self._begun.computed) / torch.get_num_threads(), 4),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        if self.stop_after is not None:
            updates, seconds = self.stop_after
            enough = state.global_step >= updates and total(read_times(self.path)).wall > seconds
            control.should_training_stop |= enough


def _now() -> Duration:
    return Duration(time.monotonic(), time.process_time())


def read_times(path: Path) -> dict[int, Duration]:
    """The duration of every update; of one that was made again after a run was killed, that of the last time."""
    times: dict[int, Duration] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        times[entry["update"]] = Duration(entry["wall"], entry["computed"])
    return times


def total(times: Mapping[int, Duration]) -> Duration:
    return Duration(sum(each.wall for each in times.values()), sum(each.computed for each in times.values()))


def computed_per_step(times: Mapping[int, Duration], updates: int) -> float:
    """Seconds of computing: the median over whole steps of ``updates`` updates, without the first, which warms up.

    Args:
        times: of the updates 1, 2, ...
    """
    whole = len(times) // updates
    steps = [sum(times[step * updates + update].computed for update in range(1, updates + 1)) for step in range(whole)]
    return median(steps[1:])


def steps_within(minutes: float, seconds: float) -> int:
    """How many steps of so many seconds come nearest to a time; at least one."""
    return max(1, round(60 * minutes / seconds))
