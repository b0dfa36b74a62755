"""Orders: what is read, and what a pose becomes."""

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX, mirror_pose
from pose_rft.data.canonical import canonical_poses
from pose_rft.posescript.checks import measure, satisfied
from pose_rft.posescript.edits.edit import edit_pose
from pose_rft.posescript.edits.instructions import edit_instructions
from pose_rft.posescript.edits.orders import read_order

ARM = {JOINT_INDEX[f"right_{name}"] for name in ("collar", "shoulder", "elbow", "wrist")}


@pytest.fixture(scope="module")
def standing():
    return torch.from_numpy(canonical_poses()["a relaxed figure, weight on both feet, arms dangling loosely"])


def value(of, pose):
    return measure(of, load_body().points(pose)).item()


def change(of, edited):
    return value(of, edited.pose) - value(of, edited.before)


@pytest.mark.parametrize(
    ("text", "name", "sign"),
    [
        ("Could you please raise the LEFT arm a bit more?", "left_arm_lift", 1),
        ("bend the right elbwo 20 degrees further", "right_elbow_angle", -1),
        ("now turn your head to the right", "right_head_turn", 1),
        ("feet wider apart", "feet_gap", 1),
        ("look up", "head_look", 1),
        ("Try to bend your left knee more.", "left_knee_angle", -1),
    ],
)
def test_an_order_is_read_in_the_words_of_people(text, name, sign):
    order = read_order(text)
    assert (order.demands[0].meanings[0].name, order.demands[0].meanings[0].sign) == (name, sign)


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("raise the left arm like a ballerina", ("like ballerina",)),
        ("don't bend the knees", ("don't bend knees",)),
        ("raise an arm", ("raise arm",)),
        ("wiggle the knee 20 degrees further", ("wiggle knee", "20 degrees further")),
        ("frobnicate the left knee", ("frobnicate", "the left knee")),
        ("thanks!", ()),
    ],
)
def test_what_is_not_understood_is_reported_and_not_guessed(text, unknown):
    assert read_order(text).unknown == unknown


def test_the_part_that_was_spoken_of_before_is_what_an_order_goes_back_to():
    (demand,) = read_order("lower it a bit", "left arm").demands
    assert demand.meanings[0].name == "left_arm_lift"
    assert read_order("a little lower", "left arm").demands[0].meanings[0].name == "left_arm_lift"
    assert read_order("the other one too", "left arm").demands[0].part == "right arm"
    assert read_order("a little lower").demands == ()
    assert read_order("thanks!", "left arm").demands == ()


def test_an_amount_may_stand_anywhere():
    texts = ("raise the left arm a bit more", "raise a bit more the left arm", "turn a bit to the left")
    assert {read_order(text).demands[0].amount.size for text in texts} == {"little"}


def test_what_edit_instructions_say_is_read():
    poses = torch.stack([torch.from_numpy(pose) for pose in list(canonical_poses().values())[:120]])
    points = load_body().points(poses)
    made = edit_instructions(points[:60], points[60:], seed=0, style="short")
    read = [bool(read_order(each.text).demands) and not read_order(each.text).unknown for each in made]
    assert sum(read) > 0.9 * len(read)


@pytest.mark.parametrize(
    ("text", "of", "low", "high"),
    [
        ("bend the right knee 20 degrees further", "angle(right_knee)", -22, -18),
        ("Turn your head to the left.", "head_turn()", 20, 45),
        ("lean forward slightly", "pitch()", 8, 16),
        ("raise the right arm a bit", "off(right_shoulder, right_wrist, down)", 8, 16),
        ("feet wider apart", "distance(left_ankle, right_ankle)", 0.15, 0.25),
        ("turn 90 degrees to the left", "turn()", 89, 91),
    ],
)
def test_a_change_goes_as_far_as_is_said(standing, text, of, low, high):
    assert low < change(of, edit_pose(standing, text)) < high


def test_joints_that_an_order_is_not_about_stay_to_the_bit(standing):
    edited = edit_pose(standing, "bend the right elbow a lot")
    others = [joint for joint in range(22) if joint not in ARM]
    assert torch.equal(edited.pose[others], standing[others])
    assert not torch.equal(edited.pose, standing)


def test_knees_bend_over_feet_that_stay(standing):
    edited = edit_pose(standing, "bend your knees a lot")
    assert change("angle(left_knee)", edited) < -40
    assert abs(change("ahead(left_ankle, right_ankle)", edited)) < 0.02
    assert value("max(sole(left_ankle), sole(right_ankle))", edited.pose) < 12


@pytest.mark.parametrize("text", ["sit down", "kneel", "squat", "kneel on the right knee"])
def test_a_posture_is_taken_and_left_again(standing, text):
    taken = edit_pose(standing, text)
    assert [outcome.status for outcome in taken.outcomes] == ["done"]
    assert value("height(pelvis)", taken.pose) < 0.7
    up = edit_pose(taken.pose, "stand up")
    assert bool(satisfied(["lean() < 15 and height(pelvis) > 0.75"], load_body().points(up.pose)))


def test_a_state_that_holds_already_is_said_to(standing):
    edited = edit_pose(standing, "stand up")
    assert edited.outcomes[0].status == "already"
    assert torch.equal(edited.pose, standing)


def test_mirror_is_exact_and_undo_goes_back_to_the_bit(standing):
    mirrored = edit_pose(standing, "swap the sides")
    assert torch.equal(mirrored.pose, mirror_pose(standing))
    assert torch.equal(edit_pose(mirrored.pose, "undo", [mirrored]).pose, standing)


def test_without_a_history_nothing_is_undone(standing):
    edited = edit_pose(standing, "undo")
    assert edited.outcomes[0].status == "cannot"
    assert torch.equal(edited.pose, standing)


def test_the_same_of_the_other_side_follows_the_last_order(standing):
    first = edit_pose(standing, "raise the left arm a lot")
    second = edit_pose(first.pose, "do the same with the right arm", [first])
    assert change("angle(right_shoulder)", second) > 35
    assert change("angle(left_shoulder)", second) == pytest.approx(0, abs=0.01)


def test_what_cannot_be_reached_is_said_to_go_part_of_the_way(standing):
    assert edit_pose(standing, "bend the left elbow 170 degrees").outcomes[0].status == "partly"


def test_the_same_order_gives_the_same_pose(standing):
    assert torch.equal(edit_pose(standing, "arms crossed").pose, edit_pose(standing, "arms crossed").pose)
