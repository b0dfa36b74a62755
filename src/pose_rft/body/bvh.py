"""BVH motion files: a skeleton and its channels, which Blender, Maya and MotionBuilder import.

Positions are centimetres, the usual unit of BVH (in Blender set *Scale* to 0.01 on import). The world is y-up and
the rest pose a T-pose that faces +z, which is what importers assume by default. Each joint has the channels Zrotation
Xrotation Yrotation: its matrix is Rz Rx Ry.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import roma
import torch

from pose_rft.body.load import load_body
from pose_rft.body.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS
from pose_rft.storage import atomic_file

CENTIMETRES = 100.0
CHANNELS = "Zrotation Xrotation Yrotation"
END_SITES = {  # where the last bone of each chain ends, metres from its joint in the T-pose
    "head": (0.0, 0.18, 0.03),
    "left_foot": (0.0, -0.02, 0.08),
    "right_foot": (0.0, -0.02, 0.08),
    "left_wrist": (0.17, 0.0, 0.0),
    "right_wrist": (-0.17, 0.0, 0.0),
}


def write_bvh(
    path: str | Path,
    pose: np.ndarray,
    trans: np.ndarray | None = None,
    betas: np.ndarray | None = None,
    fps: float = 30.0,
) -> None:
    """Write poses (N, 22, 3) as a BVH motion of N frames.

    Args:
        path: the file.
        pose: (N, 22, 3) axis-angle, radians.
        trans: (N, 3) where the pelvis is, metres; the origin if None.
        betas: (10,) shape that gives the bones their lengths; the mean body if None.
        fps: frames a second.

    Raises:
        UserError: the path cannot be written; what stood there stays.
    """
    body = load_body()
    offsets = body.offsets if betas is None else body.rest_offsets(torch.as_tensor(betas, dtype=torch.float32))
    rotations = roma.rotvec_to_rotmat(torch.as_tensor(pose, dtype=torch.float64))
    angles = roma.rotmat_to_euler("ZXY", rotations, degrees=True).numpy()  # (N, 22, 3)
    places = np.zeros((len(angles), 3)) if trans is None else np.asarray(trans, np.float64)
    lines = ["HIERARCHY", *_hierarchy(0, offsets.double().numpy() * CENTIMETRES, "")]
    lines += ["MOTION", f"Frames: {len(angles)}", f"Frame Time: {1.0 / fps:.8f}"]
    depth_first = list(_depth_first(0))
    for place, frame in zip(places * CENTIMETRES, angles, strict=True):
        lines.append(_numbers(np.concatenate([place, frame[depth_first].reshape(-1)])))
    with atomic_file(Path(path)) as part:
        part.write_text("\n".join(lines) + "\n", encoding="ascii")


def _depth_first(joint: int) -> Iterator[int]:
    yield joint
    for child in range(NUM_JOINTS):
        if PARENTS[child] == joint:
            yield from _depth_first(child)


def _hierarchy(joint: int, offsets: np.ndarray, indent: str) -> list[str]:
    """The lines of one joint and all below it; `offsets` (22, 3) in centimetres."""
    name = JOINT_NAMES[joint]
    channels = f"CHANNELS 3 {CHANNELS}" if joint else f"CHANNELS 6 Xposition Yposition Zposition {CHANNELS}"
    lines = [
        f"{indent}{'JOINT' if joint else 'ROOT'} {name}",
        f"{indent}{{",
        f"{indent}  OFFSET {_numbers(offsets[joint])}",
        f"{indent}  {channels}",
    ]
    for child in range(NUM_JOINTS):
        if PARENTS[child] == joint:
            lines += _hierarchy(child, offsets, indent + "  ")
    if name in END_SITES:
        end = np.array(END_SITES[name]) * CENTIMETRES
        lines += [f"{indent}  End Site", f"{indent}  {{", f"{indent}    OFFSET {_numbers(end)}", f"{indent}  }}"]
    return [*lines, f"{indent}}}"]


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values.round(6) + 0.0)  # no minus zeros
