"""Left and right as a viewer says them, who sees a body from in front: the other way round."""

import re

import numpy as np

from pose_rft.data.concepts.pose_language import swap_sides
from pose_rft.data.mixtures.wordings.templates import sentence, spun
from pose_rft.data.phrases import pick
from pose_rft.storage import package_table

TABLE: dict[str, list[str]] = package_table(__package__, "viewer.yaml")
PLACED_RATE = 0.4  # of the limbs, that are told by where they are in the picture
_LIMB = re.compile(r"(?i)\b(?P<the>the|their|his|her) (?P<side>left|right) (?P<limb>(upper |lower )?[a-z]+)\b")
LIMBS = ("arm", "hand", "leg", "foot", "knee", "elbow", "shoulder", "thigh", "shin", "forearm", "wrist", "ankle", "hip")


def from_the_viewer(text: str, rng: np.random.Generator) -> str:
    """A text with left and right exchanged, and with words that say whose they are."""
    place = pick(rng, TABLE["placed"])

    def placed(found: re.Match[str]) -> str:
        if found["limb"].split()[-1] not in LIMBS or rng.random() >= PLACED_RATE:
            return found[0]
        return f"{found['the']} {found['limb']} {spun(place, rng).format(side=found['side'])}"

    told = _LIMB.sub(placed, swap_sides(text)).strip()
    frame = spun(pick(rng, TABLE["framed"]), rng)
    if "{p}" in frame and not frame.startswith("{p}"):  # inside a sentence
        told = told[:1].lower() + told[1:]
    elif "{p}" in frame:
        told = told.rstrip(".")
    return frame.format(p=told, P=sentence(told))
