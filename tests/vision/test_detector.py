import numpy as np
import pytest
from PIL import Image

from pose_rft.vision.crops import Circle
from pose_rft.vision.detector import detect


def whole(image: Image.Image) -> tuple[float, float, float, float]:
    return (0, 0, image.width, image.height)


def close(first: Circle, second: Circle, pixels: float) -> bool:
    return np.hypot(*np.subtract(first.centre, second.centre)) < pixels and abs(first.radius - second.radius) < pixels


def test_one_person_is_one_place_at_the_hips(one_person: Image.Image) -> None:
    [(score, circle)] = detect(one_person, [whole(one_person)])
    assert score > 0.9
    # tests/vision/conftest.py draws the hips there, and the figure 310 high; the detector alone is coarse.
    assert close(circle, Circle((180, 230), 160), 35)
    assert abs(circle.rotation) < 0.15


def test_a_head_seen_in_several_parts_is_one_person(one_person: Image.Image) -> None:
    [(score, circle)] = detect(one_person, [whole(one_person)])
    [(twice_score, twice)] = detect(one_person, [whole(one_person), whole(one_person)])
    assert twice_score == pytest.approx(score, abs=1e-4)
    assert close(twice, circle, 0.1)
    assert len(detect(one_person, [whole(one_person), (0, 0, 360, 400), (20, 30, 360, 480)])) == 1


def test_places_are_in_pixels_of_the_picture_whatever_the_part(one_person: Image.Image) -> None:
    [(_, circle)] = detect(one_person, [whole(one_person)])
    wide = Image.new("RGB", (1000, 700), "grey")
    wide.paste(one_person, (500, 150))
    [(_, shifted)] = detect(wide, [(500, 150, 860, 630)])
    assert close(shifted, Circle((circle.centre[0] + 500, circle.centre[1] + 150), circle.radius), 1)


def test_a_picture_without_people_has_no_places() -> None:
    grey = Image.new("RGB", (300, 500), "grey")
    assert detect(grey, [whole(grey)]) == []
