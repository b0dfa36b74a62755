"""Pictures while a policy trains: its mean poses for the same prompts, again and again, a row each in one PNG.

Drawing neither takes from the random states that training draws from nor changes a weight, so that a run with pictures
ends with the weights of one without. The picture is its own memory: a resumed run takes the rows from it that the
interrupted one had drawn up to the checkpoint.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import nn
from transformers import TrainerCallback

from pose_rft.body.render import render, wrapped
from pose_rft.config import NonNegativeInt, validate
from pose_rft.errors import UserError
from pose_rft.policy import Answer, PosePolicy
from pose_rft.storage import atomic_file

TIMELINE_FILE = "pose_timeline.png"
PROMPTS = (
    "a boxer throwing a left jab",
    "someone waving hello",
    "Both arms are raised above the head and the left knee is bent.",
    "someone sitting cross-legged on the floor",
)
CELL, GAP, LABEL, TEXT = 192, 4, 76, 13  # pixels: a pose's side, between two, the width of a row's label, the type
INK, QUIET = (40, 44, 52), (130, 138, 148)
CONTENT_KEY = "pose-rft pose timeline"  # of the text in the PNG that says which prompts and steps it shows


@dataclass(frozen=True)
class PoseTimelineConfig:
    """Pictures while it trains: ``pose_timeline.png`` in ``output_dir``, a row for a moment, a column for a prompt.

    Attributes:
        every: steps between rows; the start and the end of a phase have theirs too. 0 draws nothing.
        prompts: what the policy is asked each time; it answers with its mean pose.
    """

    every: NonNegativeInt = 50
    prompts: Sequence[str] = PROMPTS

    def __post_init__(self) -> None:
        validate(self)
        if not self.prompts or not all(isinstance(prompt, str) and prompt.strip() for prompt in self.prompts):
            raise UserError("prompts: give at least one text, and none that is empty; every: 0 draws nothing")


class PoseTimeline(TrainerCallback):
    """Draws the rows of one phase of training.

    Args:
        policy: what answers; the phase may train it inside another module.
        config: when, and which prompts.
        path: the PNG; it is replaced whole with each row.
        before: steps of the phases before this one.
        updates: of the optimiser in one step.
    """

    def __init__(
        self, policy: PosePolicy, config: PoseTimelineConfig, path: Path, before: int = 0, updates: int = 1
    ) -> None:
        self.policy, self.config, self.path, self.before, self.updates = policy, config, path, before, updates
        self.rows: dict[int, Image.Image] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            earlier = read_timeline(self.path, self.config.prompts)
            self.rows = {step: row for step, row in earlier.items() if step <= self._step(state)}
        if state.global_step == 0:
            self._draw(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.updates == 0 and self._step(state) % self.config.every == 0:
            self._draw(state)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._step(state) % self.config.every:
            self._draw(state)

    def _step(self, state: Any) -> int:
        return self.before + state.global_step // self.updates

    def _draw(self, state: Any) -> None:
        answers = mean_answers(self.policy, self.config.prompts)  # in every process: they may hold the model together
        if state.is_world_process_zero:
            self.rows[self._step(state)] = draw_row(answers)
            write_timeline(self.path, self.config.prompts, self.rows)


def mean_answers(policy: PosePolicy, prompts: Sequence[str]) -> list[Answer]:
    """What a policy in training answers at temperature 0; it is left as it was."""
    with _not_training(policy):
        try:
            return [group[0] for group in policy.generate(prompts, temperature=0.0)]
        except UserError as error:  # the prompts are good: see PoseTimelineConfig
            raise FloatingPointError(f"the poses of the pose timeline cannot be drawn ({error})") from error


def draw_row(answers: Sequence[Answer]) -> Image.Image:
    """The poses of answers, side by side; an answer without a pose leaves its words there."""
    row = Image.new("RGB", (_width(len(answers)) - LABEL, CELL), "white")
    draw, font = ImageDraw.Draw(row), ImageFont.load_default(size=TEXT)
    poses = [answer.pose.axis_angle() for answer in answers if answer.pose is not None]
    pictures = iter(render(np.stack(poses), CELL) if poses else [])
    for index, answer in enumerate(answers):
        left = index * (CELL + GAP)
        if answer.pose is not None:
            row.paste(Image.fromarray(next(pictures)), (left, 0))
        else:
            words = wrapped(f"no pose: {answer.text}"[:160], font, CELL - 16)
            draw.multiline_text((left + 8, 8), words, fill=QUIET, font=font)
    return row


def write_timeline(path: Path, prompts: Sequence[str], rows: Mapping[int, Image.Image]) -> None:
    """Write rows (step -> picture) under their prompts, whole or not at all.

    Raises:
        UserError: the place cannot be written.
    """
    font = ImageFont.load_default(size=TEXT)
    top = _header_height(prompts)
    sheet = Image.new("RGB", (_width(len(prompts)), top + len(rows) * (CELL + GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, prompt in enumerate(prompts):
        place = (LABEL + column * (CELL + GAP) + 8, 8)
        draw.multiline_text(place, wrapped(prompt, font, CELL - 16), fill=INK, font=font)
    for index, step in enumerate(sorted(rows)):
        y = top + index * (CELL + GAP)
        draw.text((8, y + CELL // 2 - TEXT), f"step\n{step:,}", fill=INK, font=font)
        sheet.paste(rows[step], (LABEL, y))
    content = PngInfo()
    content.add_text(CONTENT_KEY, json.dumps({"prompts": list(prompts), "steps": sorted(rows)}))
    with atomic_file(path) as part:
        sheet.save(part, format="PNG", pnginfo=content)


def read_timeline(path: Path, prompts: Sequence[str]) -> dict[int, Image.Image]:
    """The rows of a picture that ``write_timeline`` wrote for the same prompts; none of any other file."""
    try:
        with Image.open(path) as sheet:
            content = json.loads(sheet.info[CONTENT_KEY])
            picture = sheet.convert("RGB")
        steps, asked = content["steps"], content["prompts"]
    except Exception:  # no picture, another one, or one that is damaged in any way: begin anew
        return {}
    top = _header_height(prompts)
    if asked != list(prompts) or picture.size != (_width(len(prompts)), top + len(steps) * (CELL + GAP)):
        return {}
    places = [top + index * (CELL + GAP) for index in range(len(steps))]
    return {step: picture.crop((LABEL, y, picture.width, y + CELL)) for step, y in zip(steps, places, strict=True)}


def _width(prompts: int) -> int:
    return LABEL + prompts * (CELL + GAP) - GAP


def _header_height(prompts: Sequence[str]) -> int:
    font = ImageFont.load_default(size=TEXT)
    lines = max(wrapped(prompt, font, CELL - 16).count("\n") + 1 for prompt in prompts)
    return 16 + lines * (TEXT + 5)


@contextmanager
def _not_training(module: nn.Module) -> Iterator[None]:
    """Without dropout inside the block; afterwards each part is in the mode that it was in."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
