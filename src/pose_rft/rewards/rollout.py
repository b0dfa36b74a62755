"""Grade the answers and poses of a rollout with all rewards of a run.

Rewards that credit text grade answers, rewards that credit pose grade poses; the two never mix. A reward that returns
None for an item has no grade for it. How grades add up: ``rewards/grades.py``.
"""

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import roma
import torch
from torch import Tensor

from pose_rft.body import BodyModel, load_body
from pose_rft.body.landmarks import NUM_POINTS
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.policy import PosePolicy, Rollout
from pose_rft.policy.pose_only import PoseOnlyRollout
from pose_rft.policy.selection import settle_answers
from pose_rft.rewards.batch import PoseBatch
from pose_rft.rewards.contract import RewardError
from pose_rft.rewards.grades import Grades
from pose_rft.rewards.spec import ResolvedReward, check_columns

OnError = Literal["raise", "skip"]
TRIED_OUT = 8  # samples that a reward is called with before a run
SAME = 1e-6  # grades of a group that differ by no more than this teach nothing

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Graded:
    """Grades of B prompts x G answers x K poses.

    Attributes:
        text: of the answers (B, G), by the rewards that credit text.
        pose: of the poses (B, G, K), by the rewards that credit pose; none for an invalid answer.
        metrics: per reward `rewards/<name>/...`: `mean` and `std` over all graded items of the step; `zero_variance`,
            the share of groups (the items of one prompt) whose grades are all the same; `graded`, the share of items
            graded. Nothing graded: only `graded`, which is 0.
        failures: (reward, kind of failure) -> what happened, of the first of that kind; always empty unless
            failures are skipped.
    """

    text: Grades
    pose: Grades
    metrics: dict[str, float]
    failures: dict[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class _Items:
    """What one reward is called with: M items and their columns."""

    prompts: list[str]
    completions: list[str]
    poses: PoseBatch
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.prompts)

    def slice(self, start: int, stop: int) -> "_Items":
        columns = {name: values[start:stop] for name, values in self.columns.items()}
        return _Items(self.prompts[start:stop], self.completions[start:stop], self.poses.slice(start, stop), columns)

    def grades_of(self, reward: ResolvedReward) -> list[float | None]:
        """What a reward says of copies: whatever it does to them, the next one gets what this one got."""
        columns = copy.deepcopy(self.columns)  # the items of a prompt share their columns, and go on sharing them
        return reward(list(self.prompts), list(self.completions), self.poses.copy(), columns)


class RolloutRewarder:
    """Turns a rollout's actions into poses and asks the rewards; logs the first failure of each kind that is skipped.

    Args:
        policy: whose head says which rotations an action is.
        rewards: of the run, each with a weight.
        on_error: as `grade` has it.
        body: on which poses are measured; None takes the bundled one.
        as_answered: poses of texts are settled before they are graded, as ``PosePolicy.generate`` answers with them.
    """

    def __init__(
        self,
        policy: PosePolicy,
        rewards: Sequence[ResolvedReward],
        on_error: OnError = "raise",
        body: BodyModel | None = None,
        as_answered: bool = False,
    ) -> None:
        self.policy, self.rewards, self.on_error = policy, rewards, on_error
        self.body, self.as_answered = body or load_body(), as_answered
        self._logged: set[tuple[str, str]] = set()

    @torch.no_grad()
    def __call__(self, step: int, samples: Sequence[Sample], rollout: Rollout | PoseOnlyRollout) -> Graded:
        """Grade a rollout of B samples, G answers to each and K poses to each answer."""
        rotations = self.policy.head.to_rotations(rollout.action)  # (B, G, K, 22, 3, 3)
        if self.as_answered:
            settle_answers(rotations, samples, rollout.texts)
        graded = grade(
            self.rewards,
            step,
            [sample.prompt for sample in samples],
            rollout.texts,
            self.body.points_from_rotations(rotations),
            roma.rotmat_to_rotvec(rotations),
            rollout.valid,
            columns_of(samples),
            self.on_error,
            self.body,
        )
        for kind, message in graded.failures.items():
            if kind not in self._logged:
                self._logged.add(kind)
                logger.warning("%s; left ungraded, and so will others like it, without a word", message)
        return graded

    def try_out(self, samples: Sequence[Sample]) -> None:
        """Call every reward once before a run, on the given answers of some samples, to find mistakes in its set-up.

        Raises:
            UserError: a column is missing, the number of grades is wrong, or the reward fails on all of them.
        """
        some = list(samples[:TRIED_OUT])
        columns = columns_of(some)
        given = [np.zeros((22, 3)) if sample.pose is None else sample.pose for sample in some]
        axis_angle = torch.from_numpy(np.stack(given).astype(np.float32)).to(self.policy.device)
        valid = torch.tensor([sample.pose is not None for sample in some], device=self.policy.device)
        poses = PoseBatch(self.body.points(axis_angle), axis_angle, valid, self.body)
        prompts, answers = [sample.prompt for sample in some], [sample.answer for sample in some]
        for reward in self.rewards:
            check_columns(reward, columns)
            items = _Items(prompts, answers, poses, columns)
            failures: dict[tuple[str, str], str] = {}
            _, graded = _grades(reward, items, "skip", failures)
            if failures and (not graded.any() or any(kind == "length" for _, kind in failures)):
                raise UserError(f"{next(iter(failures.values()))}; it was tried on samples before the first step")


