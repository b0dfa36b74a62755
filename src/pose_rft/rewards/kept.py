"""Kept: whether a person would keep the pose, for it does all that the prompt says and nothing looks wrong.

The mean share of checks pays a policy as much for a third of each answer as for one answer in three that is right.
This reward pays for whole answers alone, as the benchmarks count them. It is sparse: give it beside ``posecodes``.
"""

from collections.abc import Sequence

from pose_rft.posescript.plausibility import implausibility
from pose_rft.rewards.batch import PoseBatch
from pose_rft.rewards.posecodes import posecode_satisfaction

ALL = 1 - 1e-6  # of the checks, up to rounding
WRONG = 0.5  # implausibility from which a pose looks wrong: a head bowed 10 degrees too far, a sole tilted 10


def kept(
    prompts: list[str],
    completions: list[str],
    poses: PoseBatch,
    *,
    checks: Sequence[Sequence[str] | None],
    **columns: object,
) -> list[float | None]:
    """1 for a pose that meets all checks and is plausible, else 0; None for invalid poses and prompts without checks.

    Args, errors: as for ``posecode_satisfaction``.
    """
    shares = posecode_satisfaction(prompts, completions, poses, checks=checks)
    whole = [item for item, share in enumerate(shares) if share is not None and share >= ALL]
    grades = [None if share is None else 0.0 for share in shares]
    if whole:
        for item, wrong in zip(whole, implausibility(poses.points[whole]).tolist(), strict=True):
            grades[item] = float(wrong < WRONG)
    return grades
