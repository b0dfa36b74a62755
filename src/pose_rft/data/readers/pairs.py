"""What a line of one's own data says: a prompt and what should be answered, as a ``Sample``.

The same fields are read from JSON Lines, Parquet and Hugging Face datasets (docs/your_data.md). A field that is null is
a field that is not there; fields of other names are left alone.
"""

import io
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from pose_rft.body.model import NUM_BETAS
from pose_rft.body.pose_files import read_pose_file
from pose_rft.body.skeleton import JOINT_NAMES, NUM_JOINTS
from pose_rft.data.sample import POSE_TOKEN, SHORT_ANSWER, Sample
from pose_rft.errors import UserError
from pose_rft.posescript.checks import compile_check
from pose_rft.vision.detector import Box

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
OTHER_NAMES: dict[str, Split] = {"validation": "dev", "val": "dev"}
NO_SPLIT, WRONG_SPLIT = -1, -2
GENDERS = ("male", "female", "neutral")
FIELDS = (
    "prompt", "answer", "pose", "betas", "gender", "image", "box", "checks", "split", "messages", "conversations",
)  # fmt: skip
ROLES = {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}
IMAGE_MARK = re.compile(r"\s*<image>\s*")  # where LLaVA's conversations show the picture; a policy has a place for it
POSE_FILES = 16  # kept in memory, so that neighbouring lines need not read theirs again
WHOLE_TURN = 2 * np.pi  # radians; no joint has to turn further, but a pelvis may have gone around a few times
PELVIS_TURNS = 4


class Turn(NamedTuple):
    """What a conversation can be asked to learn: an answer, None where it ends with the user, and all before it."""

    prompt: str
    answer: str | None


def sample_of(record: Mapping[str, Any], folder: Path, turn: int = 0) -> Sample:
    """The sample of a line.

    Args:
        record: the fields of the line (``FIELDS``; others are left alone).
        folder: files that the line names are relative to it.
        turn: which of a conversation's answers is learned, counted around: any number is one of them.

    Returns:
        A sample whose ``task`` is ``text_to_pose`` or ``image_to_pose`` where a pose is wanted (there is one, or no
        answer), else ``chat`` or ``image_question``. A pose without an answer gets ``SHORT_ANSWER``.

    Raises:
        UserError: what is wrong, beginning with the name of the field.
    """
    given = {name: record[name] for name in FIELDS if record.get(name) is not None}
    if split_code(given.get("split")) == WRONG_SPLIT:
        raise UserError(f"split: is {_shown(given['split'])}; write {', '.join(SPLITS)}, or leave it out")
    pose = _pose(given["pose"], folder) if "pose" in given else None
    shape = _shape(given)
    image = _image(given["image"], folder) if "image" in given else None
    box = _box(given["box"]) if "box" in given else None
    checks = _checks(given.get("checks", []))
    if "messages" in given or "conversations" in given:
        turns, picture = _turns(given, folder)
        image = picture if image is None else image
        shows = [each.answer is None or POSE_TOKEN in each.answer for each in turns]
        if pose is not None and sum(shows) != 1:
            raise UserError(f"messages: {sum(shows)} answers hold {POSE_TOKEN}, where the pose belongs; one has to")
    else:
        turns = [Turn(_text(given, "prompt"), _text(given, "answer") if "answer" in given else None)]
        shows = [True]
    if box is not None and image is None:
        raise UserError("box: is around a person in an image, but the line has none; add the image, or leave box out")
    poses = [pose if own else None for own in shows]
    answers = [_answer(each.answer, own) for each, own in zip(turns, poses, strict=True)]  # all, to find what is wrong
    chosen = turn % len(turns)
    prompt, answer, pose = turns[chosen].prompt, answers[chosen], poses[chosen]
    checks = checks if shows[chosen] else ()
    wanted = pose is not None or not answer
    kinds = ("text_to_pose", "chat") if image is None else ("image_to_pose", "image_question")
    task = kinds[0] if wanted else kinds[1]
    return Sample(prompt, answer, pose, image, task, checks, box=box, **shape)


def split_code(value: Any) -> int:
    """The split that a line says it is of, as a row of ``SPLITS``, ``NO_SPLIT`` or ``WRONG_SPLIT``."""
    if value is None:
        return NO_SPLIT
    name = OTHER_NAMES.get(value, value) if isinstance(value, str) else value
    return SPLITS.index(name) if name in SPLITS else WRONG_SPLIT


def _text(given: Mapping[str, Any], field: str) -> str:
    if field not in given:
        raise UserError(f"{field}: is missing; write what the user says there, or a conversation in messages")
    if not isinstance(given[field], str) or not given[field].strip():
        raise UserError(f"{field}: must be a text that is not empty, not {_shown(given[field])}")
    return given[field]


