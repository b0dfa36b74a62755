"""BVH motion files: a skeleton and its channels, which Blender, Maya and MotionBuilder import.

BVH names no unit. Positions are metres, which Blender takes them for; Maya and MotionBuilder take them for centimetres.
The world is y-up and the rest pose a T-pose that faces +z, which is what importers assume by default. Each joint has
the channels Zrotation Xrotation Yrotation: its matrix is Rz Rx Ry.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import roma
import torch

from pose_rft.body.load import load_body
from pose_rft.body.mesh import on_the_floor
from pose_rft.body.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS
from pose_rft.storage import atomic_file

Unit = Literal["m", "cm"]
PER_METRE: dict[Unit, float] = {"m": 1.0, "cm": 100.0}
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
    unit: Unit = "m",
) -> None:
    """Write poses (N, 22, 3) as a BVH motion of N frames.

    Args:
        path: the file.
        pose: (N, 22, 3) axis-angle, radians.
        trans: (N, 3) where the pelvis is, metres; above the origin, each body standing on the floor y = 0, if None.
        betas: (10,) shape that gives the bones their lengths; the mean body if None.
        fps: frames a second.
        unit: of positions and bones in the file.

    Raises:
        UserError: the path cannot be written; what stood there stays.
    """
    body = load_body()
    shape = None if betas is None else torch.as_tensor(betas, dtype=torch.float32)
    offsets = body.offsets if shape is None else body.rest_offsets(shape)
    rotations = roma.rotvec_to_rotmat(torch.as_tensor(pose, dtype=torch.float64))
    angles = roma.rotmat_to_euler("ZXY", rotations, degrees=True).numpy()  # (N, 22, 3)
    if trans is None:
        trans = on_the_floor(body, torch.as_tensor(pose, dtype=torch.float32), shape).numpy()
    scale = PER_METRE[unit]
    lines = ["HIERARCHY", *_hierarchy(0, offsets.double().numpy(), scale, "")]
    lines += ["MOTION", f"Frames: {len(angles)}", f"Frame Time: {1.0 / fps:.8f}"]
    depth_first = list(_depth_first(0))
    for place, frame in zip(np.asarray(trans, np.float64) * scale, angles, strict=True):
        lines.append(_numbers(np.concatenate([place, frame[depth_first].reshape(-1)])))
    with atomic_file(Path(path)) as part:
        part.write_text("\n".join(lines) + "\n", encoding="ascii")


def _depth_first(joint: int) -> Iterator[int]:
    yield joint
    for child in range(NUM_JOINTS):
        if PARENTS[child] == joint:
            yield from _depth_first(child)


def _hierarchy(joint: int, offsets: np.ndarray, scale: float, indent: str) -> list[str]:
    """The lines of one joint and all below it; `offsets` (22, 3) in metres, times `scale` in the file."""
    name = JOINT_NAMES[joint]
    channels = f"CHANNELS 3 {CHANNELS}" if joint else f"CHANNELS 6 Xposition Yposition Zposition {CHANNELS}"
    lines = [
        f"{indent}{'JOINT' if joint else 'ROOT'} {name}",
        f"{indent}{{",
        f"{indent}  OFFSET {_numbers(offsets[joint] * scale)}",
        f"{indent}  {channels}",
    ]
    for child in range(NUM_JOINTS):
        if PARENTS[child] == joint:
            lines += _hierarchy(child, offsets, scale, indent + "  ")
    if name in END_SITES:
        end = np.array(END_SITES[name]) * scale
        lines += [f"{indent}  End Site", f"{indent}  {{", f"{indent}    OFFSET {_numbers(end)}", f"{indent}  }}"]
    return [*lines, f"{indent}}}"]


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values.round(6) + 0.0)  # no minus zeros
