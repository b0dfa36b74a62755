"""What the sources of a mixture draw from, and the poses that several of them draw."""

import re

import numpy as np
import torch

from pose_rft.body.skeleton import mirror_pose
from pose_rft.data.concepts.pools import ConceptPools, common_outline
from pose_rft.data.mocap.clips import MocapClips, drawing_weights, everyday_phrases
from pose_rft.data.mocap.pose_mixing import mixed_poses
from pose_rft.data.phrases import pick
from pose_rft.data.sample import OUTLINED_ANSWER, SHORT_ANSWER, Sample
from pose_rft.posescript.captions import Caption
from pose_rft.storage import package_table

OTHER_ANSWERS: list[str] = package_table(__package__, "wordings.yaml")["text_answers"]
REPETITION = re.compile(r"^uiprmd_(?P<who>s\d\d_m\d\d)_e\d\d(?P<wrong>i?)$")  # UI-PRMD: correct and incorrect ones
Repetitions = list[tuple[list[np.ndarray], list[np.ndarray]]]


class Drawing:
    """What the sources draw from.

    Attributes:
        pools: concepts with their poses.
        recordings: motion capture for training, or None.
        rng: decides everything.
        outlined: share of the answers that say what the body does, where that can be told.
        words: description of a recording -> what people would type.
    """

    def __init__(
        self, pools: ConceptPools, recordings: MocapClips | None, rng: np.random.Generator, outlined: float = 0.0
    ) -> None:
        self.pools, self.recordings, self.rng, self.outlined = pools, recordings, rng, outlined
        phrases_of = {} if recordings is None else {d: everyday_phrases(d) for d in sorted(set(recordings.description))}
        self.words = {description: phrases for description, phrases in phrases_of.items() if phrases}

    def can_draw(self, source: str) -> bool:
        """Whether there is anything for this source."""
        if source == "captions_mocap":
            return self.recordings is not None
        if source == "corrections":
            return self.recordings is not None and bool(repetitions(self.recordings))
        return source != "clips" or bool(self.words)

    def answer(self) -> str:
        """One of the answers that say nothing but that there is a pose."""
        return SHORT_ANSWER if self.rng.random() < 0.6 else pick(self.rng, OTHER_ANSWERS)

    def sample(
        self, prompt: str, pose: np.ndarray, checks: tuple[str, ...], source: str, said: Caption | None = None
    ) -> Sample:
        """A sample with one of the answers; `said` is what an outlined one says of the pose."""
        if said is not None and self.rng.random() < self.outlined:
            answer = OUTLINED_ANSWER.format(said.text)
        else:
            answer = self.answer()
        return Sample(prompt, answer, pose, checks=checks, source=source)

    def shared(self, poses: np.ndarray) -> Caption | None:
        """What poses (M, 22, 3) of the same words have in common, where answers are to say it."""
        return common_outline(poses) if self.outlined else None


def drawn_frames(drawing: Drawing, clips: MocapClips, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames drawn as ``drawing_weights`` says, half of them mirrored: row, pose, mirrored."""
    rng = drawing.rng
    rows = rng.choice(len(clips), size=count, p=drawing_weights(clips))
    turned = rng.random(count) < 0.5
    pose = torch.from_numpy(clips.pose[rows])
    pose[turned] = mirror_pose(pose[turned])
    return rows, pose.numpy(), turned


def mixed_concept_poses(drawing: Drawing, count: int) -> np.ndarray:
    """Poses (N, 22, 3), each mixed of two concepts' and perturbed."""
    pools, rng = drawing.pools, drawing.rng
    few = min(len(pools.concepts), max(8, count // 6))
    chosen = rng.choice(len(pools.concepts), size=few, replace=False, p=pools.weights)
    poses = [pools.poses(pools.concepts[i]) for i in chosen]
    poses = [pool for pool in poses if len(pool)]
    which = rng.integers(len(poses), size=(2, count))
    first, second = (np.stack([poses[i][rng.integers(len(poses[i]))] for i in row]) for row in which)
    return mixed_poses(first, second, rng)


def repetitions(recordings: MocapClips) -> Repetitions:
    """For each person and exercise the rows of the correct and of the incorrect repetitions, where there are both."""
    found: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    for name in recordings.names:
        if match := REPETITION.match(name):
            both = found.setdefault(match["who"], ([], []))
            both[bool(match["wrong"])].append(np.flatnonzero(recordings.sequence == name))
    return [(right, wrong) for right, wrong in found.values() if right and wrong]
