"""What poses of the training data answer without a policy: the average, and those that a retrieval model finds."""

from collections.abc import Sequence
from functools import cache, partial

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from pose_rft.body.skeleton import NUM_JOINTS, mean_pose
from pose_rft.data.concepts.pools import concept_pools
from pose_rft.data.mocap.clips import MocapClips, drawing_weights, facing_forward
from pose_rft.policy.selection import CANDIDATES, choose_poses
from pose_rft.retrieval.model import RetrievalModel
from pose_rft.storage import cached_array, sources_digest

AVERAGE, NEAREST = "average training pose", "nearest training pose"
CONCEPT, RERANKED = "nearest concept pose", "best of the nearest concept poses"
CONCEPT_POSES = 8  # of each concept


def nearest_poses(retrieval: RetrievalModel, prompts: Sequence[str], poses: Tensor) -> Tensor:
    """For each prompt the one of the poses (P, 22, 3) that the model scores highest, (N, 22, 3)."""
    return top_poses(retrieval, prompts, poses, 1)[:, 0]


def top_poses(retrieval: RetrievalModel, prompts: Sequence[str], poses: Tensor, count: int) -> Tensor:
    """For each prompt those of the poses (P, 22, 3) that the model scores highest, the best first: (N, K, 22, 3).

    Args:
        count: K; all P where there are fewer.
    """
    scores = retrieval.embed_text(prompts) @ retrieval.embed_pose(poses).T  # (N, P)
    return poses[scores.topk(min(count, len(poses)), dim=1).indices]


def concept_baselines(prompts: Sequence[str], show_progress: bool = False) -> dict[str, Tensor]:
    """Answers (N, 1, 22, 3) to each prompt from the poses of the concept bank, by the bundled reward model.

    The pose that it scores highest, and of as many as a policy samples for an answer the one that ``choose_poses``
    takes: what a policy has to beat, alone and with its best of K. The poses are solved once and kept in the user's
    cache until the bank or the solver changes.
    """
    retrieval = RetrievalModel.load("reward")
    poses = torch.from_numpy(cached_array("concept-poses", _concepts_digest(), partial(_concept_poses, show_progress)))
    nearest = top_poses(retrieval, prompts, poses, CANDIDATES)
    chosen = [choose_poses(prompt, some[None]) for prompt, some in zip(prompts, nearest, strict=True)]
    return {
        CONCEPT: nearest[:, :1],
        RERANKED: nearest[torch.arange(len(prompts))[:, None], torch.stack(chosen)],
    }


def _concept_poses(show_progress: bool) -> np.ndarray:
    pools = concept_pools(CONCEPT_POSES, 0, (), "all")
    told = track(pools.concepts, description="Poses of the bank, kept for later", disable=not show_progress)
    return np.concatenate([pools.poses(concept) for concept in told])


@cache
def _concepts_digest() -> str:
    """Of what the poses are solved from: the bank, the solver, the body and the checks that they have to meet."""
    return sources_digest("pose_rft.data.concepts", "pose_rft.body", "pose_rft.posescript")


def training_baselines(prompts: Sequence[str], training: MocapClips) -> dict[str, Tensor]:
    """Answers (N, 1, 22, 3) to each prompt: the average pose, as training draws poses, and the reward model's nearest.

    All face +z.
    """
    poses = facing_forward(torch.from_numpy(training.pose))
    average = mean_pose(poses, torch.from_numpy(drawing_weights(training)))
    return {
        AVERAGE: average.expand(len(prompts), 1, NUM_JOINTS, 3),
        NEAREST: nearest_poses(RetrievalModel.load("reward"), prompts, poses).unsqueeze(1),
    }
