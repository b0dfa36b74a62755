"""One human pose as the policy answers it: numpy arrays with the names SMPL users know."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from pose_rft.body.bvh import Unit, write_bvh
from pose_rft.body.load import load_body
from pose_rft.body.model import NUM_BETAS
from pose_rft.body.pose_files import Family, write_amass
from pose_rft.body.skeleton import NUM_JOINTS, mirror_pose
from pose_rft.errors import UserError

SUFFIXES = (".npz", ".glb", ".bvh", ".png")


@dataclass(frozen=True)
class FileOptions:
    """What a file format leaves open.

    Attributes:
        npz: "smplh" writes AMASS's 52 joints, "smplx" 55, which SMPL-X's add-on for Blender loads.
        bvh_unit: "m" as Blender reads it, "cm" as Maya and MotionBuilder do.
        baked: the GLB is the posed mesh alone, without a skeleton, for programs that do not know skins.
    """

    npz: Family = "smplh"
    bvh_unit: Unit = "m"
    baked: bool = False


USUAL = FileOptions()


@dataclass(eq=False)
class Pose:
    """SMPL body rotations: axis-angle, radians, y-up, rest pose a T-pose facing +z.

    Attributes:
        global_orient: (3,) float32, the pelvis relative to the world.
        body_pose: (21, 3) float32, every other joint relative to its parent, in SMPL's order.
        betas: (10,) float32 shape components, or None for the mean body.

    Raises:
        UserError: an array of another shape, or with values that are not finite.
    """

    global_orient: np.ndarray
    body_pose: np.ndarray
    betas: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.global_orient = _checked("global_orient", self.global_orient, (3,))
        self.body_pose = _checked("body_pose", self.body_pose, (NUM_JOINTS - 1, 3))
        if self.betas is not None:
            self.betas = _checked("betas", self.betas, (NUM_BETAS,))

    @classmethod
    def from_axis_angle(cls, pose: np.ndarray | torch.Tensor, betas: np.ndarray | None = None) -> Self:
        """From one (22, 3) array whose first row is ``global_orient``."""
        if isinstance(pose, torch.Tensor):
            pose = pose.detach().cpu().numpy()
        pose = _checked("pose", pose, (NUM_JOINTS, 3))
        return cls(pose[0], pose[1:], betas)

    def axis_angle(self) -> np.ndarray:
        """All rotations as one (22, 3) float32 array, ``global_orient`` first."""
        return np.concatenate([self.global_orient[None], self.body_pose])

    def joints(self) -> np.ndarray:
        """Joint positions (22, 3) float32 in metres on the bundled body, pelvis at the origin."""
        betas = None if self.betas is None else torch.from_numpy(self.betas)
        return load_body().joints(torch.from_numpy(self.axis_angle()), betas).numpy()

    def points(self) -> np.ndarray:
        """The joints and the landmarks of ``pose_rft.body.landmarks``, (32, 3) float32, alike."""
        betas = None if self.betas is None else torch.from_numpy(self.betas)
        return load_body().points(torch.from_numpy(self.axis_angle()), betas).numpy()

    def mirrored(self) -> "Pose":
        """The mirrored pose: left and right exchanged."""
        return Pose.from_axis_angle(mirror_pose(torch.from_numpy(self.axis_angle())), self.betas)

    def save(self, path: str | Path, options: FileOptions = USUAL) -> None:
        """Write the pose to `path`, in the format that its suffix names.

        ``.npz`` AMASS arrays, ``.glb`` a skinned body, ``.bvh`` a skeleton with one frame, ``.png`` a picture. In the
        last three the body stands on the floor, y = 0.

        Raises:
            UserError: unknown suffix, or a place that cannot be written; what stood there stays.
        """
        from pose_rft.body import glb, render

        path = Path(path)
        pose, betas = self.axis_angle(), self.betas
        if path.suffix == ".npz":
            write_amass(path, pose[None], betas=betas, family=options.npz)
        elif path.suffix == ".glb":
            glb.write_glb(path, pose, betas=betas, baked=options.baked)
        elif path.suffix == ".bvh":
            write_bvh(path, pose[None], betas=betas, unit=options.bvh_unit)
        elif path.suffix == ".png":
            render.write_png(path, render.portrait(pose, betas=betas))
        else:
            raise UserError(f"{path}: unknown suffix '{path.suffix}'; end the name in {', '.join(SUFFIXES)}")

    def _repr_png_(self) -> bytes:
        """The picture that a notebook shows for this pose."""
        from pose_rft.body.render import portrait

        buffer = io.BytesIO()
        portrait(self.axis_angle(), betas=self.betas).save(buffer, format="PNG")
        return buffer.getvalue()


def _checked(name: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    array = np.array(value, dtype=np.float32)
    if array.shape != shape:
        raise UserError(f"{name} must have shape {shape}, not {array.shape}")
    if not np.isfinite(array).all():
        raise UserError(f"{name} holds values that are not finite: check the model or file that it comes from")
    return array
