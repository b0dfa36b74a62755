"""A conversation: what messages want, and that the pose is kept."""

import numpy as np
import pytest

from pose_rft.body import Pose
from pose_rft.errors import UserError
from pose_rft.policy.conversation import Conversation, Turn, turn_of
from pose_rft.policy.outputs import Answer

MESSAGES = {
    Turn.EDIT: [
        "raise the left arm a bit more", "now on tiptoe", "the other arm", "what about the other arm?", "mirror it",
        "sit down", "look up", "undo", "again", "a bit more", "a little lower", "more relaxed", "nice, now sit down",
        "can you raise both arms?", "do the same with the right arm", "I want the left arm higher", "squat deeper",
        "raise the left arm like a ballerina", "make it more poetic", "that's too much", "hands on the hips",
    ],
    Turn.POSE: [
        "show me a squat", "now a squat", "could you show me a runner?", "a boxer throwing a left jab", "tree pose",
        "Someone sits cross-legged with the hands on the knees.", "a ballet dancer in arabesque", "another pose",
        "Both arms are raised above the head and the knees are slightly bent.", "do a handstand", "now jump",
        "I want to see a man kneeling", "what does a plank look like?", "now a person sitting with the arms crossed",
    ],
    Turn.QUESTION: [
        "Is the left knee bent?", "Which hand is higher?", "And what are the arms doing?", "Describe the pose.",
        "How far is the left knee bent?",
    ],
    Turn.TALK: [
        "thanks!", "Thank you very much", "ok great", "perfect", "hello", "how are you?", "I love it", "good job",
        "What are the benefits of squats?", "Why?",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("turn", "message"), [(turn, each) for turn, some in MESSAGES.items() for each in some])
def test_what_a_message_wants_where_a_pose_is_shown(turn, message):
    assert turn_of(message, part="left arm") is turn


@pytest.mark.parametrize(
    ("message", "turn"),
    [("sit down", Turn.POSE), ("Is the left knee bent?", Turn.POSE), ("undo", Turn.EDIT), ("thanks", Turn.TALK)],
)
def test_what_a_message_wants_where_none_is(message, turn):
    assert turn_of(message, shown=False) is turn


def answer(*poses):
    return [Answer("", True, Pose.from_axis_angle(pose), 0.0, 0.0) for pose in poses]


def degrees(conversation, joint):
    return float(np.degrees(np.linalg.norm(conversation.pose.body_pose[joint - 1])))


@pytest.fixture
def resting():
    """The rest pose is shown."""
    return Conversation().shows(answer(np.zeros((22, 3))), "a T-pose")


def test_orders_go_on_from_the_pose_and_from_each_other(resting):
    bent, said = resting.edited("bend the left knee 30 degrees")
    assert "Done: bend the left knee 30 degrees" in said.text
    assert degrees(bent, 4) == pytest.approx(30, abs=3)
    both, _ = bent.edited("the other one too")
    assert degrees(both, 4) == pytest.approx(30, abs=3)
    assert degrees(both, 5) == pytest.approx(30, abs=3)
    assert len(both.edits) == 2


def test_going_back_gives_the_very_same_pose(resting):
    bent, _ = resting.edited("bend the left knee 30 degrees")
    sitting, _ = bent.edited("sit down")
    back, said = sitting.edited("undo")
    assert back.current is bent.current
    assert (back.pose.axis_angle() == bent.pose.axis_angle()).all()
    assert not said.valid
    assert back.edited("undo")[0].current is resting.current
    with pytest.raises(UserError, match="no earlier pose"):
        resting.undone()


def test_new_poses_are_gone_back_from_too_and_begin_without_orders(resting):
    bent, _ = resting.edited("bend the left knee 30 degrees")
    new = bent.shows(answer(np.ones((22, 3)) / 10, np.ones((22, 3)) / 5), "two more")
    assert new.edits == []
    edited, _ = new.with_body(1).edited("mirror it")
    assert (edited.undone().pose.axis_angle() == np.float32(np.ones((22, 3)) / 5)).all()  # the second was meant
    assert new.undone().current is bent.current
    assert len(new.undone().edits) == 1


def test_any_earlier_pose_can_be_brought_back_and_changed(resting):
    bent, _ = resting.edited("bend the left knee 30 degrees")
    new = bent.shows(answer(np.ones((22, 3)) / 10, np.ones((22, 3)) / 5), "two more")
    assert len(new.poses) == 4
    again = new.back_at(1)
    assert again.current is bent.current
    assert len(again.poses) == 4  # the newer ones are still there
    assert new.back_at(3).body == 1
    assert again.edited("the other one too")[0].undone().current is bent.current


def test_what_is_not_understood_or_changes_nothing_leaves_the_pose(resting):
    for order in ("like a ballerina", "straighten the left knee"):
        after, said = resting.edited(order)
        assert after is resting
        assert said.text
    with pytest.raises(UserError, match="no pose to change"):
        Conversation().edited("sit down")


def test_answers_without_a_pose_leave_the_poses(resting):
    assert resting.shows([Answer("Yes.", False, None, 0.0, None)], "Is it?") is resting
