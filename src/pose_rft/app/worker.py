"""One thread owns the policy; what is asked while it answers is answered together in its next call.

Every question brings its own seed, and what is sampled for a prompt depends on that alone (``PosePolicy.generate``), so
nobody's answer depends on who else was asking. Only rounding does: a language model in bfloat16 rounds a little
differently in a batch of another size.

Clients take turns: of each, one question is answered before another one's second. A call is ended as soon as nobody
waits for any of its answers.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from PIL.Image import Image

from pose_rft.app.limits import Limits
from pose_rft.errors import UserError
from pose_rft.policy import Answer, PosePolicy
from pose_rft.policy.prompt_encoder import read_prompt
from pose_rft.vision.detector import Box
from pose_rft.vision.images import read_image

ANSWER_TOKENS = 48  # at most, of one answer


@dataclass(frozen=True)
class QueuedPrompt:
    """What ``PosePolicy.generate`` is asked for one prompt, and by whom."""

    prompt: str
    image: Image | None = None
    num_samples: int = 1
    temperature: float = 1.0
    seed: int = 0
    box: Box | None = None
    client: str = ""
    words: bool = True
    settle: bool = True

    @property
    def kind(self) -> tuple[int, float, bool, bool]:
        """Questions of one kind go into one call."""
        return self.num_samples, self.temperature, self.words, self.settle


class QueueFull(Exception):
    """So many questions wait that this one was not taken.

    Attributes:
        seconds: after which it is worth asking again, by the time that the last call took.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many questions are waiting; ask again in {seconds:.0f} s")
        self.seconds = seconds


class Unwanted(Exception):
    """Nobody waits for the answers of this call any more."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A question in the queue. Who does not want its answers any more cancels the future.

    Attributes:
        tokens: of its prompt and of its answers, as long as they may become.
    """

    question: QueuedPrompt
    tokens: int
    future: "Future[list[Answer]]" = field(default_factory=Future)

    @property
    def client(self) -> str:
        return self.question.client


