"""What frozen encoders made of images, kept: an image is encoded once in a run, not once a step."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from PIL.Image import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pose_rft.storage import atomic_file


class FeatureCache:
    """Tensors by the content of an image and of what was asked about it.

    Args:
        folder: where they are kept, as safetensors; None keeps nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def get_or_compute(self, image: Image, question: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """What ``make`` returned for this image and question before, or now."""
        if self.folder is None:
            return make()
        content = hashlib.sha256(f"{image.mode} {image.size} {question}\n".encode() + image.tobytes()).hexdigest()
        file = self.folder / content[:2] / f"{content}.safetensors"
        try:
            return load_file(file)
        except (OSError, SafetensorError):  # not there yet
            made = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(file) as part:
            save_file({name: value.contiguous() for name, value in made.items()}, part)
        return made
