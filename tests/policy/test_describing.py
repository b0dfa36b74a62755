"""Given poses in words."""

import numpy as np
import pytest

from pose_rft.body import Pose
from pose_rft.cli import app
from pose_rft.errors import UserError
from pose_rft.policy.describing import answer_about, compare_poses, describe_pose
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.edits.comparisons import compare

REST = np.zeros((22, 3), np.float32)
BENT = REST.copy()
BENT[5, 0] = np.radians(80)  # the right knee


def test_descriptions_differ_and_are_true():
    said = describe_pose(BENT, num_samples=4, seed=1)
    assert len({each.text for each in said}) == 4
    for each in said:
        assert satisfied(each.checks, Pose.from_axis_angle(BENT).points()[None]).all()
    assert describe_pose(Pose.from_axis_angle(BENT), 4, seed=1) == said


def test_a_description_says_nothing_of_who_it_is():
    words = {word for each in describe_pose(BENT, num_samples=40) for word in each.text.lower().split()}
    assert words & {"person", "someone", "somebody"}
    assert not words & {"man", "woman", "guy", "girl", "he", "she", "his", "her"}


def test_what_changed_is_true_of_both_poses():
    (said,) = compare_poses(REST, BENT)
    before, after = (Pose.from_axis_angle(pose).points()[None] for pose in (REST, BENT))
    assert said.checks or said.changes
    assert satisfied(said.checks, after).all()
    assert compare(said.changes, before, after).all()
    assert compare_poses(BENT, BENT)[0].changes == ()


def test_a_question_is_answered_or_not():
    assert answer_about(BENT, "Which knee is bent more?") == "The right knee is bent more."
    assert answer_about(BENT, "Who is it?") is None


def test_mistakes_are_told():
    with pytest.raises(UserError, match="num_samples"):
        describe_pose(BENT, num_samples=0)
    with pytest.raises(UserError, match="style 'long' is unknown"):
        compare_poses(REST, BENT, style="long")
    with pytest.raises(UserError, match="shape"):
        answer_about(REST[:3], "Is the left knee bent?")


def test_the_commands_print_what_the_functions_say(tmp_path):
    from typer.testing import CliRunner

    paths = [tmp_path / "rest.npz", tmp_path / "bent.npz"]
    for path, pose in zip(paths, (REST, BENT), strict=True):
        Pose.from_axis_angle(pose).save(path)
    runner = CliRunner()
    described = runner.invoke(app, ["describe", f"{paths[1]}#0"])
    assert " ".join(described.stdout.split()) == describe_pose(BENT)[0].text
    asked = runner.invoke(app, ["describe", str(paths[1]), "--question", "Which knee is bent more?"])
    assert asked.stdout == "The right knee is bent more.\n"
    compared = runner.invoke(app, ["compare", *map(str, paths)])
    assert " ".join(compared.stdout.split()) == compare_poses(REST, BENT)[0].text
