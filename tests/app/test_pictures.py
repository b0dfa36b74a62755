"""What strangers may send as a picture."""

import io

import pytest
from PIL import Image

from pose_rft.app.limits import Limits
from pose_rft.app.uploads import PictureTooLarge, read_picture
from pose_rft.errors import UserError


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_photographs_come_out_as_rgb(kind):
    picture = read_picture(encoded(Image.new("RGB", (30, 20), "red"), kind), Limits())
    assert (picture.mode, picture.size) == ("RGB", (30, 20))
    assert picture.getpixel((15, 10))[0] > 240


def test_a_telephone_on_its_side_gives_an_upright_picture():
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: turn by 90 degrees to see it upright
    content = encoded(Image.new("RGB", (30, 20)), "JPEG", exif=turned)
    assert read_picture(content, Limits()).size == (20, 30)


def test_large_pictures_are_scaled_down_keeping_their_shape():
    content = encoded(Image.new("L", (400, 100)), "PNG")
    assert read_picture(content, Limits(image_side=100)).size == (100, 25)


def test_too_many_pixels_are_refused_before_they_are_unpacked():
    content = encoded(Image.new("1", (5000, 4000)), "PNG")
    assert len(content) < 10_000  # 20 megapixels in a few kilobytes
    with pytest.raises(PictureTooLarge, match=r"5000 x 4000 pixels; send one of at most 10 megapixels"):
        read_picture(content, Limits(image_pixels=10_000_000))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"GIF89a" + b"\0" * 40])
def test_what_is_no_picture_is_told_so(content):
    with pytest.raises(UserError, match="cannot be read as JPEG, PNG or WebP"):
        read_picture(content, Limits())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_was_cut_or_damaged_never_raises_anything_else(kind):
    content = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), kind)
    refused = 0
    for length in range(0, len(content), max(1, len(content) // 40)):
        damaged = content[:length] + b"\xff\x00" + content[length + 2 :]
        for broken in (content[:length], damaged):
            try:
                read_picture(broken, Limits())
            except UserError:
                refused += 1
    assert refused >= 40  # at least every cut one; damage inside may go unnoticed