class PoseWorker:
    """Answers questions in a thread of its own, as many as possible in one call of the policy."""

    def __init__(self, policy: PosePolicy, limits: Limits) -> None:
        self.policy, self.limits = policy, limits
        self._waiting: list[Asked] = []
        self._in_call: list[Asked] = []
        self._served: dict[str, int] = {}  # client in the queue or call -> the call that last answered it
        self._calls = 0
        self._changed = threading.Condition()
        self._unpacking = threading.Lock()
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

    def read_picture(self, content: bytes) -> Image:
        """A picture's file as ``read_image`` reads it; one at a time, for a large one needs much memory meanwhile."""
        with self._unpacking:
            return read_image(content)

    def ask(self, question: QueuedPrompt) -> "Future[list[Answer]]":
        """Queue a question; the future gives its answers, or what ``generate`` raised. Cancelling it withdraws it.

        A full queue makes room for a client with few questions in it: the newest of the client with the most goes.

        Raises:
            QueueFull: ``limits.waiting`` questions wait already, or the worker is closing.
            UserError: the prompt is too long.
        """
        tokens = self.policy.backbone.count_tokens(read_prompt(question.prompt))
        if tokens > self.limits.prompt_tokens:
            raise UserError(f"prompt: {tokens} tokens, at most {self.limits.prompt_tokens}; say it in fewer words")
        asked = Asked(question, tokens + question.num_samples * ANSWER_TOKENS)
        with self._changed:
            self._drop_withdrawn()
            if self._closing or (len(self._waiting) >= self.limits.waiting and not self._make_room(asked.client)):
                raise self._full()
            self._waiting.append(asked)
            self._served.setdefault(asked.client, self._calls - 1)  # who comes anew is before whom this call answers
            self._changed.notify()
        return asked.future

    def withdraw(self, client: str) -> None:
        """Forget all questions of a client who left."""
        with self._changed:
            asked = [each for each in (*self._waiting, *self._in_call) if each.client == client]
        for each in asked:
            each.future.cancel()

    def close(self) -> None:
        """Answer what is queued, take nothing new, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _full(self) -> QueueFull:
        calls = 1 + len(self._waiting) / self.limits.prompts_per_call
        return QueueFull(max(1.0, calls * self._seconds_per_call))

    def _make_room(self, client: str) -> bool:
        """Send the newest question of the client with the most away, if ``client`` still has fewer with one more."""
        counts = Counter(asked.client for asked in self._waiting)
        if not counts:
            return False
        (most, count), *_ = counts.most_common(1)
        if counts[client] + 1 >= count:
            return False
        last = next(asked for asked in reversed(self._waiting) if asked.client == most)
        self._waiting.remove(last)
        with contextlib.suppress(InvalidStateError):
            last.future.set_exception(self._full())
        return True

    def _drop_withdrawn(self) -> None:
        self._waiting = [asked for asked in self._waiting if not asked.future.cancelled()]

    def _run(self) -> None:
        with self.policy.merged_adapters():  # once, and not in every call
            while (batch := self._next_batch()) is not None:
                start = time.monotonic()
                self._answer(batch)
                self._seconds_per_call = time.monotonic() - start

    def _next_batch(self) -> list[Asked] | None:
        """The question whose turn it is and others of its kind that fit into one call; None when it is time to end."""
        with self._changed:
            idle = not self._waiting
            self._changed.wait_for(lambda: self._waiting or self._closing)
        if idle and not self._closing:
            time.sleep(self.limits.gather_seconds)
        with self._changed:
            self._drop_withdrawn()
            if not self._waiting:
                return None if self._closing else []
            self._in_call = batch = self._fitting(self._in_turn())
            self._waiting = [asked for asked in self._waiting if asked not in batch]
            self._calls += 1
            self._served |= dict.fromkeys((asked.client for asked in batch), self._calls)
            self._served = {asked.client: self._served[asked.client] for asked in (*self._waiting, *batch)}
            return batch

    def _in_turn(self) -> list[Asked]:
        """First questions of all clients before second ones; who was answered longest ago comes first."""
        before: Counter[str] = Counter()
        ranks = []
        for asked in self._waiting:
            ranks.append((before[asked.client], self._served[asked.client]))
            before[asked.client] += 1
        turns = sorted(range(len(ranks)), key=ranks.__getitem__)
        return [self._waiting[turn] for turn in turns]

    def _fitting(self, asked: Sequence[Asked]) -> list[Asked]:
        """The first of these, and what fits beside it."""
        kind, samples = asked[0].question.kind, asked[0].question.num_samples
        room = max(1, min(self.limits.prompts_per_call, self.limits.answers_per_call // samples))
        batch, tokens = [asked[0]], asked[0].tokens
        for each in asked[1:]:
            fits = len(batch) < room and tokens + each.tokens <= self.limits.tokens_per_call
            if fits and each.question.kind == kind:
                batch.append(each)
                tokens += each.tokens
        return batch

    def _answer(self, batch: Sequence[Asked]) -> None:
        batch = [asked for asked in batch if not asked.future.cancelled()]
        if not batch:
            return

        def see_who_waits() -> None:
            if all(asked.future.cancelled() for asked in batch):
                raise Unwanted

        questions = [asked.question for asked in batch]
        images = [question.image for question in questions]
        try:
            answers = self.policy.generate(
                [question.prompt for question in questions],
                images if any(image is not None for image in images) else None,
                num_samples=questions[0].num_samples,
                temperature=questions[0].temperature,
                seed=[question.seed for question in questions],
                batch_size=len(questions),
                boxes=[question.box for question in questions],
                before_pass=see_who_waits,
                words=questions[0].words,
                settle=questions[0].settle,
            )
        except Unwanted:
            return
        except Exception as error:  # it belongs to whoever asked, and the thread must go on
            if len(batch) > 1:  # one question's mistake is not the others'
                for asked in batch:
                    self._answer([asked])
            else:
                with contextlib.suppress(InvalidStateError):  # cancelled meanwhile
                    batch[0].future.set_exception(error)
        else:
            for asked, group in zip(batch, answers, strict=True):
                with contextlib.suppress(InvalidStateError):
                    asked.future.set_result(group)
