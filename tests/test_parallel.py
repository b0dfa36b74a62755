import os

import pytest
import torch

from pose_rft.errors import UserError
from pose_rft.parallel import ordered_map


def square(number: int) -> int:
    return number * number


def process_and_threads(number: int) -> tuple[int, int]:
    return os.getpid(), torch.get_num_threads()


def fails_at_three(number: int) -> int:
    if number == 3:
        raise UserError("three is one too many")
    return number


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_jobs(processes: int) -> None:
    assert list(ordered_map(square, range(9), processes, "squares")) == [n * n for n in range(9)]


def test_other_processes_work_with_one_thread_each() -> None:
    done = set(ordered_map(process_and_threads, range(6), 2, "processes"))
    assert 1 <= len(done) <= 2
    assert {threads for _, threads in done} == {1}
    assert os.getpid() not in {process for process, _ in done}


def test_one_process_or_one_job_needs_no_other_process() -> None:
    assert {process for process, _ in ordered_map(process_and_threads, range(3), 1, "processes")} == {os.getpid()}
    assert {process for process, _ in ordered_map(process_and_threads, range(1), 4, "processes")} == {os.getpid()}
    assert list(ordered_map(square, [], 4, "squares")) == []


def test_only_a_few_jobs_are_begun_before_their_results_are_asked_for() -> None:
    taken = []

    class Jobs(list):
        def __iter__(self):
            for job in super().__iter__():
                taken.append(job)
                yield job

    assert next(ordered_map(square, Jobs(range(100)), 2, "squares")) == 0
    assert taken == [0, 1, 2, 3]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_mistake_in_a_job_reaches_the_caller(processes: int) -> None:
    results = ordered_map(fails_at_three, range(9), processes, "numbers")
    with pytest.raises(UserError, match="one too many"):
        list(results)


def test_fewer_than_one_process_is_a_mistake() -> None:
    with pytest.raises(UserError, match="numbers: processes must be at least 1, not 0"):
        ordered_map(square, range(3), 0, "numbers")