def columns_of(samples: Sequence[Sample]) -> dict[str, list[Any]]:
    """What rewards get of samples beside their prompts."""
    return {
        "task": [sample.task for sample in samples],
        "checks": [list(sample.checks) for sample in samples],
        "wants_pose": [sample.pose is not None or sample.task.endswith("to_pose") for sample in samples],
        "answer": [sample.answer for sample in samples],
        "given": [sample.poses for sample in samples],
        "changes": [list(sample.changes) for sample in samples],
        "pose": [sample.pose if sample.person is None else sample.person.pose for sample in samples],
        "up": [sample.person and sample.person.up for sample in samples],
        "person": [sample.person and sample.person.index for sample in samples],
        "topic": [sample.question and sample.question.topic for sample in samples],
        "truth": [sample.question and sample.question.truth for sample in samples],
    }


def grade(
    rewards: Sequence[ResolvedReward],
    step: int,
    prompts: Sequence[str],
    completions: Sequence[Sequence[str]],
    poses_points: Tensor,
    poses_axis_angle: Tensor,
    valid: Tensor,
    columns: Mapping[str, Sequence[Any]],
    on_error: OnError = "raise",
    body: BodyModel | None = None,
) -> Graded:
    """Call every reward once.

    Args:
        rewards: the run's rewards, as `resolve` finds them.
        step: optimiser step, for the schedules of the weights.
        prompts: B prompts.
        completions: B x G decoded answers, special tokens kept.
        poses_points: (B, G, K, 32, 3) joints and landmarks, metres (``BodyModel.points``).
        poses_axis_angle: (B, G, K, 22, 3) radians.
        valid: (B, G) bool, the answer holds a `<POSE>`.
        columns: the samples' other columns, B values each.
        on_error: what to do with an item on which a reward raises or returns NaN: "raise", or "skip", which leaves it
            ungraded by that reward and tells of it in `Graded.failures`.
        body: on which the points were measured; None for the bundled one.

    Raises:
        RewardError: as above, naming reward, prompt and completion.
        UserError: a missing column or model; also under "skip", because it concerns the run and not an item.
    """
    num_prompts, num_answers, num_poses = poses_points.shape[:3]
    if len(prompts) != num_prompts or any(len(group) != num_answers for group in completions):
        raise ValueError(f"poses are for {num_prompts} prompts x {num_answers} answers; the texts are not")
    answers = [text for group in completions for text in group]  # B*G
    device = poses_points.device

    def items(per_answer: int) -> _Items:
        """One item per answer, or per pose; prompt-major, so that an item's group is its row."""
        flat = num_prompts * num_answers * per_answer
        poses = PoseBatch(
            points=poses_points[:, :, :per_answer].reshape(flat, NUM_POINTS, 3),
            axis_angle=poses_axis_angle[:, :, :per_answer].reshape(flat, 22, 3),
            valid=valid.to(device).flatten().repeat_interleave(per_answer),
            body=body or load_body(),
        )
        repeated = {name: _repeat(values, num_answers * per_answer) for name, values in columns.items()}
        return _Items(_repeat(prompts, num_answers * per_answer), _repeat(answers, per_answer), poses, repeated)

    shape = {"text": (num_prompts, num_answers), "pose": (num_prompts, num_answers, num_poses)}
    values = {part: torch.zeros(0, *size) for part, size in shape.items()}  # (R, B, G) and (R, B, G, K)
    weights: dict[str, list[float]] = {part: [] for part in shape}
    items_of: dict[str, _Items] = {}
    metrics: dict[str, float] = {}
    failures: dict[tuple[str, str], str] = {}
    for reward in rewards:
        part = reward.credits
        if part not in items_of:
            items_of[part] = items(1 if part == "text" else num_poses)
        check_columns(reward, columns)
        grades, graded = _grades(reward, items_of[part], on_error, failures)  # (M,), (M,)
        given = torch.where(graded, grades, torch.nan).view(1, *shape[part])
        values[part] = torch.cat([values[part], given])
        weights[part].append(reward.spec.weight_at(step))
        metrics |= _metrics(reward.spec.name, grades.view(num_prompts, -1), graded.view(num_prompts, -1))
    text, pose = (Grades(values[part], torch.tensor(weights[part])).to(device) for part in ("text", "pose"))
    return Graded(text, pose, metrics, failures)


