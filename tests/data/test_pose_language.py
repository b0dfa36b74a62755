import pytest

from pose_rft.data.concepts.pose_language import Direction, parse_direction, parse_pose, parse_reach, swap_sides
from pose_rft.errors import UserError


def test_a_direction_is_a_weighted_sum_of_words() -> None:
    assert parse_direction("forward + 0.3 up - 0.1..0.2 out") == Direction(
        ((1.0, 1.0, "forward"), (0.3, 0.3, "up"), (-0.2, -0.1, "out"))
    )
    assert parse_direction("world down") == Direction(((1.0, 1.0, "down"),), world=True)


def test_a_place_without_a_side_is_on_the_hands_own_side() -> None:
    assert (parse_reach("at hip", "right").landmark, parse_reach("at hip", "right").side) == ("hip", "right")
    assert parse_reach("at other_knee", "right").side == "left"
    assert parse_reach("at chin - 0.1 up", "left").offset == Direction(((-0.1, -0.1, "up"),))


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        ({"bas": "stand"}, "unknown key 'bas'"),
        ({"base": "stnd"}, "unknown base 'stnd'"),
        ({"left_arm": "upwards"}, "left_arm: cannot read 'upwards'"),
        ({"left_hand": "at left_nose_tip"}, "left_arm: unknown landmark 'left_nose_tip'"),
        ({"left_hand": "hip"}, "a target is 'at LANDMARK'"),
        ({"left_arm": {"fore": "up"}}, "left_arm: upper is missing"),
        ({"left_arm": "up", "left_hand": "at chin"}, "not both"),
        ({"left_foot": "flatt"}, "unknown 'flatt'"),
        ({"trunk": {"lean": 3}}, "trunk: unknown 'lean'"),
        ({"trunk": {"bend": 170}}, "trunk.bend: 170 to 170 degrees is outside"),
        ({"trunk": {"bend": float("nan")}}, "trunk.bend"),
        ({"trunk": {"bend": [30, 10]}}, "trunk.bend: expected a number"),
        ({"left_leg": {"thigh": "down", "knee": 200}}, "knee is an interior angle"),
        ({"left_hand": "at left_elbow"}, "cannot go to its own arm"),
        ({"left_hand": "at right_elbow", "right_hand": "at left_elbow"}, "cannot both go to the other arm"),
        ({"wrists": 100}, "left_wrist is a number of degrees from -70 to 75"),
        ({"right_shoulder": "up"}, "right_shoulder is a number of degrees from 0 to 25"),
        ({"vary": 10}, "vary is a factor"),
        ("stand", "a pose is a mapping"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_the_words_that_are_wrong(pose: object, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_pose(pose)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sides_swap_in_words_and_names_but_not_in_right_angle_or_upright() -> None:
    assert swap_sides("at left_hip + 0.1 right") == "at right_hip + 0.1 left"
    assert swap_sides("upright, the left knee at a right angle") == "upright, the right knee at a right angle"
