"""Of the poses solved for a concept, the pool keeps those that look least wrong."""

from collections import Counter

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.skeleton import mirror_pose
from pose_rft.data.concepts.concept import MIRRORED
from pose_rft.data.concepts.pools import ConceptPools, tidiest
from pose_rft.data.concepts.pose_language import parse_pose
from pose_rft.data.concepts.procedural import solve
from pose_rft.data.mixtures.text_to_pose import MixtureConfig, text_to_pose_mixture
from pose_rft.posescript.checks import measure, satisfied
from pose_rft.posescript.plausibility import implausibility

BENT = "angle(left_elbow) < 120"


def poses(bends: list[float], nods: list[float]) -> torch.Tensor:
    """(N, 22, 3) standing bodies with a bent left elbow and a bowed head, degrees."""
    pose = torch.zeros(len(bends), 22, 3)
    pose[:, 18, 1] = -torch.deg2rad(torch.tensor(bends))
    pose[:, 15, 0] = torch.deg2rad(torch.tensor(nods))
    return pose


def test_the_most_plausible_poses_of_those_that_meet_the_checks_are_kept() -> None:
    pose = poses(bends=[90, 90, 10, 90], nods=[60, 0, 0, 45])
    kept = torch.from_numpy(tidiest(pose, (BENT,), 2))
    assert torch.equal(kept, pose[[1, 3]])
    assert implausibility(load_body().points(kept)).diff() > 0


def test_none_are_kept_where_too_few_meet_the_checks() -> None:
    pose = poses(bends=[90, 10, 10], nods=[0, 0, 0])
    assert tidiest(pose, (BENT,), 3, least=2).shape == (0, 22, 3)
    assert len(tidiest(pose, (BENT,), 3, least=1)) == 1


@pytest.mark.usefixtures("examples_only")
def test_a_twin_has_the_poses_of_its_concept_in_a_mirror() -> None:
    pools = ConceptPools(4, 0)
    twins = [concept for concept in pools.concepts if concept.is_twin]
    assert twins
    for twin in twins:
        original = next(concept for concept in pools.concepts if concept.id == twin.id.removesuffix(MIRRORED))
        mirrored = torch.from_numpy(pools.poses(twin))
        assert torch.equal(mirrored, mirror_pose(torch.from_numpy(pools.poses(original))))
        assert satisfied(twin.checks, load_body().points(mirrored)).all()


def test_without_checks_all_poses_are_candidates() -> None:
    assert len(tidiest(poses(bends=[0, 0, 0], nods=[0, 50, 60]), (), 2)) == 2


@pytest.mark.usefixtures("examples_only")
def test_a_mixture_of_settled_poses_has_the_same_sources() -> None:
    drawn = [
        Counter(
            sample.source.split(":")[0]
            for sample in text_to_pose_mixture(60, 3, MixtureConfig(concept_poses=2, settled=settled, chat=0))
        )
        for settled in (False, True)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[1].keys() == {"caption", "phrase", "composition", "wording"}


def test_settled_poses_come_to_the_floor_and_go_on_meeting_the_checks() -> None:
    plank = solve(parse_pose({"base": "plank", "root": {"pitch": 66}}), 8, seed=0).pose
    checks = ("angle(left_elbow) > 150", "angle(right_knee) > 150")
    drawn, settled = (torch.from_numpy(tidiest(plank, checks, 4, settled=settle)) for settle in (False, True))
    off = [measure("support()", load_body().points(kept)) for kept in (drawn, settled)]
    assert off[0].min() > 0.3  # the palms hang in the air, so nothing but the toes bears it
    assert off[1].max() < 0.02
    assert satisfied(checks, load_body().points(settled)).all()
