"""Going on from the last pose: "raise the left arm a bit more".

No policy of this version reads poses, so the pose is put in words: what holds of it (``posescript.captions``),
then what shall be different.
"""

import re

from pose_rft.body import Pose
from pose_rft.posescript.captions import caption

CHANGE = re.compile(
    r"\b(more|less|further|farther|bit|little|slightly|higher|lower|wider|closer|deeper|again|instead|now|also|too"
    r"|keep|still|same|other|change|move|then|but|without|even|back to|not so)\b",
    re.IGNORECASE,
)


def is_change(message: str) -> bool:
    """Whether a message sounds as if it changed the pose at hand and did not describe a new one."""
    return CHANGE.search(message) is not None


def changed(pose: Pose, instruction: str) -> str:
    """A prompt that describes the pose and then what shall change."""
    described = caption(pose.points()[None], seed=0, style="full")[0]
    return f"{described.text} {instruction}"
