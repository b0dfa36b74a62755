"""Pictures that strangers send."""

import io

from PIL import Image, ImageOps

from pose_rft.app.limits import Limits
from pose_rft.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP")


class PictureTooLarge(UserError):
    """More pixels than the server takes."""


def read_picture(content: bytes, limits: Limits) -> Image.Image:
    """A photograph as RGB, upright, its larger side at most ``limits.image_side``.

    Raises:
        PictureTooLarge: more than ``limits.image_pixels``; found out before they are unpacked.
        UserError: not a JPEG, PNG or WebP, or a broken one.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > limits.image_pixels:
                raise PictureTooLarge(
                    f"image: {width} x {height} pixels; send one of at most {limits.image_pixels / 1e6:.0f} megapixels"
                )
            picture.draft("RGB", (limits.image_side, limits.image_side))  # a JPEG is unpacked at reduced size
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except PictureTooLarge:
        raise
    except Exception as error:  # whatever a decoder raises at bytes that are no picture
        raise UserError("image: cannot be read as JPEG, PNG or WebP; send the bytes of one of these") from error
    upright.thumbnail((limits.image_side, limits.image_side))
    return upright
