"""What a policy is asked on the command line, and writing its answers to a directory."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pose_rft.body.pose import USUAL, FileOptions
from pose_rft.body.render import write_png
from pose_rft.errors import UserError, reason_of
from pose_rft.evaluation.picture_benchmark import QUESTION
from pose_rft.policy import Answer, PosePolicy
from pose_rft.storage import ensure_directory, move_files
from pose_rft.vision.detector import Box
from pose_rft.vision.people import boxes_of_people, read_box

FORMATS = ("npz", "glb", "bvh", "png")
PICTURES = {  # taken from a folder
    ".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".heic", ".heif", ".avif",
}  # fmt: skip
AT_ONCE = 8  # questions that are answered together: photographs take room


class Question(NamedTuple):
    """A prompt, the photograph that it is about, and the box around the person who is meant."""

    prompt: str
    image: Path | None = None
    box: Box | None = None


def read_questions(
    text: str | None,
    prompts: Path | None = None,
    images: Sequence[Path] = (),
    box: str | None = None,
    everybody: bool = False,
) -> list[Question]:
    """Every prompt about every photograph; photographs alone are asked for the pose.

    Args:
        prompts: a file with a prompt on each line, instead of the text.
        images: photographs, or folders of them.
        box: left,top,right,bottom of the person who is meant, in pixels of the one photograph.
        everybody: ask about each person who is found.

    Raises:
        UserError: nothing to ask, text and file, an unreadable file, a missing picture or a folder without any.
    """
    if text is not None and prompts is not None:
        raise UserError("generate: give a text or --prompts, not both")
    if text is None and prompts is None and not images:
        raise UserError("generate: nothing to answer; give a text, --prompts FILE or --image FILE")
    if not images and (box or everybody):
        raise UserError("--box, --people: go with a photograph; give --image too")
    if box and everybody:
        raise UserError("--box and --people all: give one of them")
    given = read_box(box) if box else None
    texts = [QUESTION if text is None else text] if prompts is None else _lines(prompts)
    pictures = [picture for image in images for picture in _pictures(image)]
    if box and len(pictures) > 1:
        raise UserError("--box: goes with one photograph; give --people all for several")
    if not pictures:
        return [Question(prompt) for prompt in texts]
    meant: dict[Path, Sequence[Box | None]] = {
        picture: boxes_of_people(picture) if everybody else [given] for picture in pictures
    }
    return [Question(prompt, picture, one) for picture in pictures for prompt in texts for one in meant[picture]]


def _lines(file: Path) -> list[str]:
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({reason_of(error)}); give UTF-8 text, one prompt a line") from error
    if not any(lines):
        raise UserError(f"{file}: holds no prompt; write one a line")
    return [line for line in lines if line]


def _pictures(image: Path) -> list[Path]:
    if not image.is_dir():
        if not image.exists():
            raise UserError(f"{image}: no such file; check the name")
        return [image]
    found = sorted(path for path in image.iterdir() if path.suffix.lower() in PICTURES)
    if not found:
        raise UserError(f"{image}: a folder without pictures ({', '.join(sorted(PICTURES))}); choose another")
    return found


def answer(
    policy: PosePolicy, questions: Sequence[Question], num_samples: int, temperature: float, seed: int
) -> Iterator[tuple[Question, list[Answer]]]:
    """Answer questions in their order, each as it would be answered alone.

    Raises:
        UserError: as ``PosePolicy.generate`` does.
    """
    for start in range(0, len(questions), AT_ONCE):
        some = questions[start : start + AT_ONCE]
        prompts, images, boxes = zip(*some, strict=True)
        groups = policy.generate(prompts, images, num_samples, temperature, [seed] * len(some), boxes=boxes)
        yield from zip(some, groups, strict=True)


def write_answers(
    directory: Path, answered: Iterable[tuple[Question, Sequence[Answer]]], options: FileOptions = USUAL
) -> list[dict[str, Any]]:
    """Write ``answers.jsonl`` and, for every answer with a pose, ``pose_00.npz`` (AMASS), ``.glb``, ``.bvh``, ``.png``.

    ``pose_00_overlay.png`` shows the body drawn over the photograph that an answer is about.

    Returns:
        What the lines of ``answers.jsonl`` hold: prompt, image if any, text, valid, logp, box, note and file names.

    Raises:
        UserError: the directory cannot be written; earlier files stay.
    """
    ensure_directory(directory)
    with tempfile.TemporaryDirectory(prefix=".answers-", dir=directory) as part:
        lines = _write(Path(part), answered, options)
        move_files(Path(part), directory)
    return lines


def _write(
    directory: Path, answered: Iterable[tuple[Question, Sequence[Answer]]], options: FileOptions
) -> list[dict[str, Any]]:
    lines = []
    for index, (question, answer) in enumerate((asked, answer) for asked, group in answered for answer in group):
        files: dict[str, str] = {}
        if answer.pose is not None:
            files = {suffix: f"pose_{index:02d}.{suffix}" for suffix in FORMATS}
            for name in files.values():
                answer.pose.save(directory / name, options)
            drawn = answer.overlay()
            if drawn is not None:
                files["overlay"] = f"pose_{index:02d}_overlay.png"
                write_png(directory / files["overlay"], drawn)
        lines.append(
            {
                "prompt": question.prompt,
                **({} if question.image is None else {"image": str(question.image)}),
                "text": answer.text,
                "valid": answer.valid,
                "logp_text": answer.logp_text,
                "logp_pose": answer.logp_pose,
                "box": None if answer.box is None else [round(edge, 1) for edge in answer.box],
                "note": answer.note,
                "files": files,
            }
        )
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (directory / "answers.jsonl").write_text(text, encoding="utf-8")
    return lines
