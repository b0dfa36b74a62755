"""Answers and a policy made up for tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from torch import Tensor


@dataclass(frozen=True)
class FakePose:
    rotations: Tensor  # (22, 3)

    def axis_angle(self) -> Any:
        return self.rotations.numpy()


@dataclass(frozen=True)
class FakeAnswer:
    text: str
    valid: bool
    pose: FakePose | None


class FakePolicy:
    """Answers every prompt with what `answer(prompt, sample, temperature)` returns: a (22, 3) tensor or None."""

    def __init__(self, answer: Callable[[str, int, float], Tensor | None]):
        self.answer = answer
        self.calls: list[tuple[list[str], int, float, int]] = []

    def generate(
        self,
        prompts: Sequence[str],
        images: Sequence[Any] | None = None,
        num_samples: int = 1,
        temperature: float = 1.0,
        seed: int = 0,
        best_of: int | None = None,
    ) -> list[list[FakeAnswer]]:
        self.calls.append((list(prompts), num_samples, temperature, seed))
        return [
            [self._one(self.answer(prompt, sample, temperature)) for sample in range(num_samples)] for prompt in prompts
        ]

    @staticmethod
    def _one(pose: Tensor | None) -> FakeAnswer:
        if pose is None:
            return FakeAnswer("I would rather not.", False, None)
        return FakeAnswer("The SMPL pose of this person is <POSE>.", True, FakePose(pose))


@pytest.fixture
def fake_policy() -> type[FakePolicy]:
    return FakePolicy