def _repeat(values: Sequence[Any], times: int) -> list[Any]:
    return [value for value in values for _ in range(times)]


def _grades(
    reward: ResolvedReward, items: _Items, on_error: OnError, failures: dict[tuple[str, str], str]
) -> tuple[Tensor, Tensor]:
    """Grades (M,) float32, 0 where there is none, and whether there is one, (M,) bool; adds to ``failures``."""

    def fail(kind: str, what: str, item: int = 0, cause: Exception | None = None) -> None:
        prompt, completion = items.prompts[item], items.completions[item]
        message = f"reward {reward.spec.name!r} {what} (prompt: {prompt!r}, completion: {completion!r})"
        if on_error == "raise":
            raise RewardError(message) from cause
        failures.setdefault((reward.spec.name, kind), message)

    try:
        returned = items.grades_of(reward)
    except UserError:
        raise
    except Exception as error:
        if len(items) > 1:  # look for the items that it fails on, by halves
            middle = len(items) // 2
            halves = (items.slice(0, middle), items.slice(middle, len(items)))
            (left, left_graded), (right, right_graded) = (_grades(reward, half, on_error, failures) for half in halves)
            return torch.cat([left, right]), torch.cat([left_graded, right_graded])
        fail(type(error).__name__, f"raised {type(error).__name__}: {error}", cause=error)
        return torch.zeros(1), torch.zeros(1, dtype=torch.bool)
    if len(returned) != len(items):
        fail("length", f"returned {len(returned)} grades for {len(items)} items")
        return torch.zeros(len(items)), torch.zeros(len(items), dtype=torch.bool)
    grades = torch.tensor([0.0 if value is None else value for value in returned])
    graded = torch.tensor([value is not None for value in returned])
    if reward.credits == "pose":
        graded &= items.poses.valid.cpu()  # whatever it said about poses that are not there
    broken = graded & ~grades.isfinite()
    if broken.any():
        first = int(broken.nonzero()[0])
        fail("not finite", f"returned {returned[first]}", first)
        graded &= ~broken
    return torch.where(graded, grades, 0.0), graded


def _metrics(name: str, grades: Tensor, graded: Tensor) -> dict[str, float]:
    """grades, graded: (B, n), a row per prompt."""
    metrics = {f"rewards/{name}/graded": graded.float().mean().item()}
    if graded.any():
        values = grades[graded]
        highest = grades.masked_fill(~graded, -torch.inf).amax(1)  # (B,)
        lowest = grades.masked_fill(~graded, torch.inf).amin(1)  # (B,)
        metrics[f"rewards/{name}/mean"] = values.mean().item()
        metrics[f"rewards/{name}/std"] = values.std(correction=0).item()
        metrics[f"rewards/{name}/zero_variance"] = ((highest - lowest)[graded.any(1)] <= SAME).float().mean().item()
    return metrics
