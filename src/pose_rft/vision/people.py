"""Finding the people in a picture and choosing the one who is meant."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image

from pose_rft.errors import UserError
from pose_rft.vision.blazepose import HIPS, TOP, BlazePose
from pose_rft.vision.crops import Circle, crop
from pose_rft.vision.detector import SIDE, Box, detect, overlap
from pose_rft.vision.images import Picture, picture_name, read_image

NOBODY = "give the box around one (left, top, right, bottom in pixels)"
MIN_PRESENCE = 0.95  # of the landmark network where the detector proposes somebody; what is nobody rarely reaches it
SMALL = 0.5  # people whose circle is less than this share of the picture's longer side are searched for a second time
SAME_PLACE = 0.25  # two circles whose centres are nearer than this share of the radius are one person's


@dataclass(frozen=True)
class Person:
    """Somebody in a picture. Pixels, see `pose_rft.vision.crops`.

    Attributes:
        box: left, top, right, bottom of the body, hidden parts included; it may reach beyond the picture.
        score: how sure the detector is, 0 to 1; 1 for a box that the user gives.
        circle: what `crop` cuts out.
    """

    box: Box
    score: float
    circle: Circle


def find_people(image: Image.Image) -> list[Person]:
    """Everybody in an RGB picture, the surest first; an empty list if nobody is found.

    The landmark network checks every place that the detector proposes, rejects what is no person and gives the circle
    more exactly. The detector gets the whole picture; if all whom it finds there are small, overlapping squares too.
    """
    people = _confirmed(image, detect(image, [(0, 0, *image.size)]))
    if any(2 * person.circle.radius > SMALL * max(image.size) for person in people):
        return people
    return _each_once(people + _confirmed(image, detect(image, _squares(*image.size))))


def boxes_of_people(image: Picture) -> list[Box]:
    """Boxes of everybody in a photograph, from left to right, in pixels of the upright file.

    Raises:
        UserError: an unreadable photograph, or nobody in it.
    """
    picture = read_image(image)
    people = sorted(find_people(picture), key=lambda person: person.circle.centre[0])
    if not people:
        raise UserError(
            f"{picture_name(image)}: no person found; give the box around one (left, top, right, bottom in pixels)"
        )
    scale = picture.info["reduction"]
    return [
        (left * scale, top * scale, right * scale, bottom * scale)
        for left, top, right, bottom in (person.box for person in people)
    ]


def refined(image: Image.Image, person: Person) -> Person:
    """A person where a user says, with the box and circle that the landmark network gives there, if it finds one."""
    return next(iter(_confirmed(image, [(person.score, person.circle)])), person)


def _squares(width: int, height: int) -> list[Box]:
    """Overlapping squares that cover a picture: two along its shorter side, more along the longer one."""
    side = max(0.65 * min(width, height), SIDE)
    lefts, tops = (_starts(length, side) for length in (width, height))
    return [(x, y, min(x + side, width), min(y + side, height)) for y in tops for x in lefts]


def _starts(length: float, side: float) -> list[float]:
    steps = math.ceil(max(length - side, 0) / (0.6 * side))
    return np.linspace(0, max(length - side, 0), steps + 1).tolist()


def _confirmed(image: Image.Image, found: Sequence[tuple[float, Circle]]) -> list[Person]:
    if not found:
        return []
    crops = [crop(image, circle) for _, circle in found]
    features = _landmark_network().encode(torch.from_numpy(np.stack([c.pixels for c in crops])))
    assert features.landmarks is not None
    assert features.presence is not None
    people = []
    for (score, _), cut, landmarks, presence in zip(found, crops, features.landmarks, features.presence, strict=True):
        if presence > MIN_PRESENCE:
            points = cut.to_picture(landmarks[:, :2].double().numpy())
            circle = Circle.through(points[HIPS], points[TOP])
            body, flesh = points[:HIPS], 0.1 * circle.radius  # landmarks lie inside the body
            (left, top), (right, bottom) = (body.min(0) - flesh).tolist(), (body.max(0) + flesh).tolist()
            people.append(Person((left, top, right, bottom), score, circle))
    return _each_once(people)


@lru_cache(maxsize=1)
def _landmark_network() -> BlazePose:
    return BlazePose()


def _each_once(people: Sequence[Person]) -> list[Person]:
    """People in order of score, without those who are where a surer one is."""
    kept: list[Person] = []
    for person in sorted(people, key=lambda person: -person.score):
        if all(math.dist(person.circle.centre, k.circle.centre) > SAME_PLACE * k.circle.radius for k in kept):
            kept.append(person)
    return kept


ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_SOMEBODY = (
    "person|people|man|woman|guy|lady|girl|boy|kid|child|baby|one|player|athlete|dancer|runner|skier|climber|boxer|"
    "figure|human|someone|somebody|individual|subject"
)
_LIMB = "arm|leg|hand|foot|knee|elbow|shoulder|hip|ankle|wrist|heel|toe|toes|thigh|calf|palm|side"
_SIDE = "left|right|middle|cent(?:er|re)"
_COUNTED = re.compile(rf"\b({'|'.join(ORDINALS)})\b(?:\s+\w+)?\s+(?:from|on)\s+the\s+(left|right)\b")
_PLACES = tuple(
    re.compile(pattern)
    for pattern in (
        # "the man standing on the far left", but not "... on the left leg", and not "a man leaning to the left"
        rf"\b(?:{_SOMEBODY})\b(?:(?:\s+\w+){{0,4}}?\s+(?:on|at|in)|\s+to)\s+the\s+(?:far\s+|very\s+)?({_SIDE})\b"
        rf"(?!-hand|\s+(?:{_LIMB})\b)",
        # "the man on the left side", but not "a man lying on the left side"
        rf"\b(?:{_SOMEBODY})\s+(?:on|at)\s+the\s+(left|right)(?:-hand)?\s+side\b",
        # "on the right-hand side of the picture"
        r"\b(left|right)(?:-hand)?\s+(?:side|half|edge|part)\s+of\s+the\s+(?:picture|image|photo|photograph|frame)\b",
        # "the leftmost dancer", "the person in the middle" said the other way round
        rf"\b({_SIDE}|central)(?:-?most|\s+most|-?hand)?\s+(?:{_SOMEBODY})\b",
    )
)


@dataclass(frozen=True)
class NamedPlace:
    """Which of several people words mean.

    Attributes:
        words: that say it, in lower case: "person on the left".
        side: ``left``, ``right`` or ``middle``.
        rank: counted from that side: 1 is the second.
    """

    words: str
    side: str
    rank: int = 0


def named_place(prompt: str) -> NamedPlace | None:
    """Where the person is whom a prompt means, or None if it does not say.

    Words that count name somebody and a place: "the man on the left", "the leftmost dancer", "the one in the middle",
    "the second person from the right". "The left arm of the person" says nothing of where the person is.
    """
    words = prompt.lower()
    if counted := _COUNTED.search(words):
        return NamedPlace(counted[0], counted[2], ORDINALS.index(counted[1]))
    named = next(filter(None, (place.search(words) for place in _PLACES)), None)
    if named is None:
        return None
    return NamedPlace(named[0], named[1] if named[1] in ("left", "right") else "middle")


def choose_person(people: Sequence[Person], prompt: str | None = None, box: Box | None = None) -> Person:
    """The person who is meant: by a box, else by the words of the prompt (`named_place`), else the largest.

    Args:
        people: from `find_people`.
        prompt: what the user asks.
        box: left, top, right, bottom, pixels. If nobody was found there, the box itself is taken for the person.

    Raises:
        UserError: nobody was found and no box is given; fewer people than the prompt counts; a box without extent.
    """
    if box is not None:
        return _person_in_box(people, box)
    if not people:
        raise UserError(f"no person found; {NOBODY}")
    across = sorted(people, key=lambda person: person.circle.centre[0])
    place = named_place(prompt or "")
    if place is None:
        return max(people, key=lambda person: person.circle.radius)
    if place.rank >= len(people):
        found = "1 person was" if len(people) == 1 else f"{len(people)} people were"
        raise UserError(f"{place.words!r} is asked for, but {found} found; say it otherwise or give a box")
    if place.side == "middle":
        return across[(len(across) - 1) // 2]
    return across[place.rank] if place.side == "left" else across[-1 - place.rank]


def read_box(text: str) -> Box:
    """A box as people type it: "left, top, right, bottom" in pixels.

    Raises:
        UserError: not four numbers.
    """
    try:
        left, top, right, bottom = map(float, re.split(r"[\s,;]+", text.strip(" \t[]()")))
    except ValueError as error:
        raise UserError(f"box {text!r}: give four numbers, left,top,right,bottom in pixels") from error
    return left, top, right, bottom


def _person_in_box(people: Sequence[Person], box: Box) -> Person:
    left, top, right, bottom = box
    if not (right > left and bottom > top and all(map(math.isfinite, box))):
        raise UserError(f"box {box}: is empty; give left, top, right, bottom with left < right and top < bottom")
    best = max(people, key=lambda person: _overlap(person.box, box), default=None)
    if best is not None and _overlap(best.box, box) > 0.3:
        return best
    centre, radius = ((left + right) / 2, (top + bottom) / 2), max(right - left, bottom - top) / 2
    return Person(box, 1.0, Circle(centre, radius))


def _overlap(first: Box, second: Box) -> float:
    return overlap(np.reshape(first, (2, 2)), np.reshape(second, (2, 2)))
