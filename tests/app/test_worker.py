"""Questions become calls of the policy: together where they may be, and never at each other's expense."""

import numpy as np
import pytest

from pose_rft.app.limits import Limits
from pose_rft.app.worker import PoseWorker, QueuedPrompt, QueueFull
from pose_rft.errors import UserError


@pytest.fixture
def worker(patient_policy):
    """Two questions at most in a call, four in the queue."""
    worker = PoseWorker(patient_policy, Limits(waiting=4, prompts_per_call=2, answers_per_call=6, gather_seconds=0))
    yield worker
    patient_policy.go.set()
    worker.close()


def _busy(worker, policy):
    """The future of a first question, at which the policy is."""
    future = worker.ask(QueuedPrompt("first"))
    assert policy.started.wait(20)
    return future


def _ask_all(worker, policy, questions):
    first = _busy(worker, policy)
    futures = [worker.ask(question) for question in questions]
    policy.go.set()
    first.result(20)
    return [future.result(20) for future in futures]


def test_what_is_asked_meanwhile_is_answered_in_as_few_calls_as_fit(worker, patient_policy):
    results = _ask_all(worker, patient_policy, [QueuedPrompt("a"), QueuedPrompt("b"), QueuedPrompt("c")])
    assert [group[0].text for group in results] == ["a", "b", "c"]
    assert patient_policy.calls == [["first"], ["a", "b"], ["c"]]


def test_the_oldest_question_says_which_kind_is_next(worker, patient_policy):
    questions = [QueuedPrompt("hot", temperature=2.0), QueuedPrompt("a"), QueuedPrompt("hot too", temperature=2.0)]
    _ask_all(worker, patient_policy, questions)
    assert patient_policy.calls == [["first"], ["hot", "hot too"], ["a"]]


def test_many_samples_count_as_many(worker, patient_policy):
    _ask_all(worker, patient_policy, [QueuedPrompt("a", num_samples=4), QueuedPrompt("b", num_samples=4)])
    assert patient_policy.calls == [["first"], ["a"], ["b"]]  # 6 answers fit into a call, 8 do not


def test_a_question_that_fails_takes_no_other_along(worker, patient_policy):
    patient_policy.error["bad"] = UserError("no")
    first = _busy(worker, patient_policy)
    bad, good = worker.ask(QueuedPrompt("bad")), worker.ask(QueuedPrompt("good"))
    patient_policy.go.set()
    assert good.result(20)[0].text == "good"
    with pytest.raises(UserError, match="no"):
        bad.result(20)
    assert first.result(20)


def test_a_withdrawn_question_is_not_asked(worker, patient_policy):
    first = _busy(worker, patient_policy)
    withdrawn, other = worker.ask(QueuedPrompt("withdrawn")), worker.ask(QueuedPrompt("other", temperature=0.5))
    assert withdrawn.cancel()
    patient_policy.go.set()
    assert first.result(20)
    assert other.result(20)
    assert patient_policy.calls == [["first"], ["other"]]


def test_a_full_queue_takes_no_more_and_says_when_to_come_back(worker, patient_policy):
    _busy(worker, patient_policy)
    for name in "abcd":
        worker.ask(QueuedPrompt(name))
    assert worker.waiting == 4
    with pytest.raises(QueueFull) as full:
        worker.ask(QueuedPrompt("e"))
    assert full.value.seconds == 3.0  # four questions in calls of two, and the one that runs, at a second each


def test_a_call_that_nobody_waits_for_any_more_is_stopped(worker, patient_policy):
    first = _busy(worker, patient_policy)
    assert first.cancel()
    patient_policy.started.clear()
    second = worker.ask(QueuedPrompt("second"))
    assert patient_policy.started.wait(20)  # although the first was never let go
    assert patient_policy.stopped == [["first"]]
    patient_policy.go.set()
    assert second.result(20)[0].text == "second"


def test_a_call_goes_on_while_anybody_waits(worker, patient_policy):
    first = _busy(worker, patient_policy)
    one, other = worker.ask(QueuedPrompt("one")), worker.ask(QueuedPrompt("other"))
    patient_policy.started.clear()
    first.cancel()
    assert patient_policy.started.wait(20)
    one.cancel()
    patient_policy.go.set()
    assert other.result(20)[0].text == "other"
    assert patient_policy.stopped == [["first"]]


