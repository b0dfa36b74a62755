"""The frozen pose-aware encoder, from a picture to the features that a policy looks at."""

from pathlib import Path

import torch
from PIL.Image import Image
from torch import Tensor, nn

from pose_rft.errors import UserError
from pose_rft.policy.image_memory import ImageMemory
from pose_rft.policy.sight import Seen, SeenShape
from pose_rft.vision.encoder import ImageFeatures, PoseEncoder, load_encoder
from pose_rft.vision.images import read_image
from pose_rft.vision.look import look

CROP = 256  # pixels of a crop's side
NUMBERS = 8  # of a landmark: x, y, z in the crop, visibility, presence; x, y, z in metres


class Eyes(nn.Module):
    """An encoder whose features are laid out as tokens and points."""

    def __init__(self, encoder: PoseEncoder) -> None:
        super().__init__()
        encoder.freeze()
        self.encoder = encoder
        self.memory = ImageMemory()
        self.shape = SeenShape((encoder.count, encoder.width), (encoder.num_landmarks, NUMBERS))

    def encode(self, pixels: Tensor) -> Seen:
        """(N, 256, 256, 3) uint8 crops of one person each -> their features."""
        return laid_out(self.encoder.encode(pixels))

    def see(self, image: Image | str | Path, prompt: str = "") -> tuple[Seen, Tensor]:
        """The person in a photograph whom the prompt means.

        Returns:
            Features, N = 1, of the person's crop, and the rotation (3, 3) from the crop's frame to the photograph's.

        Raises:
            UserError: an unreadable image, or nobody in it.
        """
        picture = read_image(image)

        def make() -> dict[str, Tensor]:
            try:
                found = look(picture, self.encoder, prompt)
            except UserError as error:
                name = "the image" if isinstance(image, Image) else image
                raise UserError(str(error).replace("the image", str(name), 1)) from error
            seen = laid_out(found.features)
            return {"tokens": seen.tokens, "points": seen.points, "turn": torch.from_numpy(found.crop.turn).float()}

        found = self.memory.recall(picture, f"{self.encoder.name} {prompt}", make)
        return Seen(found["tokens"], found["points"]), found["turn"]


def laid_out(features: ImageFeatures) -> Seen:
    """Landmarks in units of about 1."""
    if features.landmarks is None or features.world is None:
        return Seen(features.tokens, features.tokens.new_zeros(len(features.tokens), 0, NUMBERS))
    x, y, z, visibility, presence = features.landmarks.unbind(dim=-1)
    half = CROP / 2
    placed = torch.stack([x / half - 1, 1 - y / half, z / half, visibility, presence], dim=-1)
    return Seen(features.tokens, torch.cat([placed, features.world], dim=-1))


def load_eyes(name: str) -> Eyes:
    """Eyes by the encoder's name: "blazepose", or a ViTPose directory or Hugging Face id.

    Raises:
        UserError: there is no encoder of that name.
    """
    return Eyes(load_encoder(name))
