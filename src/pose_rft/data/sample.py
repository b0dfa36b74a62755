"""One sample schema for every dataset, task and stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL.Image import Image

from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.data.rendering.renders import RenderSpec
from pose_rft.errors import UserError
from pose_rft.vision.crops import Crop
from pose_rft.vision.detector import Box
from pose_rft.vision.encoded_images import EncodedImages

POSE_TOKEN = "<POSE>"  # stands in an answer where the pose belongs
INPUT_POSE = "<input_pose>"  # stands in a prompt for a pose that is given with it
SHORT_ANSWER = "The SMPL pose of this person is <POSE>."  # says nothing but that there is one
OUTLINED_ANSWER = "{}: <POSE>."  # says what the body does, then shows it
TASKS = (
    "text_to_pose", "image_to_pose", "image_text_to_pose", "pose_question", "image_question", "chat",
    "edit_pose", "complete_pose", "describe_pose", "compare_poses", "correct_pose",
)  # fmt: skip
Picture = str | Path | Image | RenderSpec | Crop | EncodedImages


@dataclass(frozen=True, slots=True)
class PicturedPerson:
    """What is true of the person whom a prompt with a picture is about, also where it is not asked for.

    The frame is that of the sample's image: x to the right, y up, z towards the viewer; of a drawn picture the
    camera's, of a crop, encoded or not, the crop's.

    Attributes:
        index: of several people, which from the left, counted from 0.
        pose: (22, 3) axis-angle radians.
        up: (3,) away from the ground.
    """

    index: int
    pose: np.ndarray
    up: np.ndarray


@dataclass(frozen=True, slots=True)
class QuestionTruth:
    """The right answer to a prompt that is a question about a pose.

    Attributes:
        topic: what it asks about: a posecode's id, the name of a comparison, or ``description``.
        truth: ``yes``, ``no``, ``left``, ``right``, ``both`` or ``neither``; empty for a description.
    """

    topic: str
    truth: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One training or evaluation example.

    Attributes:
        prompt: what the user says.
        answer: what the model should say; holds ``<POSE>`` where a pose is asked for.
        pose: (22, 3) axis-angle radians in SMPL order (``global_orient`` first), or None for plain language.
        image: a path, a PIL image, a picture still to be drawn, the crop of a person, its features, or None.
        task: one of ``TASKS``.
        checks: geometric statements that the prompt makes about the pose, in the language of
            ``pose_rft.posescript.checks``; a pose that fulfils them all does what the prompt says.
        source: which reader or generator made it, and from which recording (for splits by sequence).
        person: what is true of the person in a drawn picture, or None.
        question: of a question about a pose its truth, or None.
        category: of a benchmark's prompt, or empty.
        box: of a photograph: left, top, right, bottom around the person who is meant, in pixels of the upright file.
        betas: (10,) shape of the person in a body model of the SMPL family, or None: for evaluation by a protocol.
        gender: of that model: ``male``, ``female`` or ``neutral``; empty where nobody says.
        poses: given with the prompt, (22, 3) axis-angle radians each: what its ``<input_pose>`` stand for, in order.
        changes: what the prompt says of the way from the first given pose to the answer's, in the language of
            ``pose_rft.posescript.edits.comparisons``.
    """

    prompt: str
    answer: str
    pose: np.ndarray | None = None
    image: Picture | None = None
    task: str = "text_to_pose"
    checks: tuple[str, ...] = ()
    source: str = ""
    person: PicturedPerson | None = None
    question: QuestionTruth | None = None
    category: str = ""
    box: Box | None = None
    betas: np.ndarray | None = None
    gender: str = ""
    poses: tuple[np.ndarray, ...] = ()
    changes: tuple[str, ...] = ()


def sample_name(sample: Sample) -> str:
    """What to call a sample in a message."""
    return f"prompt {sample.prompt[:80]!r}" + (f" from {sample.source}" if sample.source else "")


def check_poses(samples: Sequence[Sample]) -> None:
    """Find out before training, not in it, whether samples hold poses that cannot be learned.

    Raises:
        UserError: a pose of another shape, or with values that are not finite; it names the sample.
    """
    for sample in samples:
        shown = [] if sample.person is None else [sample.person.pose]
        for pose in (sample.pose, *shown, *sample.poses):
            if pose is not None and (pose.shape != (NUM_JOINTS, 3) or not np.isfinite(pose).all()):
                wrong = f"has shape {pose.shape}" if pose.shape != (NUM_JOINTS, 3) else "holds NaN or infinity"
                raise UserError(f"data: the pose of {sample_name(sample)} {wrong}; mend it or leave the sample out")
