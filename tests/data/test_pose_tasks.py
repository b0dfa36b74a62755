"""Tasks about given poses, on the worked examples of the concept bank and two made-up exercises."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES
from pose_rft.data.edit_prompts import edit_prompts, is_edit_prompt
from pose_rft.data.mixtures.everyday_orders import everyday_orders, wishes
from pose_rft.data.mixtures.pose_tasks import LIMBS
from pose_rft.data.mixtures.text_to_pose import MixtureConfig, text_to_pose_mixture
from pose_rft.data.sample import INPUT_POSE, Sample
from pose_rft.policy.pose_branch import check_placeholders
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.edits.comparisons import compare
from pose_rft.posescript.edits.orders import read_order
from pose_rft.posescript.parsing import parse

pytestmark = pytest.mark.usefixtures("examples_only")

NONE = dict.fromkeys(
    ("captions_procedural", "captions_mocap", "phrases", "compositions", "wordings", "clips", "chat"), 0.0
)
TASKS = {"edits": 2.0, "completions": 1.0, "descriptions": 1.0, "comparisons": 1.0}


@cache
def drawn() -> list[Sample]:
    return text_to_pose_mixture(240, 3, MixtureConfig(**NONE | TASKS, concept_poses=4))


def of_task(task: str) -> list[Sample]:
    found = [sample for sample in drawn() if sample.task == task]
    assert len(found) > 20
    return found


def points(pose: np.ndarray) -> torch.Tensor:
    return load_body().points(torch.from_numpy(pose))[None]


def test_every_prompt_has_a_place_for_each_of_its_poses():
    for sample in drawn():
        assert sample.poses
        check_placeholders(sample.prompt, len(sample.poses))
        assert (sample.pose is not None) == ("<POSE>" in sample.answer)


def test_what_an_edit_says_is_true_of_its_target_and_not_all_of_its_start():
    for sample in of_task("edit_pose"):
        before, after = points(sample.poses[0]), points(sample.pose)
        assert sample.checks or sample.changes
        assert satisfied(sample.checks, after).all()
        assert compare(sample.changes, before, after).all()
        assert not (satisfied(sample.checks, before).all() and compare(sample.changes, before, before).all())


def test_most_edits_leave_most_joints_as_they_are_to_the_bit():
    same = [(sample.poses[0] == sample.pose).all(axis=1).sum() for sample in of_task("edit_pose")]
    assert np.mean(np.array(same) >= 12) > 0.6


def test_the_reader_of_orders_understands_nearly_all_words_of_everyday_orders():
    rng = np.random.default_rng(0)
    poses = np.stack([sample.pose for sample in of_task("edit_pose")])
    before, after = points(poses)[0], points(np.roll(poses, 1, axis=0))[0]
    orders = [order for order in everyday_orders(before, after, rng) if order is not None]
    assert len(orders) > 0.9 * len(poses)
    assert np.mean([bool(read_order(order.text).demands) for order in orders]) > 0.9


def test_both_sides_can_be_asked_for():
    names = Counter(wish.name.split("_")[0] for wish in wishes())
    assert names["left"] == names["right"] > 30


def test_orders_of_the_benchmark_are_known_whatever_their_case_and_stops():
    first = edit_prompts("all")[0].prompt
    assert is_edit_prompt(first.upper().rstrip(".") + "!")
    assert not is_edit_prompt("fold the arms behind the knees")


def test_a_completion_is_given_some_parts_and_gives_them_back():
    for sample in of_task("complete_pose"):
        (given,) = sample.poses
        known = np.abs(given).sum(axis=1) > 0
        assert 0 < known.sum() < len(JOINT_NAMES)
        np.testing.assert_array_equal(given[known], sample.pose[known])


def test_a_description_is_read_as_what_is_true_of_the_pose():
    read = 0
    for sample in of_task("describe_pose"):
        checks = parse(sample.answer).checks
        read += bool(checks)
        assert satisfied(checks, points(sample.poses[0])).float().mean() > 0.9 or not checks
    assert read > 0.9 * len(of_task("describe_pose"))


def test_a_comparison_is_about_two_poses_in_their_order():
    assert all(sample.prompt.count(INPUT_POSE) == len(sample.poses) == 2 for sample in of_task("compare_poses"))


def test_a_correction_goes_to_a_correct_repetition_of_the_same_person(tmp_path):
    knee = JOINT_INDEX["left_knee"]
    poses = np.zeros((12, 22, 3), np.float32)
    poses[6:, knee, 0] = 1.0
    names = [f"uiprmd_s01_m01_{which}" for which in ("e02", "e03i") for _ in range(6)]
    words = ["deep squat"] * 6 + ["deep squat, incorrect form"] * 6
    np.savez(tmp_path / "uiprmd_poses.npz", pose=poses, sequence=names, description=words)
    config = MixtureConfig(**NONE, corrections=1.0, mocap=str(tmp_path / "uiprmd_poses.npz"), concept_poses=4)
    samples = text_to_pose_mixture(30, 0, config)
    wrong = [sample for sample in samples if sample.poses[0][knee, 0] == 1.0]
    assert 15 < len(wrong) < 30
    assert all(sample.pose[knee, 0] == 0.0 and "deep squat" in sample.prompt for sample in samples)
    assert all(sample.checks or sample.changes for sample in wrong)
    right = [sample for sample in samples if sample.poses[0][knee, 0] == 0.0]
    assert all("thing" in sample.answer or "right" in sample.answer for sample in right)


def test_a_limb_and_its_mirror_image_have_as_many_joints():
    assert {limb for limb in LIMBS if limb.startswith("right_")} == {f"right_{limb}" for limb in (
        "arm", "shoulder", "elbow", "leg", "knee",
    )}  # fmt: skip
    assert len(LIMBS["left_arm"]) == len(LIMBS["right_arm"]) == 4
