"""What a run remembers of itself in ``run.json``: its config, what was changed on the way, and which samples it learns.

A run that goes on is compared with it. What may change takes effect and is said; what may not is refused.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from accelerate import PartialState
from rich.console import Console
from transformers import TrainerCallback

from pose_rft.data.mixtures.training import fingerprint_of
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.run_checkpoints import checkpoints, read_state
from pose_rft.runs.phase import Phase
from pose_rft.storage import atomic_file, read_json

RECORD_FILE = "run.json"


class Settings(Protocol):
    """The config of a run, a dataclass; see ``pose_rft.runs.run.RunConfig``."""

    FIXED: ClassVar[tuple[str, ...]]
    __dataclass_fields__: ClassVar[dict[str, Any]]


class RunRecord(TrainerCallback):
    """The record of the run in a directory: begun anew, or taken up again.

    As a callback of what trains it notes and says what was changed when that first takes effect.

    Args:
        output: the run's directory.
        config: its present config.
        phases: in their order.
        resume: compare with what is recorded there.

    Attributes:
        changes: a line for each time that it went on with other settings.

    Raises:
        UserError: a setting that cannot change was changed, fewer steps than there were already, or a damaged record.
    """

    def __init__(self, output: Path, config: Settings, phases: Sequence[Phase], resume: bool) -> None:
        self._output = output
        present = json.loads(json.dumps(dataclasses.asdict(config), default=str))
        before = self._read() if resume else None
        self.changes: list[str] = [] if before is None else before["changes"]
        self._samples: str | None = None if before is None else before["samples"]
        self._config = present if before is None else before["config"]
        self._present, self._change = present, ""
        if before is not None:
            changed = {name: values for name, values in _differences(before["config"], present) if name != "output_dir"}
            done = {phase.group: self._steps_of(phase) for phase in phases}
            self._refuse(changed, config.FIXED, phases, done)
            self._change = self._in_words(changed, phases, done) if changed else ""

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.settle()

    def settle(self) -> None:
        """Note and say what was changed, if that has not been done."""
        if not self._change:
            return
        if PartialState().is_main_process:
            Console(stderr=True).print(f"Changed {self._change}", soft_wrap=True, markup=False, highlight=False)
        self.changes.append(self._change)
        self._config, self._change = self._present, ""
        self._write()

    def check_samples(self, samples: Sequence[Sample]) -> None:
        """Record which samples the run learns.

        Raises:
            UserError: they are others than it began with.
        """
        fingerprint = fingerprint_of(samples)
        if self._samples not in (None, fingerprint):
            raise UserError(
                f"{self._output}: the run began with other samples (other files, or another version of pose-rft); "
                "bring them back, or start another run in another output_dir"
            )
        if self._samples is None:
            self._samples = fingerprint
            self._write()

    def _refuse(
        self,
        changed: Mapping[str, tuple[Any, Any]],
        fixed: Sequence[str],
        phases: Sequence[Phase],
        done: Mapping[str, int],
    ) -> None:
        over = [each.group for i, each in enumerate(phases) if any(done[later.group] for later in phases[i + 1 :])]
        for name, (before, now) in changed.items():
            group, _, of_group = name.partition(".")
            if any(name == each or name.startswith(f"{each}.") for each in fixed):
                why = "cannot be changed while a run goes on"
            elif group in over:
                why = f"cannot be changed any more: {group} is over"
            elif group in done and of_group == "steps" and not (before and now):
                why = "cannot be changed from or to 0: phases are neither added nor left out while a run goes on"
            elif group in done and of_group == "steps" and now < done[group]:
                raise UserError(
                    f"{self._output}: {name} was {before} and is now {now}, but {done[group]} steps are done; "
                    f"set it to at least {done[group]}"
                )
            else:
                continue
            raise UserError(
                f"{self._output}: {name} was {_shown(before)} and is now {_shown(now)}, which {why}; set it back, or "
                "start another run in another output_dir"
            )

    def _in_words(
        self, changed: Mapping[str, tuple[Any, Any]], phases: Sequence[Phase], done: Mapping[str, int]
    ) -> str:
        phase = next((each for each in reversed(phases) if done[each.group]), phases[0])
        what = ", ".join(f"{name} {_shown(now)} (was {_shown(before)})" for name, (before, now) in changed.items())
        line = f"from step {done[phase.group]} of {phase.group} on: {what}"
        if all(done[each.group] == each.steps for each in phases[phases.index(phase) :]):
            line += "; all steps are done, so that it changes nothing (more steps train on)"
        return line

    def _steps_of(self, phase: Phase) -> int:
        found = checkpoints(self._output / phase.folder)
        return read_state(found[-1]).global_step // phase.updates if found else 0

    def _read(self) -> dict[str, Any] | None:
        path = self._output / RECORD_FILE
        if not path.exists():
            return None
        advice = "delete it to go on without comparing settings with earlier ones"
        record = read_json(path, advice)
        try:
            kinds = {"config": dict, "changes": list, "samples": str | None}
            if wrong := [name for name, kind in kinds.items() if not isinstance(record[name], kind)]:
                raise ValueError(f"{wrong[0]} is {record[wrong[0]]!r}")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: cannot be read ({error}); {advice}") from error
        return record

    def _write(self) -> None:
        if not PartialState().is_main_process:
            return
        record = {"config": self._config, "changes": self.changes, "samples": self._samples}
        with atomic_file(self._output / RECORD_FILE) as part:
            part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _differences(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Dotted names of what differs, with both values; fields that only one version of the package has are left out."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in now:
            if key in before:
                yield from _differences(before[key], now[key], f"{name}.{key}" if name else key)
    elif before != now:
        yield name, (before, now)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
