"""The checkpoints of a run as files: which there are, and reading them though they may be damaged."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from transformers import TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from pose_rft.errors import UserError, reason_of


@contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Read a file of a checkpoint inside the block.

    Raises:
        UserError: in place of whatever goes wrong there; it names a checkpoint to use instead, if there is one.
    """
    try:
        yield path
    except Exception as error:  # what a damaged file can raise has no end
        reason = reason_of(error) + " is missing" * isinstance(error, KeyError)
        raise UserError(
            f"checkpoint {path.parent}: {path.name} cannot be read ({reason}); {instead_of(path.parent)}"
        ) from error


def read_state(checkpoint: Path) -> TrainerState:
    """How far a checkpoint is, with the log up to it.

    Raises:
        UserError: it cannot be read.
    """
    with reading(checkpoint / TRAINER_STATE_NAME) as path:
        state = TrainerState(**json.loads(path.read_text()))
        for field in fields(TrainerState):
            value, usual = getattr(state, field.name), getattr(TrainerState(), field.name)
            kinds = (int, float) if type(usual) is int else type(usual)
            if usual is not None and not isinstance(value, kinds):
                raise ValueError(f"{field.name} is {value!r}")
        if type(state.global_step) is not int or state.global_step != step_of(checkpoint):
            raise ValueError(f"global_step is {state.global_step!r}")
        for entry in state.log_history:
            if type(entry["step"]) is not int or not all(isinstance(value, int | float) for value in entry.values()):
                raise ValueError("log_history holds more than numbers")
    return state


def instead_of(checkpoint: Path) -> str:
    """What to do without a checkpoint."""
    older = [each for each in checkpoints(checkpoint.parent) if step_of(each) < step_of(checkpoint)]
    rest = f"to go on from {older[-1].name}" if older else "to begin its phase again, as there is no older one"
    return f"move {checkpoint.name} away {rest}"


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the oldest first."""
    name = re.compile(rf"{PREFIX_CHECKPOINT_DIR}-\d+")
    return sorted((each for each in folder.glob("*-*") if name.fullmatch(each.name) and each.is_dir()), key=step_of)


def newest_checkpoint(phase: Path) -> str | None:
    """The newest complete checkpoint in the folder of a run's phase, or None."""
    found = checkpoints(phase)
    return str(found[-1]) if found else None


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
