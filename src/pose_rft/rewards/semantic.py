"""Semantic alignment: cos(phi_text(prompt), phi_pose(pose)) by a text-pose retrieval model."""

from functools import lru_cache

import torch

from pose_rft.errors import UserError
from pose_rft.retrieval.model import RetrievalModel
from pose_rft.rewards.batch import PoseBatch


@lru_cache(maxsize=2)
def _load(model: str, device: torch.device) -> RetrievalModel:
    retrieval = RetrievalModel.load(model)
    if retrieval.settings.role == "judge":
        raise UserError(f"retrieval model {model} is a judge and must not be a reward: use 'reward' or train another")
    return retrieval.to(device)


def prepare(model: str = "reward") -> None:
    """Find out before a run whether the model is there; takes the options of the reward.

    Raises:
        UserError: as `semantic_alignment` does.
    """
    _load(model, torch.device("cpu"))


def semantic_alignment(
    prompts: list[str], completions: list[str], poses: PoseBatch, *, model: str = "reward", **columns: object
) -> list[float | None]:
    """Cosine between prompt and pose, -1 to 1; None for invalid poses.

    Args:
        prompts: what was asked.
        completions: not looked at.
        poses: the poses to judge.
        model: name of a bundled retrieval model or a file made by `pose-rft retrieval train`.

    Raises:
        UserError: no such model, or one that is kept for judging.
    """
    retrieval = _load(model, poses.joints.device)
    texts = list(dict.fromkeys(prompts))  # the poses of one prompt share its embedding
    row = {text: index for index, text in enumerate(texts)}
    text_embedding = retrieval.embed_text(texts)[[row[prompt] for prompt in prompts]]  # (M, D)
    pose_embedding = retrieval.embed_pose(poses.axis_angle)  # (M, D)
    cosine = (text_embedding * pose_embedding).sum(dim=-1)
    return [grade if usable else None for grade, usable in zip(cosine.tolist(), poses.valid.tolist(), strict=True)]
