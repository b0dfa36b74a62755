"""Pictures that programs hold as arrays of numbers."""

from typing import Any

import numpy as np
import torch
from PIL import Image

from pose_rft.errors import UserError


def picture_of(array: np.ndarray | torch.Tensor) -> Image.Image:
    """A picture of an array: grey (H, W), or (H, W, C), or (C, H, W), with C = 1, 3 (RGB) or 4 (RGB and opacity).

    Whole numbers of 8 bits are taken as they are and of 16 bits divided by 257; fractions are from 0 to 1, truth values
    black and white.

    Raises:
        UserError: another shape or kind of numbers, or fractions out of range.
    """
    pixels: Any = array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else array
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4) and pixels.shape[0] in (1, 3, 4):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)):
        raise UserError(f"images: an array of shape {array.shape} is no picture; give (H, W), (H, W, 3) or (3, H, W)")
    if pixels.dtype == np.uint16:
        pixels = (pixels // 257).astype(np.uint8)
    elif pixels.dtype == bool:
        pixels = pixels * np.uint8(255)
    elif np.issubdtype(pixels.dtype, np.floating):
        if not ((pixels >= 0) & (pixels <= 1)).all():
            raise UserError("images: an array of fractions must hold numbers from 0 to 1; give uint8 for 0 to 255")
        pixels = np.round(pixels * 255).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise UserError(f"images: an array of {pixels.dtype} is no picture; give uint8, or fractions from 0 to 1")
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    return Image.fromarray(np.ascontiguousarray(pixels))
