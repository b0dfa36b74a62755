"""Poses of the concepts, many at a time: solving one pose costs as much as solving two hundred."""

import zlib
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.skeleton import mirror_pose
from pose_rft.data.concepts.concept import MIRRORED, Concept, has_side, load_concepts
from pose_rft.data.concepts.procedural import solve
from pose_rft.data.splits import Part
from pose_rft.errors import UserError
from pose_rft.posescript.captions import Caption
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.outline import outline
from pose_rft.posescript.plausibility import implausibility
from pose_rft.posescript.settling import settle

FEWEST_OUTLINED, MOST_OUTLINED = 4, 24  # poses that are looked at for what words have in common
SPARE = 4  # poses solved for each that is kept


class ConceptPools:
    """The concept bank with a pool of poses for each concept, solved when first asked for.

    Another size, seed or part draws other poses.

    Args:
        settled: poses come to the floor as answers do (``pose_rft.posescript.settling``), which costs some
            milliseconds each.

    Attributes:
        concepts: all concepts with their mirrored twins, without the excluded ones.
        weights: (C,) probability of each: by the square root of how many phrases it has.
    """

    def __init__(
        self, size: int, seed: int, exclude: tuple[str, ...] = (), part: Part = "all", settled: bool = False
    ) -> None:
        every = load_concepts()
        known = {concept.id for concept in every}
        if unknown := [name for name in exclude if name not in known]:
            raise UserError(
                f"exclude_concepts: no concept is called {unknown[0]!r}; ids stand in data/concepts/bank/*.yaml"
            )
        gone = set(exclude) | {f"{name}{MIRRORED}" for name in exclude}
        self.concepts = [concept for concept in every if concept.id not in gone]
        if not self.concepts:
            raise UserError("exclude_concepts: nothing is left of the concept bank; exclude fewer")
        weights = np.sqrt([len(concept.phrases) for concept in self.concepts])
        self.weights = weights / weights.sum()
        self.size, self.seed, self.part, self.settled = size, seed, part, settled
        self._by_id = {concept.id: concept for concept in self.concepts}
        self._poses: dict[str, np.ndarray] = {}
        self._outlines: dict[str, Caption | None] = {}
        self._checks: dict[tuple[str, bool], tuple[str, ...]] = {}

    def poses(self, concept: Concept) -> np.ndarray:
        """Poses (M, 22, 3) that meet the concept's checks; M is the pool's size, less where most poses miss a check.

        Those of a twin are those of its concept in a mirror.
        """
        if concept.id not in self._poses:
            self._poses[concept.id] = self._twin_poses(concept) if concept.is_twin else self._solved(concept)
        return self._poses[concept.id]

    def _twin_poses(self, twin: Concept) -> np.ndarray:
        poses = self.poses(self._by_id[twin.original])
        return mirror_pose(torch.from_numpy(poses)).numpy()

    def _solved(self, concept: Concept) -> np.ndarray:
        named = f"{self.seed} {concept.id}" if self.part == "all" else f"{self.part} {self.seed} {concept.id}"
        pose = solve(concept.spec, SPARE * self.size, zlib.crc32(named.encode())).pose
        return tidiest(pose, concept.checks, self.size, settled=self.settled)

    def outline(self, concept: Concept) -> Caption | None:
        """What the poses of a concept have in common, remembered."""
        if concept.id not in self._outlines:
            self._outlines[concept.id] = common_outline(self.poses(concept))
        return self._outlines[concept.id]

    def checks(self, concept: Concept, phrase: str) -> tuple[str, ...]:
        """`concept.checks_for(phrase)`, remembered."""
        key = (concept.id, has_side(phrase))
        if key not in self._checks:
            self._checks[key] = concept.checks_for(phrase)
        return self._checks[key]


def common_outline(poses: np.ndarray) -> Caption | None:
    """What poses (M, 22, 3) of the same words have in common; None where they are too few to tell."""
    if len(poses) < FEWEST_OUTLINED:
        return None
    return outline(load_body().points(torch.from_numpy(poses[:MOST_OUTLINED])))


@lru_cache(maxsize=2)
def concept_pools(size: int, seed: int, exclude: tuple[str, ...], part: Part, settled: bool = False) -> ConceptPools:
    """The same pools for every shard that a process draws."""
    return ConceptPools(size, seed, exclude, part, settled)


def tidiest(pose: Tensor, checks: tuple[str, ...], count: int, least: int = 0, settled: bool = False) -> np.ndarray:
    """Of poses (N, 22, 3) that meet all checks the most plausible ones, (M, 22, 3) float32.

    Args:
        count: M at most.
        least: how many have to meet the checks, or M is 0.
        settled: whether they come to the floor; they go on meeting the checks.
    """
    points = load_body().points(pose)
    meeting = torch.ones(len(pose), dtype=torch.bool) if not checks else satisfied(checks, points).all(dim=1)
    if meeting.sum() < least:
        return np.empty((0, *pose.shape[1:]), np.float32)
    order = implausibility(points[meeting]).argsort(stable=True)[:count]
    kept = pose[meeting][order].float()
    return (settle(kept, checks) if settled and len(kept) else kept).numpy()
