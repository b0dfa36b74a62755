"""Poses as files and as JSON."""

import base64
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pose_rft.app.messages import Format, SampledAnswer, Smpl
from pose_rft.body import Pose
from pose_rft.policy import Answer

DECIMALS = 6  # radians and metres; float32 holds no more


def pose_file(pose: Pose, suffix: Format) -> bytes:
    """The content of ``pose.glb``, ``.bvh`` or ``.npz``."""
    with tempfile.TemporaryDirectory(prefix="pose-rft-") as directory:
        path = Path(directory) / f"pose.{suffix}"
        pose.save(path)
        return path.read_bytes()


def to_sample(answer: Answer, formats: Sequence[Format]) -> SampledAnswer:
    """One answer as the API gives it."""
    pose = answer.pose
    return SampledAnswer(
        text=answer.text,
        valid=answer.valid,
        smpl=None if pose is None else _smpl(pose),
        joints=None if pose is None else _numbers(pose.joints()),
        note=answer.note,
        box=None if answer.box is None else [round(edge, 1) for edge in answer.box],
        logp_text=answer.logp_text,
        logp_pose=answer.logp_pose if answer.logp_pose is not None and math.isfinite(answer.logp_pose) else None,
        files={} if pose is None else {f: base64.b64encode(pose_file(pose, f)).decode("ascii") for f in formats},
    )


def _smpl(pose: Pose) -> Smpl:
    return Smpl(
        global_orient=_numbers(pose.global_orient),
        body_pose=_numbers(pose.body_pose),
        betas=None if pose.betas is None else _numbers(pose.betas),
    )


def _numbers(array: np.ndarray) -> list:
    return array.astype(np.float64).round(DECIMALS).tolist()
