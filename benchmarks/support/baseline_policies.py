"""What a policy has to beat: the mean pose, the nearest pose of the training set, and PoseScript's pose VAE.

They answer as a policy does, so `evaluate_samples` takes them. benchmarks/baselines.py prints one table of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.support.pose_vae import PoseVae
from pose_rft.body.pose import Pose
from pose_rft.body.skeleton import mean_pose
from pose_rft.data.sample import SHORT_ANSWER
from pose_rft.retrieval.model import RetrievalModel


@dataclass(frozen=True)
class BaselineAnswer:
    """An answer whose words are always the same."""

    pose: Pose
    text: str = SHORT_ANSWER
    valid: bool = True


def _answers(poses: Tensor) -> list[list[BaselineAnswer]]:
    """poses: (N, K, 22, 3)."""
    return [[BaselineAnswer(Pose.from_axis_angle(pose)) for pose in group] for group in poses]


class MeanPose:
    """Always the mean of the training poses, joint by joint on the rotations, (P, 22, 3) axis-angle."""

    def __init__(self, poses: Tensor) -> None:
        self.pose = mean_pose(poses)

    def generate(
        self,
        prompts: Sequence[str],
        images: Sequence[Any] | None = None,
        num_samples: int = 1,
        temperature: float = 1.0,
        seed: int = 0,
        best_of: int | None = None,
    ) -> list[list[BaselineAnswer]]:
        """The same pose for every prompt and sample."""
        return _answers(self.pose.expand(len(prompts), num_samples, -1, -1))


class NearestPose:
    """The training pose that a retrieval model scores highest for the text; sampled ones by the softmax of the scores.

    Args:
        model: a retrieval model; its learned temperature makes scores to log-probabilities.
        poses: (P, 22, 3) axis-angle, the training set.
    """

    def __init__(self, model: RetrievalModel, poses: Tensor) -> None:
        self.model, self.poses = model, poses
        self.embedded = model.embed_pose(poses)  # (P, D)

    def generate(
        self,
        prompts: Sequence[str],
        images: Sequence[Any] | None = None,
        num_samples: int = 1,
        temperature: float = 1.0,
        seed: int = 0,
        best_of: int | None = None,
    ) -> list[list[BaselineAnswer]]:
        """Temperature 0: the best pose, for every sample."""
        scores = self.model.embed_text(prompts) @ self.embedded.T  # (N, P)
        if temperature == 0:
            chosen = scores.argmax(1, keepdim=True).expand(-1, num_samples)
        else:
            scale = self.model.log_scale.detach().exp() / temperature
            generator = torch.Generator().manual_seed(seed)
            chosen = torch.multinomial((scale * scores).softmax(1), num_samples, replacement=True, generator=generator)
        return _answers(self.poses[chosen])


class VaePolicy:
    """A trained ``PoseVae``; temperature 0 decodes the mean of the prior."""

    def __init__(self, model: PoseVae) -> None:
        self.model = model

    def generate(
        self,
        prompts: Sequence[str],
        images: Sequence[Any] | None = None,
        num_samples: int = 1,
        temperature: float = 1.0,
        seed: int = 0,
        best_of: int | None = None,
    ) -> list[list[BaselineAnswer]]:
        """Samples of the prior, decoded."""
        generator = torch.Generator().manual_seed(seed)
        return _answers(self.model.sample(prompts, num_samples, temperature, generator))
