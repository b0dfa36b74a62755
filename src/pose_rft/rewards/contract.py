"""What a reward is.

A reward is any callable

    reward(prompts, completions, poses, **columns) -> list[float | None]

that grades one item per entry of `prompts` (all arguments have the same length) and returns None for an item that it
has no opinion on. It may leave out what it does not need, as TRL's `reward(completions, **kwargs)` does, and return any
iterable. It gets copies: what it does to them changes nothing. The run's config says which part of the answer it
credits:

- "text": one item per answer; `poses` holds the first sampled pose of each answer.
- "pose": one item per sampled pose, so that prompts and completions are repeated K times.

`poses` is a :class:`pose_rft.rewards.batch.PoseBatch`: read it item by item (`poses[i]` is a `Pose` or None) or all at
once (`poses.joints`, `poses.points`, `poses.axis_angle`, `poses.valid`). A step may hold thousands of poses, so the
built-in rewards do the latter. `columns` are the samples' other columns, such as `checks`, `pose` and `answer`.
"""

from collections.abc import Callable, Iterable
from typing import Literal

Reward = Callable[..., "Iterable[float | None]"]
Part = Literal["text", "pose"]


class RewardError(RuntimeError):
    """A reward raised, or returned something that is no grade. The message names reward, prompt and completion."""
