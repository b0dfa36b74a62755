"""How a benchmark asks a policy."""

from collections.abc import Sequence
from typing import Any, Protocol

from rich.progress import track

from pose_rft.evaluation.grading import GradedAnswer
from pose_rft.vision.detector import Box

Answers = list[Sequence[GradedAnswer]]  # those to each prompt


class Answering(Protocol):
    """What a benchmark asks of a policy."""

    def generate(
        self,
        prompts: Sequence[str],
        images: Sequence[Any] | None = None,
        num_samples: int = 1,
        temperature: float = 1.0,
        seed: int = 0,
        *,
        best_of: int | None = None,
        settle: bool = True,
        boxes: Sequence[Box | None] | None = None,
    ) -> Sequence[Sequence[GradedAnswer]]: ...


def ask(
    policy: Answering,
    prompts: Sequence[str],
    images: Sequence[Any],
    num_samples: int,
    temperature: float,
    seed: int,
    best_of: int = 1,
    settle: bool = True,
    batch_size: int = 32,
    show_progress: bool = False,
    boxes: Sequence[Box | None] | None = None,
) -> dict[str, Answers]:
    """Answers to N prompts: at temperature 0 (``mean_pose``), single samples (``sampled``), of texts the best of many.

    Args:
        images: N of them, None where a prompt is about none.
        best_of: how many poses are sampled for an answer of ``best_of``; 1 leaves these out.
        settle: False asks for poses as they are sampled.
        batch_size: prompts per call of ``policy.generate``.
        boxes: N of them around the people who are meant, None where a prompt needs none; None for no box at all.
    """
    answers: dict[str, Answers] = {"mean_pose": [], "sampled": []}
    starts = range(0, len(prompts), batch_size)
    for start in track(starts, description="Asking the policy", disable=not show_progress):
        texts, shown = prompts[start : start + batch_size], images[start : start + batch_size]
        how: dict[str, Any] = {} if settle else {"settle": False}  # who knows no floor need not be asked
        how |= {} if boxes is None else {"boxes": boxes[start : start + batch_size]}
        sampling = {"temperature": temperature, "seed": seed + start, **how}
        answers["mean_pose"] += policy.generate(texts, shown, 1, temperature=0.0, seed=seed, **how)
        answers["sampled"] += policy.generate(texts, shown, num_samples, best_of=1, **sampling)
        if best_of > 1 and not any(image is not None for image in shown):
            answers.setdefault("best_of", []).extend(policy.generate(texts, shown, 1, best_of=best_of, **sampling))
    return answers
