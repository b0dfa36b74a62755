"""What strangers may send as a picture: the same that the command line reads."""

import io

import pytest
from PIL import Image

from pose_rft.app.limits import Limits
from pose_rft.app.worker import PoseWorker
from pose_rft.errors import UserError
from pose_rft.vision.images import FORMATS, read_image


@pytest.fixture(scope="module")
def read_picture():
    class Nobody:
        def merged_adapters(self):
            return io.BytesIO()  # any context

    worker = PoseWorker(Nobody(), Limits())
    yield worker.read_picture
    worker.close()


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "LA", "P", "CMYK"])
@pytest.mark.parametrize("kind", FORMATS)
def test_server_and_command_line_read_a_picture_alike(read_picture, tmp_path, kind, mode):
    if mode == "I;16" and kind not in ("PNG", "TIFF", "PPM"):
        pytest.skip(f"Pillow clips {mode} for {kind}")
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: turn by 90 degrees to see it upright
    picture = Image.linear_gradient("L").resize((80, 60)).convert(mode if mode != "I;16" else "I")
    picture = picture.point(lambda value: value * 200).convert("I;16") if mode == "I;16" else picture
    try:
        content = encoded(picture, kind, exif=turned)
    except (OSError, ValueError):
        pytest.skip(f"{kind} cannot hold {mode}")
    (tmp_path / "file").write_bytes(content)
    here, there = read_picture(content), read_image(tmp_path / "file")
    assert (here.mode, here.size, here.tobytes()) == (there.mode, there.size, there.tobytes())
    assert 100 < sum(here.resize((1, 1)).getpixel((0, 0))) < 700  # neither black nor white


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"GIF89a" + b"\0" * 40])
def test_what_is_no_picture_is_told_so(read_picture, content):
    with pytest.raises(UserError, match="the image: "):
        read_picture(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_picture_that_was_cut_or_damaged_never_raises_anything_else(read_picture, kind):
    content = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), kind)
    refused = 0
    for length in range(0, len(content), max(1, len(content) // 40)):
        damaged = content[:length] + b"\xff\x00" + content[length + 2 :]
        for broken in (content[:length], damaged):
            try:
                read_picture(broken)
            except UserError:
                refused += 1
    assert refused >= 40  # at least every cut one; damage inside may go unnoticed
