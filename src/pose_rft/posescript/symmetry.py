"""Symmetry: a body that is nearly the same on both sides is made the same on both.

What people call a plank, a squat or arms akimbo is the same on both sides. A sample of a distribution over rotations
never is: each joint has its own noise, and one hand ends some centimetres above the other. Where nothing is said of one
side, what is nearly alike is meant to be alike.
"""

import re

import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_NAMES, NUM_JOINTS, mean_pose, mirror_pose
from pose_rft.posescript.measurements import Measurements
from pose_rft.posescript.settling import MOST_OVERLAP

NEARLY = 0.2  # metres between a limb's joints and the mirror image of its twin's; less counts as alike (dev splits)

_ONE_SIDED = re.compile(r"\b(left|right|one|other|single|side\w*|twist\w*|turn\w*)\b", re.IGNORECASE)


def _joints(*words: str) -> list[int]:
    return [number for number, name in enumerate(JOINT_NAMES) if any(word in name for word in words)]


_ARMS = _joints("collar", "shoulder", "elbow", "wrist")
_LEGS = _joints("hip", "knee", "ankle", "foot")
_MIDDLE = _joints("spine", "neck", "head")


def is_one_sided(text: str) -> bool:
    """Whether words may tell one side of a body from the other."""
    return _ONE_SIDED.search(text) is not None


def evened(pose: Tensor) -> Tensor:
    """Poses with limbs the same on both sides that are nearly so; where all limbs are, spine and head are straight too.

    The body as a whole stays turned and tilted as it was. Limbs that would be in one another, such as folded arms, of
    which one lies over the other, stay as they are.

    Args:
        pose: (..., 22, 3) axis-angle, radians.

    Returns:
        The same shape.
    """
    flat = pose.reshape(-1, NUM_JOINTS, 3)
    if not len(flat):
        return pose
    body = Measurements(load_body().points(flat.float().cpu()))
    arms, legs = (body.measure("asymmetry", (part,)).to(flat.device) < NEARLY for part in ("arms", "legs"))  # (N,)
    even, result = mean_pose(torch.stack([flat, mirror_pose(flat)])), flat.clone()
    for joints, alike in ((_ARMS, arms), (_LEGS, legs), (_MIDDLE, arms & legs)):
        result[:, joints] = torch.where(alike[:, None, None], even[:, joints], flat[:, joints])
    after = Measurements(load_body().points(result.float().cpu())).measure("overlap", ())
    clear = (after < body.measure("overlap", ()).clamp_min(MOST_OVERLAP)).to(flat.device)
    return torch.where(clear[:, None, None], result, flat).reshape(pose.shape)
