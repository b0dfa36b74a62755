"""Answers to orders that change a given pose."""

import numpy as np
import pytest

from pose_rft.answers import read_pose_row, write_edit
from pose_rft.body import Pose
from pose_rft.errors import UserError
from pose_rft.policy import PosePolicy
from pose_rft.policy.editing import edit_answers

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


def test_the_policy_has_the_same_method():
    assert PosePolicy.edit is edit_answers


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
