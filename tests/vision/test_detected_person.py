from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pose_rft.errors import UserError
from pose_rft.vision import PoseEncoder, detect_person, load_encoder


@pytest.fixture(scope="module")
def encoder() -> PoseEncoder:
    return load_encoder()


def test_the_person_whom_the_words_mean_is_found_and_encoded(
    tmp_path: Path, people_picture: Image.Image, encoder: PoseEncoder
) -> None:
    people_picture.save(tmp_path / "two.jpg", quality=95)
    for words, middle in (("the person on the left", 180), ("the person on the right", 540)):
        found = detect_person(tmp_path / "two.jpg", encoder, words)
        assert found.person.circle.centre[0] == pytest.approx(middle, abs=15)
        assert found.features.tokens.shape == (1, encoder.count, encoder.width)
        assert found.features.presence > 0.99
        nose = found.crop.to_picture(found.features.landmarks[0, 0, :2].numpy())
        assert nose == pytest.approx([middle, 110], abs=12)  # tests/vision/conftest.py draws the face there


def test_a_box_is_in_pixels_of_the_file_even_when_it_is_reduced(
    people_picture: Image.Image, encoder: PoseEncoder
) -> None:
    large = people_picture.resize((7200, 4800))  # ten times; read at a third
    found = detect_person(large, encoder, "the person on the right", box=(250, 900, 3350, 4000))
    assert found.image.size == (2400, 1600)
    assert found.person.circle.centre[0] == pytest.approx(600, abs=50)  # the one on the left: 180 x 10 / 3


def test_a_box_serves_where_nobody_is_found(encoder: PoseEncoder) -> None:
    grey = Image.new("RGB", (400, 300), "grey")
    assert detect_person(grey, encoder, box=(100, 50, 200, 250)).crop.pixels.max() > 0
    with pytest.raises(UserError, match="the image: no person found; give the box"):
        detect_person(grey, encoder)


def test_a_box_outside_the_picture_is_one_line(encoder: PoseEncoder) -> None:
    with pytest.raises(UserError, match=r"the image: box .* lies outside the picture"):
        detect_person(Image.new("RGB", (400, 300)), encoder, box=(400, 10, 500, 200))


def test_mistakes_name_the_file(tmp_path: Path, encoder: PoseEncoder) -> None:
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "night.png")
    with pytest.raises(UserError, match=r"night\.png: no person found"):
        detect_person(tmp_path / "night.png", encoder)
    with pytest.raises(UserError, match=r"none\.png: no such file"):
        detect_person(tmp_path / "none.png", encoder)
