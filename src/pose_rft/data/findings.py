"""What is in one's own data: how much of which task and split, how long, and every line that is broken."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from rich.progress import track

from pose_rft.body import load_body
from pose_rft.body.render import contact_sheet, render, wrapped
from pose_rft.data.readers.own_data import open_own_data
from pose_rft.data.readers.pairs import FIELDS, SPLITS
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.posescript.checks import satisfied
from pose_rft.terminal import errors
from pose_rft.vision.images import read_image
from pose_rft.vision.people import find_people

SHOWN = 12  # samples of a picture
SOME = 1_000  # lines of a published data set that are read
SIDE = 240  # pixels of a picture's halves
NONE = "none"  # the name of what has no split


@dataclass
class Findings:
    """What ``look_through`` found.

    Attributes:
        lines: all of them, broken ones too.
        read: those that were read; of one's own data all.
        tasks: task and split -> samples.
        words: of prompts and of answers, a number for each that has any.
        posed, pictured: samples with a pose, with an image.
        nobody: places of lines in whose photograph no person is found, and that give no box around one.
        unmet: places of lines whose pose does not do all that their checks say.
        unanswered: samples with neither answer nor pose.
        unread: fields that nothing reads -> lines.
        broken: a line for each broken one: where, which field, what is wrong, what to do.
        shown: some samples, evenly spread.
    """

    lines: int
    read: int
    tasks: Counter[tuple[str, str]] = field(default_factory=Counter)
    words: dict[str, list[int]] = field(default_factory=lambda: {"prompt": [], "answer": []})
    posed: int = 0
    pictured: int = 0
    nobody: list[str] = field(default_factory=list)
    unmet: list[str] = field(default_factory=list)
    unanswered: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    shown: list[Sample] = field(default_factory=list)


def look_through(source: str | Path, name: str | None = None) -> Findings:
    """Read all of a source, every photograph too, with a progress bar; of a published data set ``SOME`` lines.

    Args:
        source: as for ``open_own_data``.
        name: of a published data set, of which the source is the folder.

    Raises:
        UserError: nothing of that name can be read. What is wrong with single lines is among the findings.
    """
    data = open_own_data(source, "all", name)
    to_read = range(len(data)) if name is None else _evenly(len(data), SOME)
    found, people = Findings(len(data), len(to_read)), dict[Path, bool]()
    to_show = {to_read[row] for row in _evenly(len(to_read), SHOWN)}
    for row in track(to_read, "Reading lines", console=errors, transient=True):
        try:
            sample = data.sample(row)
            if not (_shows_somebody(sample, people) or sample.box):
                found.nobody.append(sample.source)
        except UserError as error:
            found.broken.append(str(error))
            continue
        split = data.records.splits[row]
        if name is None:
            found.unread.update(name for name in data.records.record(row) if name not in FIELDS)
        _note(found, sample, SPLITS[split] if split >= 0 else NONE)
        if row in to_show:
            found.shown.append(sample)
    return found


def _evenly(size: int, count: int) -> list[int]:
    """At most ``count`` of the numbers below ``size``, the first and the last among them."""
    return np.unique(np.linspace(0, size - 1, min(count, size)).astype(int)).tolist()


def _shows_somebody(sample: Sample, known: dict[Path, bool]) -> bool:
    """Whether a person is found in the photograph of a sample, if it has one; a file is read only once."""
    if sample.image is None:
        return True
    if isinstance(sample.image, Path) and sample.image in known:
        return known[sample.image]
    try:
        found = bool(find_people(read_image(sample.image)))  # type: ignore[arg-type]
    except UserError as error:
        raise UserError(f"{sample.source}: image: {error}") from error
    if isinstance(sample.image, Path):
        known[sample.image] = found
    return found


def _note(found: Findings, sample: Sample, split: str) -> None:
    found.tasks[sample.task, split] += 1
    for name, text in (("prompt", sample.prompt), ("answer", sample.answer)):
        found.words[name] += [len(text.split())] if text else []
    found.posed += sample.pose is not None
    found.pictured += sample.image is not None
    found.unanswered += not sample.answer
    if sample.pose is not None and sample.checks:
        points = load_body().points(torch.from_numpy(sample.pose)[None])
        if not satisfied(sample.checks, points).all():
            found.unmet.append(sample.source)


def sheet(samples: Sequence[Sample]) -> Image.Image:
    """A picture of samples: photograph or words on the left, the pose from the front on the right, the prompt below.

    Args:
        samples: at least one, of one's own data.
    """
    return contact_sheet([_pair(sample) for sample in samples], [sample.prompt for sample in samples], columns=3)


def _pair(sample: Sample) -> Image.Image:
    pair = Image.new("RGB", (2 * SIDE, SIDE), "white")
    if sample.image is not None:
        photograph = ImageOps.contain(read_image(sample.image), (SIDE, SIDE))  # type: ignore[arg-type]
        pair.paste(photograph, ((SIDE - photograph.width) // 2, (SIDE - photograph.height) // 2))
    elif sample.pose is not None:
        pair.paste(Image.fromarray(render(sample.pose[None], SIDE, view="side")[0]), (0, 0))
    if sample.pose is not None:
        pair.paste(Image.fromarray(render(sample.pose[None], SIDE, view="front")[0]), (SIDE, 0))
    else:
        font = ImageFont.load_default(size=13)
        words = wrapped(sample.answer or "no answer: a prompt alone", font, SIDE - 16)
        ImageDraw.Draw(pair).multiline_text((SIDE + 8, 8), words, fill=(40, 44, 52), font=font)
    return pair
