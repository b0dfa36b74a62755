"""Answers to orders that change a given pose."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pose_rft.answers import read_pose_row, write_edit
from pose_rft.body import Pose
from pose_rft.errors import UserError
from pose_rft.policy import PoseBranchConfig, PosePolicy
from pose_rft.policy.editing import better_edit, edit_answers, learned_edits
from pose_rft.posescript.captions import described_change
from pose_rft.posescript.edits.edit import edit_pose
from pose_rft.posescript.edits.orders import read_order
from pose_rft.posescript.edits.verification import faults

REST = np.zeros((22, 3), np.float32)


def test_the_words_say_what_was_done_and_what_was_not_understood():
    (answer,) = edit_answers(REST, "bend the right elbow 30 degrees like a waiter")
    assert answer.text == 'Done: bend the right elbow 30 degrees (30 degrees). Not understood: "like waiter". <POSE>.'
    assert answer.valid
    assert np.degrees(np.linalg.norm(answer.pose.axis_angle()[19])) == pytest.approx(30, abs=1)


def test_an_order_without_anything_understood_gives_no_pose():
    (answer,) = edit_answers(REST, "frobnicate!")
    assert (answer.valid, answer.pose) == (False, None)
    assert "frobnicate" in answer.text


def test_samples_follow_the_order_more_and_less_far_and_the_seed_decides():
    def bends(seed):
        answers = edit_answers(REST, "bend the right elbow", 3, temperature=1.0, seed=seed)
        return [round(float(np.degrees(np.linalg.norm(answer.pose.axis_angle()[19]))), 3) for answer in answers]

    assert len(set(bends(0))) == 3
    assert min(bends(0)) > 5
    assert bends(0) == bends(0) != bends(1)


def test_the_shape_of_the_body_is_kept():
    shaped = Pose.from_axis_angle(REST, np.ones(10, np.float32))
    assert edit_answers(shaped, "look up")[0].pose.betas.tolist() == [1.0] * 10


@pytest.mark.parametrize(("pose", "order"), [(REST, " "), (np.zeros((3, 3)), "look up"), (REST * np.nan, "look up")])
def test_mistakes_are_one_line(pose, order):
    with pytest.raises(UserError):
        edit_answers(pose, order)


def test_a_policy_that_reads_no_poses_edits_exactly(tiny_policy):
    order = "bend the right elbow"
    (own,), (exact,) = tiny_policy.edit(REST, order), edit_answers(REST, order)
    np.testing.assert_array_equal(own.pose.axis_angle(), exact.pose.axis_angle())


def test_a_policy_that_reads_poses_proposes_some_and_the_exact_edit_stands_beside(tiny_policy):
    policy = PosePolicy.create(replace(tiny_policy.config, pose_branch=PoseBranchConfig(2, 1)), dtype=torch.float32)
    proposed = learned_edits(policy, REST, "bend the right elbow", seed=1)
    assert proposed.shape == (64, 22, 3)
    assert torch.equal(proposed, learned_edits(policy, REST, "bend the right elbow", seed=1))
    (answer,) = policy.edit(REST, "bend the right elbow")  # untrained proposals do not do it
    np.testing.assert_array_equal(
        answer.pose.axis_angle(), edit_answers(REST, "bend the right elbow")[0].pose.axis_angle()
    )


def test_a_proposal_is_taken_where_it_is_verified_to_be_better():
    exact = edit_pose(torch.from_numpy(REST), "bend the right elbow 30 degrees")
    failed = replace(exact, pose=exact.before)
    kicked = exact.pose.clone()
    kicked[1, 0] = -1.0  # the left hip, which nobody asked for
    assert better_edit(exact, torch.stack([exact.pose, kicked])) is exact
    taken = better_edit(failed, torch.stack([kicked, exact.pose]))
    assert torch.equal(taken.pose, exact.pose)
    assert better_edit(failed, exact.before[None]) is failed


def test_what_no_condition_says_is_not_verified():
    rest = torch.from_numpy(REST)
    assert faults(read_order("mirror the pose"), rest, rest[None]) is None
    assert faults(read_order("frobnicate"), rest, rest[None]) is None
    (missed,) = faults(read_order("bend the right elbow 40 degrees"), rest, rest[None])
    assert missed.item() == pytest.approx(40 / 20, abs=0.05)  # units of 20 degrees


def test_a_row_of_a_file_is_read_and_the_edit_written(tmp_path):
    poses = np.stack([REST, REST])
    poses[1, 19, 1] = 1.0
    np.savez(tmp_path / "two.npz", pose=poses)
    given = read_pose_row(f"{tmp_path}/two.npz#1", "y")
    np.testing.assert_array_equal(given.axis_angle(), poses[1])
    (line,) = write_edit(tmp_path / "out", given, "look up", edit_answers(given, "look up"))
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"before_after.png", "answers.jsonl", *line["files"].values()} == written
    with pytest.raises(UserError, match="no row 2"):
        read_pose_row(f"{tmp_path}/two.npz#2", "y")


def test_a_policy_is_told_the_pose_in_words_and_then_the_change():
    pose = REST.copy()
    pose[5, 0] = np.radians(100)  # right knee
    prompt = described_change(Pose.from_axis_angle(pose).points(), "raise the left arm")
    said = ("right knee", "right shin", "right foot", "on one leg", "on the left leg")  # a caption has room for some
    assert any(words in prompt.lower() for words in said)
    assert prompt.endswith("raise the left arm")
