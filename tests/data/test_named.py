"""A prompt that is what the bank calls a pose is read as that pose, however it is asked for."""

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.named import named_checks
from pose_rft.data.concepts.procedural import sample_poses
from pose_rft.data.stated import said
from pose_rft.posescript.checks import satisfied

BY_ID = {concept.id: concept for concept in load_concepts()}


@pytest.mark.parametrize(
    "prompt",
    [
        "warrior II", "Show me warrior two, please", "a person doing warrior II", "She is standing in warrior two.",
        "Stand in warrior two", "A man stands in warrior two",
    ],
)  # fmt: skip
def test_however_it_is_asked_for(prompt: str) -> None:
    assert named_checks(prompt) == BY_ID["yoga_warrior_2"].checks_for("warrior II") != ()


@pytest.mark.parametrize("prompt", ["warrior II with the arms up", "a pose", "", "someone", "not warrior II"])
def test_more_or_less_than_a_name_is_none(prompt: str) -> None:
    assert named_checks(prompt) == ()


def test_a_side_that_is_named_is_the_side_that_is_checked() -> None:
    left, right = (named_checks(f"warrior one with the {side} leg forward") for side in ("left", "right"))
    assert left != right
    poses = torch.from_numpy(sample_poses(BY_ID["yoga_warrior_1"].spec, 4, seed=1))
    points = load_body().points(poses)
    assert satisfied(left, points).all(dim=1).any()
    assert not satisfied(right, points).all(dim=1).any()


def test_what_a_name_asks_for_is_settled() -> None:
    checks = said("tree pose", "Here it is: <POSE>").checks
    assert set(named_checks("tree pose")) <= set(checks)
    wobbly = torch.from_numpy(sample_poses(BY_ID["tree_pose"].spec, 4, seed=1)) + 0.08 * torch.randn(
        4, 22, 3, generator=torch.Generator().manual_seed(0)
    )
    settled = said("tree pose").settle(wobbly)
    before, after = (satisfied(checks, load_body().points(poses)).float().mean() for poses in (wobbly, settled))
    assert after > before