def test_all_questions_of_a_client_who_left_are_withdrawn(worker, patient_policy):
    first = worker.ask(QueuedPrompt("first", client="a"))
    assert patient_policy.started.wait(20)
    mine, other = worker.ask(QueuedPrompt("mine", client="a")), worker.ask(QueuedPrompt("other", client="b"))
    worker.withdraw("a")
    patient_policy.go.set()
    assert other.result(20)
    assert first.cancelled()
    assert mine.cancelled()
    assert patient_policy.calls == [["first"], ["other"]]


def test_clients_take_turns(patient_policy):
    worker = PoseWorker(patient_policy, Limits(prompts_per_call=2, gather_seconds=0))
    first = worker.ask(QueuedPrompt("first", client="a"))
    assert patient_policy.started.wait(20)
    many = [worker.ask(QueuedPrompt(f"a{n}", client="a")) for n in range(5)]
    few = [worker.ask(QueuedPrompt(f"b{n}", client="b", temperature=0.5)) for n in range(2)]
    patient_policy.go.set()
    for future in (first, *many, *few):
        future.result(20)
    worker.close()
    # b came later, but was not answered yet; then both in turn, two of a kind at a time
    assert patient_policy.calls == [["first"], ["b0", "b1"], ["a0", "a1"], ["a2", "a3"], ["a4"]]


def test_a_full_queue_makes_room_for_a_client_with_fewer_questions(worker, patient_policy):
    _busy(worker, patient_policy)
    greedy = [worker.ask(QueuedPrompt(f"a{n}", client="a")) for n in range(4)]
    modest = worker.ask(QueuedPrompt("b", client="b"))
    with pytest.raises(QueueFull):
        greedy[3].result(20)  # the newest
    with pytest.raises(QueueFull):
        worker.ask(QueuedPrompt("a5", client="a"))
    patient_policy.go.set()
    assert modest.result(20)
    assert [future.result(20)[0].text for future in greedy[:3]] == ["a0", "a1", "a2"]


def test_the_tokens_of_one_call_are_limited(patient_policy):
    limits = Limits(gather_seconds=0, prompt_tokens=100, tokens_per_call=300)
    worker = PoseWorker(patient_policy, limits)
    # 100 words and an answer of 48 tokens at most: 148 each
    _ask_all(worker, patient_policy, [QueuedPrompt(f"{'word ' * 99}{n}") for n in range(3)])
    worker.close()
    assert [len(call) for call in patient_policy.calls] == [1, 2, 1]
    with pytest.raises(UserError, match="prompt: 101 tokens, at most 100; say it in fewer words"):
        worker.ask(QueuedPrompt("word " * 101))


def test_closing_answers_what_waits_and_takes_nothing_new(worker, patient_policy):
    futures = [_busy(worker, patient_policy), worker.ask(QueuedPrompt("a"))]
    patient_policy.go.set()
    worker.close()
    assert [future.result(0)[0].text for future in futures] == ["first", "a"]
    assert not worker.is_alive
    with pytest.raises(QueueFull):
        worker.ask(QueuedPrompt("late"))


def test_an_answer_does_not_depend_on_who_else_asks(tiny_policy, talking_policy):
    for policy in (tiny_policy, talking_policy):  # words at random; poses
        questions = [QueuedPrompt("a dancer" * (n % 3 + 1), num_samples=2, seed=n) for n in range(5)]
        alone = [policy.generate([q.prompt], num_samples=2, seed=q.seed)[0] for q in questions]
        worker = PoseWorker(policy, Limits(gather_seconds=0.2))
        futures = [worker.ask(question) for question in questions]
        together = [future.result(60) for future in futures]
        worker.close()
        assert [[a.text for a in group] for group in together] == [[a.text for a in group] for group in alone]
        for ours, theirs in zip(together, alone, strict=True):
            for one, other in zip(ours, theirs, strict=True):
                if one.pose is not None:
                    np.testing.assert_allclose(one.pose.joints(), other.pose.joints(), atol=1e-4)
    assert not np.allclose(
        together[0][0].pose.body_pose, together[3][0].pose.body_pose, atol=1e-2
    )  # one prompt, 2 seeds
