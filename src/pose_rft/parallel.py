"""The one pool of processes: jobs done side by side, their results in order."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

import torch
from rich.console import Console
from rich.progress import track

from pose_rft.errors import UserError

Job = TypeVar("Job")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Job], Result], jobs: Sequence[Job], processes: int, description: str
) -> Iterator[Result]:
    """What a function makes of each job, in the order of the jobs, with a progress bar on stderr.

    One process or one job is done here, as ``map`` would. Else processes are spawned, with one thread each, so the
    caller's script needs the usual ``if __name__ == "__main__"``; at most two jobs a process are begun before their
    results are asked for, so only a few results are held at once.

    Args:
        function: of a module, for it is sent to other processes, as jobs and results are.
        processes: how many work.
        description: stands beside the bar.

    Raises:
        UserError: fewer than one process.
    """
    if processes < 1:
        raise UserError(f"{description}: processes must be at least 1, not {processes}")
    here = processes == 1 or len(jobs) < 2
    results = map(function, jobs) if here else _spawned(function, jobs, processes)
    console = Console(stderr=True)
    return iter(track(results, description, total=len(jobs), console=console, disable=len(jobs) < 2))


def _spawned(function: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, torch.set_num_threads, (1,)) as pool:
        begun: deque[Future[Result]] = deque()
        for job in jobs:
            begun.append(pool.submit(function, job))
            if len(begun) >= 2 * processes:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
