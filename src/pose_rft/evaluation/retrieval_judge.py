"""What the judge says of a policy's answers: a retrieval model that was never a reward (docs/evaluation.md)."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.evaluation.metrics import heading_aligned
from pose_rft.evaluation.retrieval_metrics import both_ranks, feature_diversity, frechet_distance, retrieval_figures
from pose_rft.retrieval.model import RetrievalModel

CM2_PER_M2 = 1e4
SHOWN = ("text_to_pose/recall@1", "text_to_pose/recall@5", "text_to_pose/recall@10", "mean_recall", "pool/mean_recall")
DISTANCES = ("fid_judge", "fid_joints_cm2", "diversity_judge")


def embed_answers(judge: RetrievalModel, poses: Tensor) -> Tensor:
    """(N, K, D) unit vectors of poses (N, K, 22, 3) axis-angle; NaN for NaN poses."""
    valid = poses.isfinite().flatten(2).all(2)  # (N, K)
    embedded = torch.full((*poses.shape[:2], judge.settings.width), math.nan)
    if valid.any():
        embedded[valid] = judge.embed_pose(poses[valid])
    return embedded


def judge_scores(judge: RetrievalModel, prompts: Sequence[str], poses: Tensor) -> Tensor:
    """(N, K) cosine of prompt and each of its poses (N, K, 22, 3); NaN for NaN poses."""
    return (embed_answers(judge, poses) * judge.embed_text(prompts).unsqueeze(1)).sum(-1)


def judge_answers(
    judge: RetrievalModel, prompts: Sequence[str], poses: Tensor, recorded: Tensor | None = None
) -> dict[str, Any]:
    """Figures of a whole set of answers.

    Args:
        judge: the model that judges.
        prompts: N texts.
        poses: (N, K, 22, 3) axis-angle, K answers to each; NaN marks an answer without a pose, which is never found.
        recorded: (N, 22, 3) axis-angle: the poses that the texts were made of, for Frechet distances.

    Returns:
        What ``json.dumps`` takes: ``retrieval_figures`` (the poses of one sample of every prompt are the gallery; means
        over the K samples), ``diversity_judge`` and, with recorded poses, ``fid_judge`` and ``fid_joints_cm2``. The
        last three are over the valid poses of the first sample, so that every system is compared at the same number
        of poses; None where fewer than two are valid.
    """
    text, pose = judge.embed_text(prompts), embed_answers(judge, poses)  # (N, D), (N, K, D)
    valid = pose.isfinite().all(-1)  # (N, K)
    ranks = [both_ranks(text @ pose[:, k].T, valid[:, k]) for k in range(poses.shape[1])]
    figures: dict[str, Any] = {
        name: asdict(interval) for name, interval in retrieval_figures(torch.stack(ranks), len(prompts)).items()
    }
    first, usable = pose[valid[:, 0], 0], int(valid[:, 0].sum()) > 1
    figures["diversity_judge"] = feature_diversity(first) if usable else None
    if recorded is not None and len(recorded) > 1:
        real = judge.embed_pose(recorded)
        figures["fid_judge"] = frechet_distance(first, real) if usable else None
        places = joint_features(poses[valid[:, 0], 0]) if usable else first
        figures["fid_joints_cm2"] = CM2_PER_M2 * frechet_distance(places, joint_features(recorded)) if usable else None
    return figures


def joint_features(poses: Tensor) -> Tensor:
    """(N, 66) joints of poses (N, 22, 3), metres, pelvis at the origin and hips facing +z."""
    return heading_aligned(load_body().joints(poses.reshape(-1, NUM_JOINTS, 3))).flatten(1)
