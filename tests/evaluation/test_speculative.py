"""The benchmark speculative-poses as data."""

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.skeleton import mirror_pose
from pose_rft.data.canonical import is_canonical_prompt
from pose_rft.data.everyday import is_everyday_prompt, words
from pose_rft.data.speculative import is_speculative_prompt, speculative_poses, speculative_prompts
from pose_rft.data.wordings import is_wording_prompt
from pose_rft.errors import UserError
from pose_rft.posescript.checks import satisfied
from pose_rft.storage import package_table

PROMPTS = speculative_prompts("all")
TABLE = package_table("pose_rft.data", "speculative_prompts.yaml")


@pytest.fixture(scope="module")
def known_poses() -> torch.Tensor:
    """(N, 22, 3), one that answers each prompt."""
    poses = speculative_poses()
    return torch.stack([torch.from_numpy(poses[sample.prompt]) for sample in PROMPTS])


def test_a_third_of_the_prompts_is_for_choosing_settings_and_none_occurs_twice() -> None:
    dev, test = speculative_prompts("dev"), speculative_prompts("test")
    assert (len(dev), len(test)) == (25, 50)
    assert {sample.category for sample in dev} == {sample.category for sample in test}
    assert len({words(sample.prompt) for sample in PROMPTS}) == len(PROMPTS)
    with pytest.raises(UserError, match="validation"):
        speculative_prompts("validation")  # type: ignore[arg-type]


def test_no_prompt_is_one_of_another_benchmark() -> None:
    others = (is_everyday_prompt, is_canonical_prompt, is_wording_prompt)
    assert [sample.prompt for sample in PROMPTS if any(asks(sample.prompt) for asks in others)] == []


def test_a_leak_is_found_whatever_its_case_and_punctuation() -> None:
    assert all(is_speculative_prompt(sample.prompt.upper() + "!") for sample in PROMPTS)
    assert not is_speculative_prompt("someone who has just won the final")


def test_for_every_prompt_a_pose_is_known_and_its_mirror_image_answers_as_well(known_poses: torch.Tensor) -> None:
    for poses in (known_poses, mirror_pose(known_poses)):
        points = load_body().points(poses)
        missed = [s.prompt for s, p in zip(PROMPTS, points, strict=True) if not satisfied(s.checks, p).all()]
        assert missed == []


def test_prompts_are_told_apart(known_poses: torch.Tensor) -> None:
    points = load_body().points(known_poses)
    rest = load_body().points(torch.zeros(1, 22, 3))
    met = torch.stack([satisfied(sample.checks, points).all(dim=1) for sample in PROMPTS])  # prompts x poses
    assert met.float().mean() < 0.2
    assert sum(bool(satisfied(sample.checks, rest).all()) for sample in PROMPTS) <= 2  # on the rope, in the field


def test_facts_without_a_side_hold_of_mirror_images_alike(known_poses: torch.Tensor) -> None:
    points, mirrored = (load_body().points(poses) for poses in (known_poses, mirror_pose(known_poses)))
    facts = list(TABLE["facts"].values())
    agree = satisfied(facts, points) == satisfied(facts, mirrored)
    assert agree.float().mean(dim=0).min() > 0.95  # numbers at a limit may round to either side of it


def test_every_fact_is_used() -> None:
    used = {
        fact for group in TABLE["prompts"] for entry in group["prompts"] for answer in entry["any"] for fact in answer
    }
    assert (TABLE["facts"].keys() | TABLE["of_one_side"].keys()) - used == set()
    assert not TABLE["facts"].keys() & TABLE["of_one_side"].keys()
