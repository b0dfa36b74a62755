import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pose_rft.errors import UserError
from pose_rft.vision.images import MAX_SIDE, read_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Red top left, green top right, blue bottom left, white bottom right."""
    picture = Image.new("RGB", (2, 2))
    for place, colour in zip([(0, 0), (1, 0), (0, 1), (1, 1)], (RED, GREEN, BLUE, WHITE), strict=True):
        picture.putpixel(place, colour)
    return picture.resize(size, Image.Resampling.NEAREST)


def corners(image: Image.Image) -> list[str]:
    """The colours near the four corners, row by row, by name."""
    names = dict(zip((RED, GREEN, BLUE, WHITE), ("red", "green", "blue", "white"), strict=True))
    array = np.asarray(image).astype(int)
    height, width = array.shape[:2]
    points = [(8, 8), (8, width - 9), (height - 9, 8), (height - 9, width - 9)]
    return [min(((np.abs(array[p] - c).sum(), n) for c, n in names.items()))[1] for p in points]


def one_line(call, *words: str) -> None:
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".bmp", ".tif", ".gif", ".ppm"])
def test_every_common_format_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    quarters().save(path)
    for given_as in (path, str(path)):
        image = read_image(given_as)
        assert (image.mode, image.size, image.info) == ("RGB", (64, 48), {"reduction": 1})
        assert corners(image) == ["red", "green", "blue", "white"]


# 64 x 48, red above blue, written by pillow-heif 1.8.1
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAb5tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAADRpbG9jAAAAAERA"
    "AAIAAQAAAAAB4gABAAAAAAAAACsAAgAAAAACDQABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQAC"
    "AABFeGlmAAAAAA5waXRtAAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAA"
    "AAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaA"
    "AAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAA"
    "AAAAAAEAAQWBAgMFhAAAABppcmVmAAAAAAAAAA5jZHNjAAIAAQABAAAAV21kYXQAAAAnKAGvGYD3hEl/5yD+eRfwQM1eK+/5tTsrE+yzayu2yxS/0V+8"
    "NoN+AAAABkV4aWYAAE1NACoAAAAIAAEBEgADAAAAAQAGAAAAAAAA"
)


def test_what_iphones_write_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    (tmp_path / "me.heic").write_bytes(HEIC)
    image = read_image(tmp_path / "me.heic")
    assert image.size == (64, 48)
    assert image.getpixel((32, 10))[0] > 240
    assert image.getpixel((32, 40))[2] > 240
    one_line(lambda: read_image(HEIC[:300]), "the image: ")


def test_without_the_package_that_reads_it_a_heic_is_one_line(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "me.heic").write_bytes(HEIC)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    one_line(lambda: read_image(tmp_path / "me.heic"), "me.heic", "HEIC", "pip install 'pose-rft[heic]'", "JPEG")


def test_bytes_of_a_file_are_read_as_the_file_is(tmp_path: Path) -> None:
    quarters((6400, 4800)).save(tmp_path / "large.avif", quality=30)
    here, there = read_image(tmp_path / "large.avif"), read_image((tmp_path / "large.avif").read_bytes())
    assert (here.size, here.info) == (there.size, there.info) == ((2134, 1600), {"reduction": 3})
    assert here.tobytes() == there.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_picture_stored_turned_or_mirrored_is_set_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    stored_as = {  # how a camera stores the upright picture under each EXIF orientation (CIPA DC-008, tag 0x0112)
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    upright = quarters()
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned{suffix}"
    (upright if stored_as is None else upright.transpose(stored_as)).save(path, exif=exif)
    image = read_image(path)
    assert image.size == (64, 48)
    assert corners(image) == ["red", "green", "blue", "white"]


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_unknown_orientation_is_ignored(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters().save(tmp_path / "odd.jpg", exif=exif)
    assert corners(read_image(tmp_path / "odd.jpg")) == ["red", "green", "blue", "white"]


def test_damaged_exif_does_not_spoil_the_picture(tmp_path: Path) -> None:
    quarters().save(tmp_path / "odd.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert corners(read_image(tmp_path / "odd.jpg")) == ["red", "green", "blue", "white"]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    quarters().convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert corners(read_image(tmp_path / "print.jpg")) == ["red", "green", "blue", "white"]


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "PA", "HSV", "YCbCr", "RGBX", "CMYK"])
def test_every_mode_of_an_open_picture_becomes_rgb(mode: str) -> None:
    grey = Image.new("L", (40, 40), 255).convert("RGB").convert(mode if mode != "PA" else "P")
    image = read_image(grey.convert("PA") if mode == "PA" else grey)
    assert image.mode == "RGB"
    assert np.asarray(image).min() >= 254  # white stays white in every mode


def test_transparent_parts_become_white_and_half_transparent_ones_half_white(tmp_path: Path) -> None:
    layer = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    layer.paste((255, 0, 0, 255), (0, 0, 64, 20))
    layer.paste((0, 0, 0, 128), (0, 20, 64, 40))
    layer.save(tmp_path / "cut.png")
    image = read_image(tmp_path / "cut.png")
    assert image.getpixel((5, 5)) == RED
    assert image.getpixel((5, 30)) == (127, 127, 127)  # 255 x (1 - 128/255)
    assert image.getpixel((5, 60)) == WHITE


def test_a_transparent_palette_entry_becomes_white(tmp_path: Path) -> None:
    picture = Image.new("P", (64, 64), 0)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.paste(1, (0, 0, 64, 32))
    picture.save(tmp_path / "palette.png", transparency=0)
    image = read_image(tmp_path / "palette.png")
    assert image.getpixel((5, 5)) == RED
    assert image.getpixel((5, 60)) == WHITE


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path, suffix: str) -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).round().astype(np.uint16), (64, 1))
    Image.fromarray(ramp).save(tmp_path / f"deep{suffix}")
    image = np.asarray(read_image(tmp_path / f"deep{suffix}"))
    np.testing.assert_array_equal(image[10, :, 0], np.arange(256))
    np.testing.assert_array_equal(image[..., 0], image[..., 2])


def test_fractions_are_refused_with_a_hint(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).random((64, 64), np.float32)).save(tmp_path / "depth.tif")
    one_line(lambda: read_image(tmp_path / "depth.tif"), "depth.tif", "fractions", "JPEG")


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_an_animation_gives_its_first_frame(tmp_path: Path, suffix: str) -> None:
    first, second = quarters(), Image.new("RGB", (64, 48), "black")
    first.save(tmp_path / f"moving{suffix}", save_all=True, append_images=[second, second])
    assert corners(read_image(tmp_path / f"moving{suffix}")) == ["red", "green", "blue", "white"]


def test_an_open_picture_is_left_as_it_was(tmp_path: Path) -> None:
    quarters((6400, 4800)).save(tmp_path / "large.jpg")
    with Image.open(tmp_path / "large.jpg") as opened:
        image = read_image(opened)
        assert opened.size == (6400, 4800)
    assert image.size == (2134, 1600)  # divided by 3 = ceil(6400 / 3072), the last column an average of fewer pixels
    assert image.info["reduction"] == 3


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_12000_by_9000_pixels_are_reduced(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"huge{suffix}"
    wide = Image.new("L", (12_000, 9_000), 255)
    wide.paste(0, (0, 0, 6_000, 9_000))
    wide.save(path, **({"compress_level": 1} if suffix == ".png" else {}))
    image = read_image(path)
    assert image.size == (3000, 2250)
    assert image.info["reduction"] == 4
    assert (image.getpixel((100, 2200)), image.getpixel((2900, 100))) == ((0, 0, 0), WHITE)


def test_reducing_averages_pixels_and_covers_the_edge() -> None:
    values = np.random.default_rng(1).integers(0, 256, (70, 2 * MAX_SIDE + 1), dtype=np.uint8)
    reduced = np.asarray(read_image(Image.fromarray(values)))[..., 0]
    assert reduced.shape == (24, 2049)  # factor 3: ceil(70 / 3), ceil(6145 / 3)
    blocks = values[:69, :6144].reshape(23, 3, 2048, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(reduced[:23, :2048], blocks, atol=0.6)  # Pillow averages in fixed point


@pytest.mark.parametrize("size", [(1, 1), (31, 500), (12_000, 10)])
def test_a_picture_too_small_for_a_person_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "dot.png")
    one_line(lambda: read_image(tmp_path / "dot.png"), "dot.png", f"{size[0]} x {size[1]}", "too small", "32 x 32")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".tif", ".bmp"])
def test_a_truncated_file_is_one_line(tmp_path: Path, suffix: str) -> None:
    noise = Image.fromarray(np.random.default_rng(2).integers(0, 256, (100, 100, 3), dtype=np.uint8))
    whole = io.BytesIO()
    noise.save(whole, format=Image.registered_extensions()[suffix])
    path = tmp_path / f"half{suffix}"
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    one_line(lambda: read_image(path), f"half{suffix}")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", b"\x89PNG\r\n"]
)
def test_a_file_that_is_no_picture_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "letter.jpg").write_bytes(content)
    one_line(lambda: read_image(tmp_path / "letter.jpg"), "letter.jpg", "not a picture", "PNG")


def test_missing_files_folders_and_addresses_are_one_line(tmp_path: Path) -> None:
    one_line(lambda: read_image(tmp_path / "none.jpg"), "none.jpg", "no such file")
    one_line(lambda: read_image(tmp_path), str(tmp_path), "folder")
    one_line(lambda: read_image("https://example.org/a.jpg"), "address", "download")
    one_line(lambda: read_image("data:image/png;base64,AAAA"), "address")
    one_line(lambda: read_image("bad\0name.jpg"), "cannot be read")
    one_line(lambda: read_image("n" * 5000))


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)  # 10,000 million pixels of RGB
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    one_line(lambda: read_image(path), "bomb.png", "178,956,970 pixels", "smaller")


def encoded(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = io.BytesIO()
    quarters().save(whole, format=kind, exif=exif)  # GIF ignores it
    return whole.getvalue()


WHOLE = {kind: encoded(kind) for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF")}


@given(st.sampled_from(sorted(WHOLE)), st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=20))
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_give_a_picture_or_one_line(tmp_path_factory, kind: str, changes: list) -> None:
    content = bytearray(WHOLE[kind])
    for place, value in changes:
        content[int(place * len(content))] = value
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_bytes(content)
    try:
        image = read_image(path)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert image.mode == "RGB"
        assert max(image.size) <= MAX_SIDE
