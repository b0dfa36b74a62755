"""Reading photographs: whatever a camera, a phone or a painting program wrote, as upright RGB of a workable size."""

import importlib
import importlib.util
import io
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from pose_rft.errors import UserError, reason_of
from pose_rft.vision.arrays import picture_of

Picture = Image.Image | np.ndarray | torch.Tensor | str | Path | bytes | BinaryIO
MAX_SIDE = 3072  # pixels; a person who fills a tenth of the picture still fills the encoder's 256
MIN_SIDE = 32  # pixels; nobody can be made out in less
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")  # none that runs an interpreter, as EPS does
HEIF_READERS = ("pi_heif", "pillow_heif")  # packages that teach Pillow HEIC; the first has no encoder under the GPL
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
ORIENTATION = 0x0112  # EXIF's tag; its values 2 to 8 say how to bring the stored picture upright
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PictureTooLarge(UserError):
    """More pixels than are unpacked."""


def read_image(image: Picture) -> Image.Image:
    """A photograph as upright RGB, at most `MAX_SIDE` pixels long.

    EXIF orientation is applied; transparent parts become white; palettes, CMYK and 16-bit grey become RGB; of an
    animated file the first frame is taken. Larger pictures are divided by a whole number, strip by strip (JPEG while it
    is decoded), so that no full-size copy is made; ``result.info["reduction"]`` says by how much: pixel x of the file
    is pixel x / reduction of the result.

    Args:
        image: a file, its name or its bytes; a picture that is already open (it is not changed); or an array as
            ``picture_of`` takes it.

    Raises:
        UserError: no such file, a folder, an address, not a picture, damaged, too small or too large (then
            `PictureTooLarge`, before it is unpacked), or a HEIC without the package that reads it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on damaged EXIF and on large, but not too large, pictures
        if isinstance(image, np.ndarray | torch.Tensor):
            image = picture_of(image)
        if isinstance(image, Image.Image):
            return _decoded(image, "the image", is_ours=False)
        if isinstance(image, bytes | bytearray):
            image = io.BytesIO(image)
        if not isinstance(image, str | Path) and not hasattr(image, "read"):
            raise UserError(f"images: {type(image).__name__} is no picture; give a file, a PIL image or an array")
        return _read_file(image)


def _read_file(image: str | Path | BinaryIO) -> Image.Image:
    name = picture_name(image)
    if "://" in name or name.startswith("data:"):
        raise UserError(f"{name[:80]}: is an address, not a file; download the picture and give the file's name")
    if not isinstance(image, str | Path):
        return _read_stream(image, name)
    try:
        with Path(image).open("rb") as stream:
            return _read_stream(stream, name)
    except UserError:
        raise
    except IsADirectoryError as error:
        raise UserError(f"{name}: is a folder; give one picture") from error
    except FileNotFoundError as error:
        raise UserError(f"{name}: no such file; check the name") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{name}: cannot be read ({reason_of(error)[:120]}); give a picture") from error


def _read_stream(stream: BinaryIO, name: str) -> Image.Image:
    try:
        start = stream.read(64)
        stream.seek(0)
        is_heif = start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS and b"avif" not in start
        if is_heif:
            _learn_heif(name)
        opened = Image.open(stream, formats=("HEIF",) if is_heif else FORMATS)
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(f"{name}: not a picture that can be read; give one of {', '.join(FORMATS)}, HEIC") from error
    except Image.DecompressionBombError as error:
        raise PictureTooLarge(f"{name}: more than {2 * _pixel_limit():,} pixels; make it smaller") from error
    except Exception as error:  # readers of formats raise errors of many kinds on damaged files
        raise UserError(f"{name}: cannot be read ({reason_of(error)[:120]}); give a picture") from error
    with opened:
        return _decoded(opened, name, is_ours=True)


def _learn_heif(name: str) -> None:
    """Teach Pillow to read what iPhones write."""
    reader = next(filter(importlib.util.find_spec, HEIF_READERS), None)
    if reader is None:
        raise UserError(f"{name}: is a HEIC picture; run: pip install 'pose-rft[heic]', or save it as JPEG")
    importlib.import_module(reader).register_heif_opener()


def picture_name(image: Picture) -> str:
    """What to call a picture in a message."""
    return str(image) if isinstance(image, str | Path) else "the image"


def _pixel_limit() -> int:
    return Image.MAX_IMAGE_PIXELS or 0


def _decoded(image: Image.Image, name: str, is_ours: bool) -> Image.Image:
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise UserError(
            f"{name}: {width} x {height} pixels is too small to show a person; give at least {MIN_SIDE} x {MIN_SIDE}"
        )
    factor = -(-max(width, height) // MAX_SIDE)
    try:
        if is_ours:
            # A JPEG decodes to an eighth, a quarter or a half of its size in a fraction of time and memory.
            image.draft(image.mode, (width // factor, height // factor))
        image.load()
        result = _reduced(image, -(-max(image.size) // MAX_SIDE))
    except Exception as error:  # Pillow's decoders raise errors of many kinds on damaged files
        raise UserError(
            f"{name}: a damaged or unusual picture ({reason_of(error)[:120]}); save it again as JPEG"
        ) from error
    turn = UPRIGHT.get(_orientation(image))
    reduction = max(round(width / result.width), 1)
    result = result if turn is None else result.transpose(turn)
    result.info = {"reduction": reduction}
    return result


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF does not make a picture unreadable
        return 1
    return value if isinstance(value, int) else 1


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """RGB at 1 / `factor` of the size, made from strips of `image` so that conversions need little memory."""
    width, height = image.size
    result = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = 64 * factor
    for top in range(0, height, rows):
        strip = _rgb(image.crop((0, top, width, min(top + rows, height))))
        result.paste(strip.reduce(factor) if factor > 1 else strip, (0, top // factor))
    return result


def _rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB, transparent parts over white."""
    if image.mode.startswith("I"):  # whole numbers of 16 bits
        bytes_ = np.clip(np.asarray(image).astype(np.int64) // 257, 0, 255).astype(np.uint8)
        return Image.fromarray(bytes_).convert("RGB")
    if image.mode == "F":
        raise ValueError("pixels are fractions of unknown range")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
