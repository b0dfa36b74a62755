"""How good the retrieval models are: 1,000 poses of recordings that no training saw, one unseen caption each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.distances import root_aligned
from pose_rft.data.mocap.clips import facing_forward
from pose_rft.errors import UserError
from pose_rft.evaluation.caption_benchmark import SEED, recorded_poses
from pose_rft.evaluation.metrics import Interval
from pose_rft.evaluation.retrieval_metrics import both_ranks, retrieval_figures
from pose_rft.posescript.captions import Caption, Style, caption
from pose_rft.posescript.posecodes import classify, posecode_index
from pose_rft.posescript.selection import CHANCE, preference
from pose_rft.retrieval.model import RetrievalModel
from pose_rft.retrieval.ranks import rank_correlation, rankings_agree
from pose_rft.retrieval.training import shares

GALLERY = 1000
MISSING = 1e4  # log-likelihood that a statement which does not hold costs: more than all that do


def gallery(path: Path, count: int = GALLERY) -> Tensor:
    """Poses of held-out recordings that differ from each other as far as the file allows, facing +z, (count, 22, 3).

    Raises:
        UserError: unreadable, no recording is held out, or fewer than `count` poses are.
    """
    held_out, _ = recorded_poses(path)
    if len(held_out) < count:
        raise UserError(f"{path}: {len(held_out)} poses of held-out recordings are fewer than {count}; give more")
    poses = facing_forward(torch.from_numpy(held_out.pose))
    return poses[farthest_points(root_aligned(load_body().joints(poses)).flatten(1), count)]


def farthest_points(features: Tensor, count: int) -> Tensor:
    """Rows that are far from each other: each next one is the farthest from those already chosen.

    Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985); PoseScript chooses its poses so. Frames
    of a recording are near-duplicates, and a gallery of them would ask to tell apart what looks the same.

    Args:
        features: (N, D).
        count: how many; at most N.

    Returns:
        (count,) indices in order of choice, beginning with the row farthest from the mean.
    """
    if not 1 <= count <= len(features):
        raise ValueError(f"count must be 1 to {len(features)}, not {count}")
    chosen = [int((features - features.mean(0)).norm(dim=1).argmax())]
    nearest = (features - features[chosen[0]]).norm(dim=1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (features - features[chosen[-1]]).norm(dim=1))
    return torch.tensor(chosen)


def captions_of_gallery(poses: Tensor, style: Style = "any", seed: int = SEED) -> list[Caption]:
    """One caption for each of the poses (N, 22, 3)."""
    return caption(load_body().points(poses), seed, style)


def figures(scores: Tensor) -> dict[str, Interval]:
    """``retrieval_figures`` of a full table (N, N) of text i and pose j."""
    return retrieval_figures(both_ranks(scores), len(scores))


def score_table(model: RetrievalModel, captions: Sequence[Caption], poses: Tensor) -> Tensor:
    """(T, N) cosines of all captions and all poses."""
    return model.embed_text([said.text for said in captions]) @ model.embed_pose(poses).T


def oracle_ranks(captions: Sequence[Caption], poses: Tensor) -> Tensor:
    """Ranks (2, N) by one who reads every statement of a caption exactly and knows how captions are made.

    It says about what a model can reach: a short caption is true of many poses. The chance of a caption given a pose
    is taken as Plackett and Luce's: statement after statement is drawn from those that clearly hold, in proportion to
    preference; what the caption maker adds in rules (no rivals, nothing implied, both sides at once) is left out, so
    it is no strict bound. A text finds the pose of highest chance; a pose finds the text whose chance is highest
    against that text's sum over all poses.
    """
    holds = classify(load_body().points(poses), clearly=True)  # (N, C)
    wish = torch.from_numpy(preference()).float() / CHANCE  # (C,)
    choice = torch.where(holds, wish, torch.tensor(-torch.inf)).logsumexp(1)  # (N,)
    index = posecode_index()
    stated = torch.zeros(len(captions), len(wish))
    for row, said in enumerate(captions):
        stated[row, [index[name] for name in said.posecodes]] = 1
    missing = stated @ (~holds).float().T  # (T, N)
    chance = -MISSING * missing + (stated @ wish)[:, None] - stated.sum(1, keepdim=True) * choice
    by_text, by_pose = both_ranks(chance)[0], both_ranks(chance - chance.logsumexp(1, keepdim=True))[1]
    return torch.stack([by_text, by_pose])


def scores_agree(first: Tensor, second: Tensor) -> dict[str, float]:
    """Rank correlation of two models' (T, N) scores: of the right pairs, and of all pairs.

    Returns:
        ``pairs``: over the N captions with their own pose; ``table``: over all T x N entries.
    """
    return {
        "pairs": rank_correlation(first.diagonal(), second.diagonal()),
        "table": rank_correlation(first.flatten(), second.flatten()),
    }


def agreement_with_checks(scores: Tensor, captions: Sequence[Caption], poses: Tensor) -> float:
    """Mean over captions of the rank correlation of score and share of the statements that a pose meets."""
    return rankings_agree(scores, shares([said.checks for said in captions], load_body().points(poses)))


def statements(captions: Sequence[Caption]) -> float:
    """Mean number of statements."""
    return float(np.mean([len(said.checks) for said in captions]))
