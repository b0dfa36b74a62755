"""One thread owns the policy; what is asked while it answers is answered together in its next call.

Every question brings its own seed, and what is sampled for a prompt depends on that alone (``PosePolicy.generate``), so
nobody's answer depends on who else was asking. Only rounding does: a language model in bfloat16 rounds a little
differently in a batch of another size.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from PIL.Image import Image

from pose_rft.app.limits import Limits
from pose_rft.policy import Answer, PosePolicy


@dataclass(frozen=True)
class QueuedPrompt:
    """What ``PosePolicy.generate`` is asked for one prompt."""

    prompt: str
    image: Image | None = None
    num_samples: int = 1
    temperature: float = 1.0
    seed: int = 0

    @property
    def kind(self) -> tuple[int, float]:
        """Questions of one kind go into one call."""
        return self.num_samples, self.temperature


class QueueFull(Exception):
    """So many questions wait that this one was not taken.

    Attributes:
        seconds: after which it is worth asking again, by the time that the last call took.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many questions are waiting; ask again in {seconds:.0f} s")
        self.seconds = seconds


Asked = tuple[QueuedPrompt, "Future[list[Answer]]"]


class PoseWorker:
    """Answers questions in a thread of its own, as many as possible in one call of the policy."""

    def __init__(self, policy: PosePolicy, limits: Limits) -> None:
        self.policy, self.limits = policy, limits
        self._waiting: deque[Asked] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._seconds_per_call = 1.0
        self._thread = threading.Thread(target=self._run, name="pose-worker", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Questions in the queue."""
        return len(self._waiting)

    @property
    def is_alive(self) -> bool:
        """Whether questions are taken."""
        return self._thread.is_alive() and not self._closing

    def ask(self, question: QueuedPrompt) -> "Future[list[Answer]]":
        """Queue a question; the future gives its answers, or what ``generate`` raised. Cancelling it withdraws it.

        Raises:
            QueueFull: ``limits.waiting`` questions wait already, or the worker is closing.
        """
        future: Future[list[Answer]] = Future()
        with self._changed:
            if self._closing or len(self._waiting) >= self.limits.waiting:
                calls = 1 + len(self._waiting) / self.limits.prompts_per_call
                raise QueueFull(max(1.0, calls * self._seconds_per_call))
            self._waiting.append((question, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Answer what is queued, take nothing new, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        with self.policy.merged_adapters():  # once, and not in every call
            while batch := self._next_batch():
                start = time.monotonic()
                self._answer([(question, future) for question, future in batch if _still_wanted(future)])
                self._seconds_per_call = time.monotonic() - start

    def _next_batch(self) -> list[Asked]:
        """The oldest question and all others of its kind that fit into one call; nothing when it is time to end."""
        with self._changed:
            idle = not self._waiting
            self._changed.wait_for(lambda: self._waiting or self._closing)
        if idle and not self._closing:
            time.sleep(self.limits.gather_seconds)
        with self._changed:
            if not self._waiting:
                return []
            kind = self._waiting[0][0].kind
            room = max(1, min(self.limits.prompts_per_call, self.limits.answers_per_call // kind[0]))
            batch: list[Asked] = []
            others: deque[Asked] = deque()
            while self._waiting:
                asked = self._waiting.popleft()
                fits = asked[0].kind == kind and len(batch) < room
                (batch if fits else others).append(asked)
            self._waiting = others
            return batch

    def _answer(self, batch: Sequence[Asked]) -> None:
        if not batch:
            return
        questions = [question for question, _ in batch]
        images = [question.image for question in questions]
        try:
            answers = self.policy.generate(
                [question.prompt for question in questions],
                images if any(image is not None for image in images) else None,
                num_samples=questions[0].num_samples,
                temperature=questions[0].temperature,
                seed=[question.seed for question in questions],
                batch_size=len(questions),
            )
        except Exception as error:  # it belongs to whoever asked, and the thread must go on
            if len(batch) > 1:  # one question's mistake is not the others'
                for asked in batch:
                    self._answer([asked])
            else:
                batch[0][1].set_exception(error)
        else:
            for (_, future), group in zip(batch, answers, strict=True):
                future.set_result(group)


def _still_wanted(future: "Future[list[Answer]]") -> bool:
    return future.set_running_or_notify_cancel()
