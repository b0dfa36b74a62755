"""Going on from the last pose."""

import numpy as np
import pytest

from pose_rft.app.conversation import is_change
from pose_rft.body import Pose
from pose_rft.posescript.captions import described_change


@pytest.mark.parametrize(
    "message", ["raise the left arm a bit more", "Now bend the knees", "a little lower", "the same but on one leg"]
)
def test_comparing_words_ask_for_a_change(message):
    assert is_change(message)


@pytest.mark.parametrize("message", ["a boxer throwing a left jab", "Someone sits cross-legged.", "tree pose"])
def test_a_description_is_a_new_pose(message):
    assert not is_change(message)


def test_the_policy_is_told_the_pose_in_words_and_then_the_change():
    pose = np.zeros((22, 3))
    pose[5, 0] = np.radians(100)  # right knee
    prompt = described_change(Pose.from_axis_angle(pose).points(), "raise the left arm")
    said = ("right knee", "right shin", "right foot", "on one leg", "on the left leg")  # a caption has room for some
    assert any(words in prompt.lower() for words in said)
    assert prompt.endswith("raise the left arm")
