"""What a reward is.

A reward is any callable

    reward(prompts, completions, poses, **columns) -> list[float | None]

that grades one item per entry of `prompts` (all arguments have the same length) and returns None for an item that it
has no opinion on. It credits one part of the answer:

- "text": one item per answer; `poses` holds the first sampled pose of each answer.
- "pose": one item per sampled pose, so that prompts and completions are repeated K times.

`poses` is a :class:`pose_rft.rewards.batch.PoseBatch`: read it item by item (`poses[i]` is a `Pose` or None) or all at
once (`poses.joints`, `poses.axis_angle`, `poses.valid`). A step may hold thousands of poses, so the built-in rewards do
the latter. `columns` are the samples' other columns, such as `checks`, `pose` and `answer`.
"""

from collections.abc import Callable
from typing import Literal, TypeVar

Reward = Callable[..., "list[float | None]"]
Part = Literal["text", "pose"]
F = TypeVar("F", bound=Reward)


class RewardError(RuntimeError):
    """A reward raised, or returned something that is no grade. The message names reward, prompt and completion."""


def credits(part: Part) -> Callable[[F], F]:
    """Say which part of an answer a reward judges: `@credits("pose")`. It sets the attribute `credits`."""

    def mark(reward: F) -> F:
        reward.credits = part  # type: ignore[attr-defined]
        return reward

    return mark
