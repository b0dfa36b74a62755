"""A policy that waits to be told to answer, and applications around small policies."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

from pose_rft.app.limits import Limits
from pose_rft.app.server import create_app
from pose_rft.policy import Answer, PosePolicy


class PatientPolicy:
    """Echoes prompts, but not before ``go`` is set; remembers what it was asked together. A word is a token."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.started, self.go = threading.Event(), threading.Event()
        self.stopped: list[list[str]] = []  # calls that were ended
        self.error: dict[str, Exception] = {}  # prompt -> what it raises

    def merged_adapters(self) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext()

    @property
    def backbone(self) -> SimpleNamespace:
        return SimpleNamespace(count_tokens=lambda prompt: len(prompt.split()))

    def generate(
        self, prompts, images, num_samples, temperature, seed, batch_size, boxes, before_pass, words, settle
    ) -> list[list[Answer]]:
        self.calls.append(list(prompts))
        self.boxes = boxes
        self.started.set()
        deadline = time.monotonic() + 20
        while not self.go.wait(0.01):
            assert time.monotonic() < deadline
            try:
                before_pass()
            except Exception:
                self.stopped.append(list(prompts))
                raise
        for prompt in prompts:
            if prompt in self.error:
                raise self.error[prompt]
        return [[Answer(prompt, False, None, 0.0, None)] * num_samples for prompt in prompts]


@pytest.fixture
def patient_policy() -> Iterator[PatientPolicy]:
    policy = PatientPolicy()
    yield policy
    policy.go.set()


@pytest.fixture(scope="session")
def talking_policy(trained_policy) -> PosePolicy:
    """Always answers "Done <POSE>."."""
    return PosePolicy.from_pretrained(trained_policy)


@pytest.fixture
def client_of() -> Iterator[Callable[..., TestClient]]:
    """``client_of(policy, limits=, token=, with_page=)``: a client of an application that runs until the test ends."""
    with contextlib.ExitStack() as stack:

        def start(policy, limits: Limits | None = None, token: str | None = None, with_page: bool = False):
            app = create_app(policy, limits, token, with_page)
            client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
            return stack.enter_context(client)

        yield start


@pytest.fixture
def client(client_of, talking_policy) -> TestClient:
    """A client of the API around the talking policy."""
    return client_of(talking_policy)
