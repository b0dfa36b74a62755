"""A run of seconds in place of one of hours: it goes through every phase, and teaches nothing."""

import dataclasses
import shutil
from typing import Any, TypeVar

from pose_rft.errors import UserError

T = TypeVar("T")

LARGEST = {
    "samples": 16, "steps": 2, "prompts": 16, "batch_size": 4, "prompts_per_step": 2, "answers_per_prompt": 2,
    "poses_per_answer": 8, "concept_poses": 2, "processes": 1,
}  # fmt: skip


def smoke_sized(config: T) -> T:
    """A config, and all configs in it, with no number above ``LARGEST``."""
    changes: dict[str, Any] = {}
    if vars(config).get("steps") == 0:  # a phase that is left out; what it sets would be refused
        return config
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = smoke_sized(value)
        elif field.name in LARGEST and isinstance(value, int):
            changes[field.name] = min(value, LARGEST[field.name])
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def smoke_run(config: Any, resume: bool) -> Any:
    """The config of a smoke run, in a folder beside that of the real one; an earlier smoke run there is deleted.

    Raises:
        UserError: it is to be resumed.
    """
    if resume:
        raise UserError("--resume: a smoke run begins anew each time; leave out --resume or --smoke")
    small = dataclasses.replace(smoke_sized(config), output_dir=f"{config.output_dir}-smoke")
    shutil.rmtree(small.output_dir, ignore_errors=True)
    return small
