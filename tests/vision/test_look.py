from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pose_rft.errors import UserError
from pose_rft.vision import PoseEncoder, load_encoder, look


@pytest.fixture(scope="module")
def encoder() -> PoseEncoder:
    return load_encoder()


def test_a_photograph_is_looked_at(tmp_path: Path, people_picture: Image.Image, encoder: PoseEncoder) -> None:
    people_picture.save(tmp_path / "two.jpg", quality=95)
    for words, middle in (("the person on the left", 180), ("the person on the right", 540)):
        seen = look(tmp_path / "two.jpg", encoder, words)
        assert seen.person.circle.centre[0] == pytest.approx(middle, abs=15)
        assert seen.features.tokens.shape == (1, encoder.count, encoder.width)
        assert seen.features.presence > 0.99
        nose = seen.crop.to_picture(seen.features.landmarks[0, 0, :2].numpy())
        assert nose == pytest.approx([middle, 110], abs=12)  # tests/vision/conftest.py draws the face there


def test_a_box_is_in_pixels_of_the_file_even_when_it_is_reduced(
    people_picture: Image.Image, encoder: PoseEncoder
) -> None:
    large = people_picture.resize((7200, 4800))  # ten times; read at a third
    seen = look(large, encoder, "the person on the right", box=(250, 900, 3350, 4000))
    assert seen.image.size == (2400, 1600)
    assert seen.person.circle.centre[0] == pytest.approx(600, abs=50)  # the one on the left: 180 x 10 / 3


def test_a_box_serves_where_nobody_is_found(encoder: PoseEncoder) -> None:
    grey = Image.new("RGB", (400, 300), "grey")
    assert look(grey, encoder, box=(100, 50, 200, 250)).crop.pixels.max() > 0
    with pytest.raises(UserError, match="the image: no person found; give the box"):
        look(grey, encoder)


def test_a_box_outside_the_picture_is_one_line(encoder: PoseEncoder) -> None:
    with pytest.raises(UserError, match=r"the image: box .* lies outside the picture"):
        look(Image.new("RGB", (400, 300)), encoder, box=(400, 10, 500, 200))


def test_mistakes_name_the_file(tmp_path: Path, encoder: PoseEncoder) -> None:
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "night.png")
    with pytest.raises(UserError, match=r"night\.png: no person found"):
        look(tmp_path / "night.png", encoder)
    with pytest.raises(UserError, match=r"none\.png: no such file"):
        look(tmp_path / "none.png", encoder)