def _answer(answer: str | None, pose: np.ndarray | None) -> str:
    """The answer that shows a pose, or none; empty where there is neither."""
    if answer is None:
        return "" if pose is None else SHORT_ANSWER
    count = answer.count(POSE_TOKEN)
    if count > 1:
        raise UserError(f"answer: holds {POSE_TOKEN} {count} times; an answer shows one pose")
    if count and pose is None:
        raise UserError(f"answer: holds {POSE_TOKEN}, but the line has no pose; add pose, or leave {POSE_TOKEN} out")
    if pose is not None and not count:
        raise UserError(
            f"answer: has no {POSE_TOKEN}, where the pose belongs; write it in, or leave the answer out for "
            f"{SHORT_ANSWER!r}"
        )
    return answer


def _checks(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise UserError(f"checks: must be a list of texts such as 'angle(left_knee) < 110', not {_shown(value)}")
    for check in value:
        try:
            compile_check(check)
        except UserError as error:
            raise UserError(f"checks: {error}") from error
        except TypeError:  # not even a text
            raise UserError(f"checks: {_shown(check)} is no text; write one such as 'angle(left_knee) < 110'") from None
    return tuple(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# ---- poses and images ----


def _pose(value: Any, folder: Path) -> np.ndarray:
    """(22, 3) float32 axis-angle, of numbers or of ``file.npz#row``."""
    if isinstance(value, str):
        return _pose_of_file(value, folder)
    try:
        pose = np.array(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"pose: must be {NUM_JOINTS} rows of 3 numbers, or a text 'file.npz#row'") from None
    if pose.shape != (NUM_JOINTS, 3):
        raise UserError(
            f"pose: has shape {pose.shape}; give {NUM_JOINTS} rows of 3 numbers, axis-angle in radians, pelvis first"
        )
    if not np.isfinite(pose).all():
        raise UserError("pose: holds NaN or infinity; mend it or leave the line out")
    turns = np.linalg.norm(pose.astype(np.float64), axis=1)
    turns[0] /= PELVIS_TURNS
    if turns.max() > WHOLE_TURN:
        joint = int(turns.argmax())
        angle = np.linalg.norm(pose[joint].astype(np.float64))
        raise UserError(f"pose: turns the {JOINT_NAMES[joint]} by {angle:.4g} radians; are they degrees? Give radians")
    return pose


def _pose_of_file(value: str, folder: Path) -> np.ndarray:
    name, mark, text = value.rpartition("#")
    name = name if mark else value
    if mark and not text.isdecimal():
        raise UserError(f"pose: {value!r} does not end with the number of a row; write {name}#0 for the first pose")
    try:
        poses = _poses_of(folder / name)
    except UserError as error:
        raise UserError(f"pose: {error}") from error
    if not mark and len(poses) > 1:
        raise UserError(f"pose: {name} holds {len(poses)} poses; say which: {name}#0 to {name}#{len(poses) - 1}")
    row = int(text) if mark else 0
    if row >= len(poses):
        raise UserError(f"pose: {name} holds {len(poses)} poses, rows 0 to {len(poses) - 1}; there is no row {row}")
    return poses[row].copy()


def _shape(given: Mapping[str, Any]) -> dict[str, Any]:
    """``betas`` and ``gender`` of the recorded body, as far as the line has them."""
    shape: dict[str, Any] = {}
    if "betas" in given:
        try:
            betas = np.array(given["betas"], dtype=np.float32)
        except (TypeError, ValueError, OverflowError):
            betas = np.zeros(0, np.float32)
        if betas.shape != (NUM_BETAS,) or not np.isfinite(betas).all():
            raise UserError(f"betas: must be {NUM_BETAS} finite numbers, not {_shown(given['betas'])}")
        shape["betas"] = betas
    if "gender" in given:
        if given["gender"] not in GENDERS:
            raise UserError(f"gender: is {_shown(given['gender'])}; write {', '.join(GENDERS)}, or leave it out")
        shape["gender"] = given["gender"]
    if shape and "pose" not in given:
        raise UserError(f"{next(iter(shape))}: is of a recorded pose, but the line has none; add the pose")
    return shape


@lru_cache(maxsize=POSE_FILES)
def _poses_of(path: Path) -> np.ndarray:
    return read_pose_file(path).pose


def _image(value: Any, folder: Path) -> Path | Image.Image:
    """A file that is there, or a picture that stands in the data itself."""
    if isinstance(value, Image.Image):
        return value
    if isinstance(value, Mapping):  # as Hugging Face stores pictures
        if value.get("bytes"):
            try:
                return Image.open(io.BytesIO(value["bytes"]))
            except Exception as error:  # readers of formats raise errors of many kinds on damaged files
                raise UserError("image: its bytes are no picture; store a JPEG or PNG") from error
        value = value.get("path")
    if not isinstance(value, str) or not value:
        raise UserError(f"image: must be the name of a file, not {_shown(value)}")
    if "://" in value and not value.startswith("file://"):
        raise UserError(f"image: {value[:80]} is an address, not a file; download it and give the file's name")
    path = folder / value.removeprefix("file://")
    if not path.is_file():
        raise UserError(f"image: no such file {path}; names are relative to the folder of the data")
    return path


def _box(value: Any) -> Box:
    """Left, top, right, bottom."""
    try:
        left, top, right, bottom = map(float, value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"box: must be left, top, right, bottom in pixels, not {_shown(value)}") from None
    if not (0 <= left < right < np.inf and 0 <= top < bottom < np.inf):
        raise UserError(f"box: must be left, top, right, bottom in pixels of the upright picture, not {_shown(value)}")
    return left, top, right, bottom


# ---- conversations ----


def _turns(given: Mapping[str, Any], folder: Path) -> tuple[list[Turn], Path | Image.Image | None]:
    """The answers of a conversation, each with all that was said before, and its picture."""
    if "prompt" in given or "answer" in given or {"messages", "conversations"} <= given.keys():
        raise UserError("messages: stands beside prompt, answer or conversations; a line is one of them")
    messages = given.get("messages", given.get("conversations"))
    if isinstance(messages, str) or not isinstance(messages, Sequence) or not len(messages):
        raise UserError("messages: must be a list of turns such as {'role': 'user', 'content': 'a squat'}")
    said = [_said(message, number, folder) for number, message in enumerate(messages)]
    images = [image for _, _, images in said for image in images]
    marks = sum(text.count("<image>") for _, text, _ in said)
    if len(images) > 1 or marks > 1:
        raise UserError("messages: show more than one picture; a line is about one")
    if (images or marks) and not ("image" in given or images):
        raise UserError("messages: show a picture, but the line has no image; add the file's name as image")
    roles = [role for role, _, _ in said]
    spoken = roles[1:] if roles[0] == "system" else roles
    if not spoken or spoken != [("user", "assistant")[number % 2] for number in range(len(spoken))]:
        raise UserError(f"messages: are of {', '.join(roles)}; user and assistant take turns, after one system at most")
    texts = [(role, IMAGE_MARK.sub(" ", text).strip()) for role, text, _ in said]
    if empty := [number for number, (_, text) in enumerate(texts) if not text]:
        raise UserError(f"messages[{empty[0]}]: says nothing; write its content")
    if spoken[-1] == "user":
        return [Turn(conversation_prompt(texts), None)], next(iter(images), None)
    places = [place for place, role in enumerate(roles) if role == "assistant"]
    return [Turn(conversation_prompt(texts[:at]), texts[at][1]) for at in places], next(iter(images), None)


def conversation_prompt(said: Sequence[tuple[str, str]]) -> str:
    """A conversation as one prompt: what the system says, then who said what; the user's words alone if that is all.

    A policy reads one turn of the user, so what came before is written into it.

    Args:
        said: pairs of a role (system, user or assistant) and a text, up to the user's last.
    """
    first = [text for role, text in said if role == "system"]
    rest = [(role, text) for role, text in said if role != "system"]
    if len(rest) == 1:
        return "\n".join([*first, rest[0][1]])
    return "\n".join([*first, *(f"{role.capitalize()}: {text}" for role, text in rest)])


def _said(message: Any, number: int, folder: Path) -> tuple[str, str, list[Any]]:
    """Who says what in a turn, and the pictures in it."""
    if not isinstance(message, Mapping):
        raise UserError(f"messages[{number}]: must be a turn such as {{'role': 'user', 'content': 'a squat'}}")
    role, content = message.get("role", message.get("from")), message.get("content", message.get("value"))
    if not isinstance(role, str) or role not in ROLES:
        raise UserError(f"messages[{number}]: its role is {_shown(role)}; there are {', '.join(ROLES)}")
    if isinstance(content, str):
        return ROLES[role], content, []
    if not isinstance(content, Sequence) or not all(isinstance(part, Mapping) for part in content):
        raise UserError(f"messages[{number}]: its content must be a text or a list of parts, not {_shown(content)}")
    texts, images = [], []
    for part in content:
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif part.get("type") == "image":
            source = next((part[key] for key in ("image", "path", "url") if part.get(key) is not None), None)
            images += [_image(source, folder)] if source is not None else []
            texts += [] if source is not None else ["<image>"]
        else:
            raise UserError(f"messages[{number}]: has a part of type {part.get('type')!r}; there are text and image")
    return ROLES[role], " ".join(texts), images
