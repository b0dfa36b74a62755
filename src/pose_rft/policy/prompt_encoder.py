"""From what a user says, and the image that it is about, to what a policy reads."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL.Image import Image, fromarray
from torch import Tensor

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.policy.backbone import Backbone
from pose_rft.policy.image_branch import ImageBranch
from pose_rft.policy.pose_branch import READ_BY_NOBODY, PoseBranch, check_placeholders
from pose_rft.policy.prompt_tokens import PromptTokens
from pose_rft.vision.crops import Crop
from pose_rft.vision.detector import Box
from pose_rft.vision.encoded_images import EncodedImages
from pose_rft.vision.image_encoder import EncodedPerson
from pose_rft.vision.images import Picture, read_image


def read_prompt(text: str) -> str:
    """What a user typed, as the policy reads it.

    Halves of a character become the character, or a sign for an unknown one where the other half is missing. A prompt
    all in capitals is read in lower case: the policy learned from people who do not shout.
    """
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.lower() if whole.isupper() and sum(map(str.isalpha, whole)) > 1 else whole


@dataclass(frozen=True)
class PromptInput:
    """What a user says.

    Attributes:
        prompt: the words.
        image: what they are about: what ``read_image`` takes, a ``Crop`` around one person, its features, or None.
        box: of a photograph: left, top, right, bottom around the person who is meant, in pixels of the file.
        poses: (22, 3) axis-angle radians each: what the ``<input_pose>`` in the words stand for, in order. Without any
            they are words like others.

    Raises:
        UserError: not as many poses as places for them.
    """

    prompt: str
    image: Picture | Crop | EncodedImages | None = None
    box: Box | None = None
    poses: tuple[np.ndarray, ...] = ()

    def __post_init__(self) -> None:
        check_placeholders(self.prompt, len(self.poses))


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt with the features of its image and the poses that it is about.

    Attributes:
        tokens: as the language model reads it.
        encoded: features of its image by the pose-aware encoder, of N = 1, or None.
        flipped: the same of the flipped image, or None.
        person: of a photograph: who was encoded and where in it, or None.
        num_projected: how many of the tokens are the encoder's, to be embedded.
        memory_end: how many of the tokens the pose head may attend to, or None for all and the answer's. Of a picture
            that the encoder reads, it attends to the encoder's features and to the words before: hidden states behind
            would say the same again, and change whenever the projector does.
        poses: (P, 22, 3) axis-angle radians that are given with it, or None.
    """

    tokens: PromptTokens
    encoded: EncodedImages | None = None
    flipped: EncodedImages | None = None
    person: EncodedPerson | None = None
    num_projected: int = 0
    memory_end: int | None = None
    poses: Tensor | None = None

    @property
    def is_plain_text(self) -> bool:
        """Whether it is tokens and nothing else: no image, no pose, and positions that are counted."""
        others = (self.encoded, self.poses, self.tokens.vision, self.tokens.positions)
        return all(other is None for other in others)


def encode_prompt(
    prompt: str | PromptInput | Sample,
    backbone: Backbone,
    branch: ImageBranch | None,
    pose_branch: PoseBranch | None = None,
    with_attributes: bool = True,
    flip: bool = False,
) -> EncodedPrompt:
    """Tokens and features of a prompt.

    Args:
        branch: reads images with a pose-aware encoder; None leaves them to the language model's own vision.
        pose_branch: reads poses.
        with_attributes: say what holds of the person in the picture, in ``ImageMode.ATTRIBUTES``.
        flip: encode the flipped picture as well; not of features without their picture.

    Raises:
        UserError: an image for a policy that answers texts only, an unreadable image, or nobody in it; poses for a
            policy that reads none, or not as many as the prompt has places for.
    """
    if isinstance(prompt, str):
        return EncodedPrompt(backbone.encode_prompt(prompt))
    words, image, box = prompt.prompt, prompt.image, prompt.box
    poses = _given_poses(prompt, pose_branch)
    room = pose_branch.tokens if pose_branch is not None and poses is not None else 0
    if box is not None and (image is None or branch is None):
        raise UserError("box: goes with a photograph, for a policy with a pose-aware encoder")
    if image is None:
        return EncodedPrompt(backbone.encode_prompt(words, pose_tokens=room), poses=poses)
    if branch is None:
        if not backbone.has_vision:
            raise UserError("images: this policy answers texts only; choose one with an encoder or a vision tower")
        return EncodedPrompt(backbone.encode_prompt(words, _picture(image), pose_tokens=room), poses=poses)
    encoded, flipped, person = branch.encode(image, words, flip, box)
    text = branch.attribute_text(words, encoded, flipped) if with_attributes else ""
    picture = _picture(image) if backbone.has_vision and not isinstance(image, EncodedImages) else None
    tokens = backbone.encode_prompt(words, picture, branch.num_projected, text, room)
    memory_end = tokens.insert_at if branch.has_head else None
    return EncodedPrompt(tokens, encoded, flipped, person, branch.num_projected, memory_end, poses)


def _given_poses(prompt: PromptInput | Sample, pose_branch: PoseBranch | None) -> Tensor | None:
    if not prompt.poses:
        return None
    if pose_branch is None:
        raise UserError(READ_BY_NOBODY)
    check_placeholders(prompt.prompt, len(prompt.poses))
    return torch.from_numpy(np.stack(prompt.poses).astype(np.float32)).to(pose_branch.order.device)


def _picture(image: object) -> Image:
    """RGB, of a file, a picture or what was cut out of one."""
    return fromarray(image.pixels) if isinstance(image, Crop) else read_image(image)  # type: ignore[arg-type]
