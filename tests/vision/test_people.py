import math

import numpy as np
import pytest
from PIL import Image

from pose_rft.errors import UserError
from pose_rft.vision.crops import Circle
from pose_rft.vision.people import Person, boxes_of_people, choose_person, find_people, read_box, refined


def person(x: float, radius: float = 50.0, y: float = 100.0, score: float = 0.9) -> Person:
    return Person((x - 20, y - radius, x + 20, y + radius), score, Circle((x, y), radius))


LEFT, MIDDLE, RIGHT = person(50), person(200, 80), person(400, 60)
THREE = [MIDDLE, RIGHT, LEFT]


def test_both_people_of_a_picture_are_found(people_picture: Image.Image) -> None:
    people = sorted(find_people(people_picture), key=lambda p: p.box[0])
    assert len(people) == 2
    # Where tests/vision/conftest.py draws them: figures 320 pixels high in the middle of the two halves.
    for somebody, middle in zip(people, (180, 540), strict=True):
        assert somebody.circle.centre == pytest.approx((middle, 230), abs=15)
        assert somebody.circle.radius == pytest.approx(160, abs=15)
        assert somebody.circle.rotation == pytest.approx(0, abs=0.05)
        assert somebody.score > 0.9
    t_pose, leg_up = (p.box for p in people)
    assert t_pose[0] < 40  # arms stretched out: from 25 to 335
    assert t_pose[2] > 320
    assert leg_up == pytest.approx((460, 90, 620, 395), abs=20)


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_turned_person_is_found_with_the_turn(one_person: Image.Image, quarter_turns: int) -> None:
    turned = Image.fromarray(np.rot90(np.asarray(one_person), quarter_turns).copy())
    [found] = find_people(turned)
    # np.rot90 turns counter-clockwise: the head of one quarter turn points to the left, -90 degrees.
    difference = (found.circle.rotation + quarter_turns * math.pi / 2) % (2 * math.pi)
    assert min(difference, 2 * math.pi - difference) < 0.1


def test_a_small_person_in_a_large_picture_is_found(one_person: Image.Image) -> None:
    wide = Image.new("RGB", (1600, 900), (200, 205, 210))
    wide.paste(one_person.resize((150, 200)), (1200, 600))
    [found] = find_people(wide)
    assert found.circle.centre == pytest.approx((1275, 696), abs=15)  # 1200 + 75, and hips at 230 of 480


@pytest.mark.parametrize("kind", ["flat", "noise"])
def test_nobody_is_seen_where_nobody_is(kind: str) -> None:
    flat = np.full((300, 400, 3), 90, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert find_people(Image.fromarray(flat if kind == "flat" else noise)) == []


@pytest.mark.parametrize("size", [(32, 32), (3072, 40), (40, 1500)])
def test_pictures_of_odd_shape_are_looked_at(size: tuple[int, int]) -> None:
    assert find_people(Image.new("RGB", size)) == []


def test_without_words_the_largest_is_meant() -> None:
    assert choose_person(THREE) is MIDDLE
    assert choose_person(THREE, "What is the pose?") is MIDDLE


@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        ("the person on the left", LEFT),
        ("What is the pose of the man on the right?", RIGHT),
        ("Describe the one in the middle.", MIDDLE),
        ("the woman in the centre", MIDDLE),
        ("the girl in the center of the picture", MIDDLE),
        ("the boy standing at the far left", LEFT),
        ("The leftmost dancer, please", LEFT),
        ("the right-most player", RIGHT),
        ("pose of the left person", LEFT),
        ("the second person from the left", MIDDLE),
        ("the first from the right", RIGHT),
        ("the third one from the right", LEFT),
        ("THE PERSON ON THE LEFT", LEFT),
        ("the person on the left side", LEFT),
        ("whoever is on the right-hand side of the picture", RIGHT),
        ("the one to the right", RIGHT),
        ("Is the right arm of the person on the left raised?", LEFT),
        ("what does the central figure do", MIDDLE),
    ],
)
def test_words_for_a_place_choose_the_person_there(prompt: str, meant: Person) -> None:
    assert choose_person(THREE, prompt) is meant


@pytest.mark.parametrize(
    "prompt",
    [
        "Is the left arm of the person raised?",
        "A person raises the right knee",
        "the person leans to one side, right?",
        "someone standing on the left leg",
        "a man with a ball in the right hand",
        "someone lying on the right side",
        "a person leaning to the left",
        "the woman looks to the right",
        "a person balancing on the left foot",
        "Which knee is lower, the left or the right?",
    ],
)
def test_words_for_limbs_do_not_choose(prompt: str) -> None:
    assert choose_person(THREE, prompt) is MIDDLE  # the largest


def test_one_person_is_on_the_left_and_on_the_right() -> None:
    assert choose_person([LEFT], "the person on the right") is LEFT


def test_counting_further_than_there_are_people_is_one_line() -> None:
    with pytest.raises(UserError, match="'fourth person from the left' is asked for, but 3 people were found"):
        choose_person(THREE, "the fourth person from the left")
    with pytest.raises(UserError, match="1 person was found"):
        choose_person([LEFT], "the second from the right")


def test_nobody_found_asks_for_a_box() -> None:
    with pytest.raises(UserError, match="no person found; give the box"):
        choose_person([], "the person on the left")


def test_a_box_chooses_the_person_it_covers_whatever_the_words_say() -> None:
    assert choose_person(THREE, "the person on the right", box=(25, 40, 80, 160)) is LEFT


def test_a_box_around_nobody_is_taken_for_a_person() -> None:
    for people in ([], THREE):
        chosen = choose_person(people, box=(600, 100, 700, 300))
        assert chosen.box == (600, 100, 700, 300)
        assert chosen.circle == Circle((650, 200), 100)  # half of the longer side


def test_a_box_that_is_taken_for_a_person_is_refined_by_what_is_seen_there(one_person: Image.Image) -> None:
    by_hand = choose_person([], box=(80, 60, 300, 440))
    person = refined(one_person, by_hand)
    [found] = find_people(one_person)
    assert person.circle.centre == pytest.approx(found.circle.centre, abs=8)
    assert person.circle.radius == pytest.approx(found.circle.radius, rel=0.1)
    nobody = choose_person([], box=(0, 0, 40, 40))
    assert refined(one_person, nobody) is nobody


@pytest.mark.parametrize(
    "box", [(10, 10, 10, 50), (50, 10, 20, 50), (10, 10, float("nan"), 50), (0, 0, float("inf"), 9)]
)
def test_an_empty_box_is_one_line(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(UserError, match="left < right and top < bottom"):
        choose_person(THREE, box=box)


@pytest.mark.parametrize("text", ["1,2,30,40", " 1 2 30 40 ", "[1, 2, 30, 40]", "1.0;2;30;4e1"])
def test_a_box_is_read_as_people_type_it(text: str) -> None:
    assert read_box(text) == (1.0, 2.0, 30.0, 40.0)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "left,top,right,bottom"])
def test_what_is_no_box_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match="give four numbers, left,top,right,bottom in pixels"):
        read_box(text)


def test_boxes_of_all_people_are_in_pixels_of_the_file(people_picture: Image.Image) -> None:
    large = people_picture.resize((7200, 4800))  # ten times; read at a third
    boxes = boxes_of_people(large)
    assert len(boxes) == 2
    for box, middle in zip(boxes, (1800, 5400), strict=True):
        assert (box[0] + box[2]) / 2 == pytest.approx(middle, abs=300)
    with pytest.raises(UserError, match="no person found; give the box"):
        boxes_of_people(Image.new("RGB", (300, 300)))
