"""Writing a policy's answers to a directory."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pose_rft.body.pose import USUAL, FileOptions
from pose_rft.body.render import write_png
from pose_rft.policy import Answer
from pose_rft.storage import ensure_directory, move_files

FORMATS = ("npz", "glb", "bvh", "png")


def write_answers(
    directory: Path, prompt: str, answers: Sequence[Answer], options: FileOptions = USUAL
) -> list[dict[str, Any]]:
    """Write ``answers.jsonl`` and, for every answer with a pose, ``pose_00.npz`` (AMASS), ``.glb``, ``.bvh``, ``.png``.

    ``pose_00_overlay.png`` shows the body drawn over the photograph that an answer is about.

    Returns:
        What the lines of ``answers.jsonl`` hold: prompt, text, valid, logp, box, note and file names.

    Raises:
        UserError: the directory cannot be written; earlier files stay.
    """
    ensure_directory(directory)
    with tempfile.TemporaryDirectory(prefix=".answers-", dir=directory) as part:
        lines = _write(Path(part), prompt, answers, options)
        move_files(Path(part), directory)
    return lines


def _write(directory: Path, prompt: str, answers: Sequence[Answer], options: FileOptions) -> list[dict[str, Any]]:
    lines = []
    for index, answer in enumerate(answers):
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
                "prompt": prompt,
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
