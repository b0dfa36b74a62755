"""Grades of a step: sums, gaps, metrics and failures, with rewards whose values are known."""

import logging
from types import SimpleNamespace

import pytest
import torch

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.rewards import Graded, RewardError, RewardSpec, RolloutRewarder, grade, resolve

PROMPTS = ["p0", "p1"]
COMPLETIONS = [["yes", "y"], ["yes no", "no"]]  # lengths 3, 1 and 6, 2


def text(name: str, *settings, **fields) -> RewardSpec:
    return RewardSpec(f"user_rewards.{name}", *settings, credits="text", **fields)


def pose(name: str, *settings, **fields) -> RewardSpec:
    return RewardSpec(f"user_rewards.{name}", *settings, credits="pose", **fields)


def graded(*rewards: RewardSpec, step=0, completions=COMPLETIONS, valid=None, columns=None, on_error="raise") -> Graded:
    """B = 2 prompts, G = 2 answers, K = 3 poses; the first number of pose (b, g, k) is 100 b + 10 g + k."""
    axis_angle = torch.zeros(2, 2, 3, 22, 3)
    for b in range(2):
        for g in range(2):
            axis_angle[b, g, :, 0, 0] = 100 * b + 10 * g + torch.arange(3.0)
    valid = torch.ones(2, 2, dtype=torch.bool) if valid is None else torch.tensor(valid)
    points = torch.zeros(2, 2, 3, 32, 3)
    resolved = [resolve(spec) for spec in rewards]
    return grade(resolved, step, PROMPTS, completions, points, axis_angle, valid, columns or {}, on_error)


def test_a_text_reward_gives_one_grade_per_answer_and_a_pose_reward_one_per_pose():
    result = graded(text("length"), pose("height"))
    assert result.text.total.tolist() == [[3, 1], [6, 2]]
    assert result.pose.total.tolist() == [[[0, 1, 2], [10, 11, 12]], [[100, 101, 102], [110, 111, 112]]]
    assert result.text.graded.all()
    assert result.pose.graded.all()


def test_grades_are_summed_by_weight_at_the_step():
    rewards = (
        text("length", 2.0),
        text("from_column", 10.0, warm_up=(0, 4)),
    )
    result = graded(*rewards, step=1, columns={"score": [1.0, 2.0]})
    assert result.text.total.tolist() == [[2 * 3 + 2.5, 2 * 1 + 2.5], [2 * 6 + 5, 2 * 2 + 5]]  # 10 x 1/4 = 2.5


def test_where_one_reward_has_no_grade_the_others_count_alone():
    result = graded(text("length"), text("only_yes", 5.0))
    assert result.text.total.tolist() == [[8, 1], [11, 2]]
    assert result.text.graded.all()


def test_items_that_no_reward_grades_are_marked():
    result = graded(text("only_yes"))
    assert result.text.graded.tolist() == [[True, False], [True, False]]
    assert not result.pose.graded.any()
    assert result.pose.total.eq(0).all()


def test_poses_of_invalid_answers_are_never_graded_even_if_a_reward_says_so():
    result = graded(pose("always_one"), valid=[[True, False], [True, True]])
    assert result.pose.graded[0].tolist() == [[True] * 3, [False] * 3]
    assert result.pose.total[0, 1].tolist() == [0, 0, 0]


def test_rewards_see_none_for_invalid_poses():
    result = graded(pose("height"), valid=[[True, False], [True, True]])
    assert result.pose.graded.sum().item() == 9
    assert result.metrics["rewards/user_rewards.height/graded"] == pytest.approx(9 / 12)


def test_options_reach_the_reward():
    result = graded(pose("height", options={"floor": 100.0}))
    assert result.pose.total[1, 0].tolist() == [0, 1, 2]


def test_metrics_are_mean_and_spread_of_the_raw_grades():
    metrics = graded(text("length", weight=7.0)).metrics
    assert metrics == pytest.approx(
        {
            "rewards/user_rewards.length/graded": 1.0,
            "rewards/user_rewards.length/mean": 3.0,  # 3, 1, 6, 2
            "rewards/user_rewards.length/std": (14 / 4) ** 0.5,  # 0, 4, 9, 1 squared distances
            "rewards/user_rewards.length/zero_variance": 0.0,
        }
    )


def test_zero_variance_is_the_share_of_prompts_whose_grades_are_all_the_same():
    same_in_one = graded(text("length"), completions=[["aa", "bb"], ["a", "bb"]])
    assert same_in_one.metrics["rewards/user_rewards.length/zero_variance"] == 0.5
    per_prompt = graded(text("from_column"), columns={"score": [1.0, 2.0]})
    assert per_prompt.metrics["rewards/user_rewards.from_column/zero_variance"] == 1.0
    assert per_prompt.metrics["rewards/user_rewards.from_column/std"] == 0.5


