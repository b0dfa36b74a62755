"""The frozen pose-aware encoder, from a picture to the features that a policy reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor, nn

from pose_rft.body import load_body
from pose_rft.body.overlay import PictureCamera, fit_camera
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.errors import UserError
from pose_rft.vision.blazepose import COMMON_JOINTS
from pose_rft.vision.detected_person import detect_person
from pose_rft.vision.detector import Box
from pose_rft.vision.encoded_images import EncodedImages, EncodedImageShape
from pose_rft.vision.encoder import ImageFeatures, PoseEncoder
from pose_rft.vision.feature_cache import FeatureCache
from pose_rft.vision.images import Picture, picture_name, read_image
from pose_rft.vision.load import load_encoder

CROP = 256  # pixels of a crop's side
COMMON = [JOINT_INDEX[name] for name in COMMON_JOINTS]
SEEN = 0.3  # presence of a landmark from which on it lies in the picture; at an edge it is about 0.5
NUMBERS = 8  # of a landmark: x, y, z in the crop, visibility, presence; x, y, z in metres


class ImageEncoder(nn.Module):
    """An encoder whose features are laid out as tokens and points."""

    def __init__(self, encoder: PoseEncoder) -> None:
        super().__init__()
        encoder.freeze()
        self.encoder = encoder
        self.cache = FeatureCache()
        self.shape = EncodedImageShape((encoder.count, encoder.width), (encoder.num_landmarks, NUMBERS))

    def encode(self, pixels: Tensor) -> EncodedImages:
        """(N, 256, 256, 3) uint8 crops of one person each -> their features."""
        return laid_out(self.encoder.encode(pixels))

    def encode_person(
        self, image: Picture, prompt: str = "", flip: bool = False, box: Box | None = None
    ) -> "EncodedPerson":
        """The person in a photograph whom a box or the prompt means.

        Args:
            flip: encode the flipped crop as well.
            box: left, top, right, bottom around the person, in pixels of the upright photograph at its full size.

        Raises:
            UserError: an unreadable image, nobody in it, or a box outside it.
        """
        picture = read_image(image)
        within = None if box is None else tuple(edge / picture.info["reduction"] for edge in box)

        def make() -> dict[str, Tensor]:
            try:
                found = detect_person(picture, self.encoder, prompt, within)
            except UserError as error:
                name = picture_name(image)
                raise UserError(str(error).replace("the image", str(name), 1)) from error
            direct = laid_out(found.features)
            turn = torch.from_numpy(found.crop.turn).float()
            people = torch.tensor([person.box for person in found.people]).reshape(-1, 4)
            parts = {"tokens": direct.tokens, "points": direct.points, "turn": turn}
            parts |= {"people": people, "box": torch.tensor(found.person.box)}
            if flip:
                other = self.encode(flip_crop(found.crop.pixels).to(direct.tokens.device))
                parts |= {"flipped_tokens": other.tokens, "flipped_points": other.points}
            if found.features.landmarks is None:
                return parts
            marks = found.features.landmarks[0, list(COMMON_JOINTS.values())].cpu().double()  # (12, 5)
            places = torch.from_numpy(found.crop.to_picture(marks[:, :2].numpy()))
            return parts | {"places": places, "sure": marks[:, 3]}

        question = f"{self.encoder.name} {prompt} {within}{' and flipped' * flip}"
        found = self.cache.get_or_compute(picture, question, make)
        encoded = EncodedImages(found["tokens"], found["points"])
        flipped = EncodedImages(found["flipped_tokens"], found["flipped_points"]) if flip else None
        return EncodedPerson(
            encoded,
            found["turn"],
            found.get("places"),
            found.get("sure"),
            picture,
            flipped,
            [tuple(box) for box in found["people"].tolist()],
            tuple(found["box"].tolist()),
            picture.info["reduction"],
        )


@dataclass(frozen=True)
class EncodedPerson:
    """Features of one person in a photograph, and where in it the person is.

    Attributes:
        encoded: features of the person's crop, N = 1.
        turn: (3, 3) rotation from the crop's frame to the photograph's.
        places: (12, 2) pixels of the upright photograph where the joints of ``COMMON`` are, or None.
        sure: (12,) how visible each is, 0 to 1, or None.
        picture: the photograph, upright RGB.
        flipped: features of the flipped crop, N = 1, or None.
        people: boxes of all who were found; left, top, right, bottom in pixels of ``picture``.
        box: of this person: one of ``people``, or what the user's box was taken for.
        reduction: pixels of the file for one of ``picture``.
    """

    encoded: EncodedImages
    turn: Tensor
    places: Tensor | None = None
    sure: Tensor | None = None
    picture: Image | None = None
    flipped: EncodedImages | None = None
    people: Sequence[Box] = ()
    box: Box = (0.0, 0.0, 0.0, 0.0)
    reduction: int = 1

    @property
    def box_in_file(self) -> Box:
        """The person's box in pixels of the upright file."""
        left, top, right, bottom = (edge * self.reduction for edge in self.box)
        return left, top, right, bottom

    @property
    def unseen(self) -> frozenset[str]:
        """The joints of ``COMMON_JOINTS`` that lie outside the photograph, or so the encoder says."""
        if self.places is None:
            return frozenset()
        presence = self.encoded.points[0, :, 4]
        return frozenset(name for name, mark in COMMON_JOINTS.items() if presence[mark] < SEEN)

    def camera(self, pose: np.ndarray) -> PictureCamera | None:
        """The camera that puts a pose (22, 3) in the photograph's frame onto the person, or None without places."""
        if self.places is None or self.sure is None:
            return None
        joints = load_body().joints(torch.as_tensor(pose, dtype=torch.float32)).numpy()
        return fit_camera((joints - joints[0])[COMMON], self.places.numpy(), self.sure.numpy() + 1e-3)


def flip_crop(pixels: np.ndarray) -> Tensor:
    """A crop (256, 256, 3) uint8 -> (1, 256, 256, 3), left and right exchanged."""
    return torch.from_numpy(pixels[None, :, ::-1].copy())


def laid_out(features: ImageFeatures) -> EncodedImages:
    """Landmarks in units of about 1."""
    if features.landmarks is None or features.world is None:
        return EncodedImages(features.tokens, features.tokens.new_zeros(len(features.tokens), 0, NUMBERS))
    x, y, z, visibility, presence = features.landmarks.unbind(dim=-1)
    half = CROP / 2
    placed = torch.stack([x / half - 1, 1 - y / half, z / half, visibility, presence], dim=-1)
    return EncodedImages(features.tokens, torch.cat([placed, features.world], dim=-1))


def load_image_encoder(name: str) -> ImageEncoder:
    """ImageEncoder by the encoder's name: "blazepose", or a ViTPose directory or Hugging Face id.

    Raises:
        UserError: there is no encoder of that name.
    """
    return ImageEncoder(load_encoder(name))
