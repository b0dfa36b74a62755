"""Going on from the last pose: "raise the left arm a bit more", "is the left knee bent?".

No policy of this version reads poses, so the pose is put in words: for a change what holds of it
(``posescript.captions``), for a question what the answer said of it.
"""

import re

from pose_rft.data.mixtures.follow_ups import about_shown
from pose_rft.data.sample import POSE_TOKEN
from pose_rft.data.stated import stated_checks

CHANGE = re.compile(
    r"\b(more|less|further|farther|bit|little|slightly|higher|lower|wider|closer|deeper|again|instead|now|also|too"
    r"|keep|still|same|other|change|move|then|but|without|even|back to|not so)\b",
    re.IGNORECASE,
)


def is_change(message: str) -> bool:
    """Whether a message sounds as if it changed the pose at hand and did not describe a new one."""
    return CHANGE.search(message) is not None


def asked_about(answer: str, question: str) -> str:
    """A prompt that asks about the pose of an answer; the question alone where the answer said nothing of the pose."""
    said, _, _ = answer.partition(POSE_TOKEN)
    return about_shown(said, question) if stated_checks(said) else question