def test_a_prompt_without_grades_does_not_count_as_zero_variance():
    metrics = graded(text("from_column"), columns={"score": [None, 2.0]}).metrics
    assert metrics["rewards/user_rewards.from_column/zero_variance"] == 1.0
    assert metrics["rewards/user_rewards.from_column/mean"] == 2.0
    nothing = graded(text("from_column"), columns={"score": [None, None]}).metrics
    assert nothing == {"rewards/user_rewards.from_column/graded": 0.0}


@pytest.mark.parametrize(("name", "what"), [("fails_on_bad", "raised KeyError: 'bad'"), ("nan_on_bad", "returned nan")])
def test_a_reward_that_fails_names_itself_the_prompt_and_the_completion(name, what):
    completions = [["fine", "fine"], ["fine", "this is bad"]]
    with pytest.raises(RewardError) as raised:
        graded(text(name), completions=completions)
    assert str(raised.value) == f"reward 'user_rewards.{name}' {what} (prompt: 'p1', completion: 'this is bad')"


@pytest.mark.parametrize("name", ["fails_on_bad", "nan_on_bad"])
def test_under_skip_only_the_failing_answers_lose_this_grade_and_the_first_failure_is_kept(name):
    completions = [["fine", "bad 1"], ["bad 2", "fine"]]
    result = graded(text(name), text("length"), completions=completions, on_error="skip")
    assert result.text.total.tolist() == [[5, 5], [5, 5]]  # 1 + 4 letters, or 5 letters alone
    assert result.metrics[f"rewards/user_rewards.{name}/graded"] == 0.5
    (message,) = result.failures.values()
    assert "'bad 1'" in message


def test_a_run_logs_the_first_failure_of_each_kind(tiny_policy, caplog):
    def rollout(completion: str) -> SimpleNamespace:
        return SimpleNamespace(texts=[[completion]], action=torch.zeros(1, 1, 1, 22, 6), valid=torch.ones(1, 1) > 0)

    rewards = [resolve(text("fails_on_bad")), resolve(text("nan_on_bad"))]
    rewarder = RolloutRewarder(tiny_policy, rewards, "skip")
    with caplog.at_level(logging.WARNING):
        for step, completion in enumerate(["fine", "bad 1", "bad 2"]):
            rewarder(step, [Sample("wave", "")], rollout(completion))
    assert ["'bad 1'" in record.getMessage() for record in caplog.records] == [True, True]


def test_poses_of_texts_can_be_graded_as_they_are_answered(tiny_policy):
    checks = ("y(left_wrist) > y(head)",)
    samples = [Sample("a person raising the left hand above the head", "", checks=checks, task="text_to_pose")]
    samples.append(Sample("what is it?", "", image=object(), checks=checks, task="image_to_pose"))
    action = tiny_policy.head.to_action(torch.zeros(1, 22, 3)).expand(2, 1, 3, 22, 6)  # arms to the sides
    rollout = SimpleNamespace(texts=[["<POSE>"], ["<POSE>"]], action=action, valid=torch.ones(2, 1) > 0)
    kept = [resolve(RewardSpec("kept"))]
    as_sampled, as_answered = (
        RolloutRewarder(tiny_policy, kept, as_answered=answered)(0, samples, rollout).pose.total
        for answered in (False, True)
    )
    assert as_sampled[0].tolist() == [[0, 0, 0]]
    assert as_answered[0].tolist() == [[1, 1, 1]]
    assert torch.equal(as_answered[1], as_sampled[1])  # a picture's pose has no floor


def test_a_reward_that_returns_the_wrong_number_of_grades_is_named():
    with pytest.raises(RewardError, match=r"one_too_few' returned 11 grades for 12 items \(prompt: 'p0'"):
        graded(pose("one_too_few"))
    result = graded(pose("one_too_few"), on_error="skip")
    assert not result.pose.graded.any()


def test_a_mistake_in_the_setup_stops_the_run_even_under_skip():
    with pytest.raises(UserError, match="needs the column 'score', which the samples do not have; they have: answer"):
        graded(text("from_column"), columns={"answer": ["", ""]}, on_error="skip")


def test_texts_and_poses_must_belong_together():
    with pytest.raises(ValueError, match="2 prompts x 2 answers"):
        graded(text("length"), completions=[["a"], ["b"]])
