"""What a policy gives: answers to users, rollouts and scores to training."""

import io
from dataclasses import dataclass, field

import roma
from PIL.Image import Image
from torch import Tensor

from pose_rft.body.overlay import PictureCamera, draw_over
from pose_rft.body.pose import Pose
from pose_rft.policy.mixture import PoseDistribution
from pose_rft.policy.prompt_encoder import EncodedPrompt
from pose_rft.vision.detector import Box


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        text: the words, with ``<POSE>`` where the pose stands.
        valid: there is exactly one ``<POSE>``, so there is a pose.
        pose: the pose, or None.
        logp_text: log-likelihood of the text.
        logp_pose: log-likelihood of the pose (action space), or None without one.
        camera: of an answer about a photograph: puts the pose onto the person in it (``body.overlay.draw_over``).
        photograph: that photograph, upright RGB.
        box: of an answer about a photograph: around the person it is about; left, top, right, bottom in pixels of the
            upright file.
        note: what was assumed, what cannot be known, or what this policy cannot do, in a sentence or two; mostly empty.
    """

    text: str
    valid: bool
    pose: Pose | None
    logp_text: float
    logp_pose: float | None
    camera: PictureCamera | None = None
    photograph: Image | None = field(default=None, repr=False, compare=False)
    box: Box | None = None
    note: str = ""

    def overlay(self) -> Image | None:
        """The pose drawn over the photograph that the answer is about, or None if it is about none or has no pose."""
        if self.pose is None or self.camera is None or self.photograph is None:
            return None
        return draw_over(self.photograph, self.pose.axis_angle(), self.camera)

    def _repr_png_(self) -> bytes | None:
        """The picture that a notebook shows: the pose from two sides, or drawn over the photograph that it is about."""
        drawn = self.overlay()
        if drawn is None:
            return None if self.pose is None else self.pose._repr_png_()
        buffer = io.BytesIO()
        drawn.save(buffer, format="PNG")
        return buffer.getvalue()


@dataclass
class Rollout:
    """What a policy did: G answers to each of B prompts, K poses to each answer.

    Attributes:
        encoded_prompts: the B prompts as they were read.
        answer_ids: B lists of G token lists.
        texts: B lists of G strings.
        valid: (B, G) bool, the answer holds exactly one ``<POSE>``.
        action: (B, G, K, J, 6) sampled actions; meaningless where invalid.
        logp_text: B lists of G token log-probability lists.
        logp_pose: (B, G, K) log-likelihood of the sampled actions.
    """

    encoded_prompts: list[EncodedPrompt]
    answer_ids: list[list[list[int]]]
    texts: list[list[str]]
    valid: Tensor
    action: Tensor
    logp_text: list[list[list[float]]]
    logp_pose: Tensor


@dataclass
class Scores:
    """What a policy thinks of N answers.

    Attributes:
        logp_text: (N, T) log-probability of each target of the layout.
        pose: the N distributions; meaningless where the layout has no action.
    """

    logp_text: Tensor
    pose: PoseDistribution


def answers_of(rollout: Rollout, rotations: Tensor) -> list[list[Answer]]:
    """A rollout's answers, each with its first pose, in the frame of the photograph where there is one.

    Args:
        rotations: (B, G, 22, 3, 3) of the first poses.
    """
    rotations = rotations.cpu()
    people = [prompt.person for prompt in rollout.encoded_prompts]
    for b, person in enumerate(people):
        if person is not None:
            rotations[b, :, 0] = person.turn @ rotations[b, :, 0]
    poses = roma.rotmat_to_rotvec(rotations)
    return [
        [
            Answer(
                text=text,
                valid=valid,
                pose=Pose.from_axis_angle(poses[b, g]) if valid else None,
                logp_text=sum(rollout.logp_text[b][g]),
                logp_pose=float(rollout.logp_pose[b, g, 0]) if valid else None,
                camera=person.camera(poses[b, g].numpy()) if valid and person is not None else None,
                photograph=None if person is None else person.picture,
                box=None if person is None else person.box_in_file,
            )
            for g, (text, valid) in enumerate(zip(rollout.texts[b], rollout.valid[b].tolist(), strict=True))
        ]
        for b, person in enumerate(people)
    ]
