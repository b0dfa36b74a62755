"""One sample schema for every dataset, task and stage."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

POSE_TOKEN = "<POSE>"  # stands in an answer where the pose belongs


@dataclass(frozen=True, slots=True)
class Sample:
    """One training or evaluation example.

    Attributes:
        prompt: what the user says.
        answer: what the model should say; holds ``<POSE>`` where a pose is asked for.
        pose: (22, 3) axis-angle radians in SMPL order (``global_orient`` first), or None for plain language.
        image: a path, a PIL image, a ``pose_rft.data.rendering.renders.RenderSpec`` (its ``image()`` draws it), or None.
        task: ``text_to_pose``, ``image_to_pose``, ``image_text_to_pose``, ``pose_question``, ``chat`` ...
        checks: geometric statements that the prompt makes about the pose, in the language of
            ``pose_rft.posescript.checks``; a pose that fulfils them all does what the prompt says.
        source: which reader or generator made it, and from which recording (for splits by sequence).
    """

    prompt: str
    answer: str
    pose: np.ndarray | None = None
    image: Any | Path | None = None
    task: str = "text_to_pose"
    checks: tuple[str, ...] = ()
    source: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
