"""What a policy is asked on the command line, and writing its answers to a directory."""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

from pose_rft.body.pose import USUAL, FileOptions, Pose
from pose_rft.body.pose_files import Up, read_poses
from pose_rft.body.render import render_answers, write_png
from pose_rft.errors import UserError, reason_of
from pose_rft.evaluation.picture_benchmark import QUESTION
from pose_rft.policy import Answer, PosePolicy, PromptInput
from pose_rft.storage import ensure_directory, move_files
from pose_rft.vision.detector import Box
from pose_rft.vision.people import boxes_of_people, read_box

FORMATS = ("npz", "glb", "bvh", "png")
PICTURES = {  # taken from a folder
    ".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".heic", ".heif", ".avif",
}  # fmt: skip
AT_ONCE = 8  # inputs that are answered together: photographs take room


def read_inputs(
    text: str | None,
    prompts: Path | None,
    images: Sequence[Path],
    box: str | None = None,
    everybody: bool = False,
    poses: Sequence[str] = (),
) -> list[PromptInput]:
    """Every prompt about every photograph; photographs alone are asked for the pose.

    Args:
        prompts: a file with a prompt on each line, instead of the text.
        images: photographs, or folders of them.
        box: around the person who is meant in the one photograph, "left,top,right,bottom".
        everybody: ask about each person who is found in a photograph.
        poses: places of the poses that ``<input_pose>`` in every prompt stand for, as for ``read_pose_row``.

    Raises:
        UserError: nothing to ask, text and file, an unreadable file, a missing picture, a folder without any, or a box
            or people without a photograph, or a box for several; or as ``read_pose_row`` and ``PromptInput``.
    """
    if text is not None and prompts is not None:
        raise UserError("generate: give a text or --prompts, not both")
    if not images and (box or everybody):
        raise UserError("--box, --people: go with a photograph; give --image too")
    if box and everybody:
        raise UserError("--box and --people all: give one of them")
    if text is None and prompts is None and not images:
        raise UserError("generate: nothing to answer; give a text, --prompts FILE or --image FILE")
    texts = [QUESTION if text is None else text] if prompts is None else _lines(prompts)
    given = read_box(box) if box else None
    pictures = [picture for image in images for picture in _pictures(image)]
    if box and len(pictures) > 1:
        raise UserError("--box: goes with one photograph; give --people all for several")
    shown: list[tuple[Path | None, Box | None]] = [
        (picture, each) for picture in pictures for each in (boxes_of_people(picture) if everybody else [given])
    ]
    about = tuple(read_pose_row(place).axis_angle() for place in poses)
    return [PromptInput(prompt, picture, each, about) for picture, each in shown or [(None, None)] for prompt in texts]


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
    policy: PosePolicy,
    inputs: Sequence[PromptInput],
    num_samples: int,
    temperature: float,
    seed: int,
    best_of: int | None = None,
    words: bool = True,
    settle: bool = True,
) -> Iterator[tuple[PromptInput, list[Answer]]]:
    """Answer prompts in their order, each as it would be answered alone.

    Raises:
        UserError: as ``PosePolicy.generate`` does.
    """
    for start in range(0, len(inputs), AT_ONCE):
        some = inputs[start : start + AT_ONCE]
        groups = policy.generate(
            [each.prompt for each in some],
            [each.image for each in some],  # type: ignore[misc]
            num_samples,
            temperature,
            [seed] * len(some),
            boxes=[each.box for each in some],
            best_of=best_of,
            words=words,
            settle=settle,
            poses=[each.poses for each in some],
        )
        yield from zip(some, groups, strict=True)


def write_answers(
    directory: Path, answered: Iterable[tuple[PromptInput, Sequence[Answer]]], options: FileOptions = USUAL
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


def read_pose_row(place: str, up: Up | None = None) -> Pose:
    """The pose at ``FILE.npz#ROW``, or the first of ``FILE.npz``.

    Raises:
        UserError: the file cannot be read or has no such row.
    """
    file, _, row = place.rpartition("#") if re.search(r"#\d+$", place) else (place, "", "0")
    poses = read_poses(file, up).pose
    if int(row) >= len(poses):
        raise UserError(f"{file}: has {len(poses)} poses, so no row {row}; rows count from 0")
    return Pose.from_axis_angle(poses[int(row)])


def write_edit(
    directory: Path, given: Pose, instruction: str, answers: Sequence[Answer], options: FileOptions = USUAL
) -> list[dict[str, Any]]:
    """``write_answers`` of the answers to an order, and ``before_after.png``: the given pose and those it became.

    Raises:
        UserError: as ``write_answers`` does.
    """
    lines = write_answers(directory, [(PromptInput(instruction), answers)], options)
    after = [answer.pose for answer in answers if answer.pose is not None]
    shown = [given.axis_angle(), *(pose.axis_angle() for pose in after)]
    captions = ["before", *[shorten(instruction, 80, placeholder=" ...")] * len(after)]
    write_png(directory / "before_after.png", render_answers(shown, captions))
    return lines


def _write(
    directory: Path, answered: Iterable[tuple[PromptInput, Sequence[Answer]]], options: FileOptions
) -> list[dict[str, Any]]:
    lines = []
    for index, (asked, answer) in enumerate((asked, answer) for asked, group in answered for answer in group):
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
                "prompt": asked.prompt,
                **({} if asked.image is None else {"image": str(asked.image)}),
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
