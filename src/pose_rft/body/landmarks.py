"""Named points of the skin that joints alone do not tell: face and crown, heels and toes, palms and fingers.

Each is rigid with one joint, so that the joints and the landmarks of a pose, its *points*, hold what its rotations hold
for the head, the hands and the feet. The offsets are those of the bundled body of mean shape at rest, as
``python -m benchmarks.landmarks`` prints them; other bodies and shapes get the same.
"""

import torch
from torch import Tensor

from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, mirrored_name

_LEFT_AND_MIDDLE = {
    "face": ("head", (0.0, 0.0886, 0.1243)),  # between the eyes
    "crown": ("head", (0.0, 0.1993, 0.0354)),
    "left_heel": ("left_ankle", (-0.0015, -0.0763, -0.0137)),  # its lowest point
    "left_toes": ("left_foot", (-0.0207, -0.0277, 0.0568)),  # the tip, at the sole
    "left_fingers": ("left_wrist", (0.1852, -0.0454, 0.0120)),  # the tip of the middle finger
    "left_palm": ("left_wrist", (0.0950, -0.0267, 0.0114)),  # its middle
}
LANDMARKS: dict[str, tuple[str, tuple[float, float, float]]] = {}  # name -> joint, offset from it at rest in metres
for _name, (_joint, (_x, _y, _z)) in _LEFT_AND_MIDDLE.items():
    LANDMARKS[_name] = (_joint, (_x, _y, _z))
    LANDMARKS[mirrored_name(_name)] = (mirrored_name(_joint), (-_x if _x else _x, _y, _z))

POINT_NAMES = (*JOINT_NAMES, *LANDMARKS)
POINT_INDEX = {name: index for index, name in enumerate(POINT_NAMES)}
NUM_POINTS = len(POINT_NAMES)
POINT_MIRROR = tuple(POINT_INDEX[mirrored_name(name)] for name in POINT_NAMES)
_CARRIERS = [JOINT_INDEX[joint] for joint, _ in LANDMARKS.values()]
_OFFSETS = torch.tensor([offset for _, offset in LANDMARKS.values()])  # (10, 3)


def with_landmarks(positions: Tensor, orientations: Tensor) -> Tensor:
    """The points (..., 32, 3) of posed skeletons: their joints, then their landmarks in the order of ``LANDMARKS``.

    Args:
        positions: (..., 22, 3) joints, metres.
        orientations: (..., 22, 3, 3) global rotations of the joints.
    """
    offset = (orientations[..., _CARRIERS, :, :] * _OFFSETS.to(positions)[:, None, :]).sum(dim=-1)
    return torch.cat([positions, positions[..., _CARRIERS, :] + offset], dim=-2)
