"""From a photograph to the features of the one person in it who is meant."""

from dataclasses import dataclass

import torch
from PIL import Image

from pose_rft.errors import UserError
from pose_rft.vision.crops import Crop, crop
from pose_rft.vision.detector import Box
from pose_rft.vision.encoder import ImageFeatures, PoseEncoder
from pose_rft.vision.images import Picture, picture_name, read_image
from pose_rft.vision.people import Person, choose_person, find_people, refined


@dataclass(frozen=True)
class DetectedPerson:
    """A photograph and the person in it who is meant.

    Attributes:
        image: the photograph as read, upright RGB; `person` and `crop` are in its pixels.
        people: all who were found, the surest first.
        person: who was chosen: one of them, or somebody at the box that the user gave.
        crop: the person upright in a square; ``crop.turn`` and ``crop.to_picture`` lead back to the photograph.
        features: what the encoder says of the crop, N = 1, on the encoder's device.
    """

    image: Image.Image
    people: list[Person]
    person: Person
    crop: Crop
    features: ImageFeatures


def detect_person(
    image: Picture,
    encoder: PoseEncoder,
    prompt: str | None = None,
    box: Box | None = None,
) -> DetectedPerson:
    """Read a photograph, choose one of its people and encode them.

    Args:
        image: a file, or a picture that is already open.
        encoder: from `load_encoder`.
        prompt: may say which person: "the woman on the left", "the second person from the right".
        box: left, top, right, bottom around the person, in pixels of the upright photograph at its full size.

    Raises:
        UserError: the picture cannot be read, nobody is found in it and no box is given, or the box lies outside.
    """
    picture = read_image(image)
    name = picture_name(image)
    if box is not None:
        left, top, right, bottom = (edge / picture.info["reduction"] for edge in box)
        if left >= picture.width or top >= picture.height or right <= 0 or bottom <= 0:
            raise UserError(f"{name}: box {box} lies outside the picture; give left, top, right, bottom in its pixels")
        box = (left, top, right, bottom)
    people = find_people(picture)
    try:
        person = choose_person(people, prompt, box)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    if person not in people:  # the box itself
        person = refined(picture, person)
    cut = crop(picture, person.circle)
    device = next(encoder.parameters()).device
    features = encoder.encode(torch.from_numpy(cut.pixels.copy())[None].to(device))
    return DetectedPerson(picture, people, person, cut, features)
