from pathlib import Path

import bvhio
import numpy as np
import torch

from pose_rft.body import load_body
from pose_rft.body.bvh import write_bvh
from pose_rft.body.skeleton import JOINT_NAMES


def test_another_library_finds_the_joints_where_we_put_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pose, trans, betas = rng.normal(size=(3, 22, 3)), rng.normal(size=(3, 3)), rng.normal(size=10)
    pose[1, 4] = [np.pi / 2, 0, 0]  # gimbal lock of Z-X-Y angles
    write_bvh(tmp_path / "a.bvh", pose, trans, betas)
    expected = load_body().joints(torch.as_tensor(pose).float(), torch.as_tensor(betas).float()).numpy()
    expected = expected + trans[:, None]
    root = bvhio.readAsHierarchy(str(tmp_path / "a.bvh"))
    for frame in range(3):
        root.loadPose(frame)
        found = np.array([list(root.filter(name, isEqual=True)[0].PositionWorld) for name in JOINT_NAMES])
        np.testing.assert_allclose(found / 100, expected[frame], atol=1e-4)  # the file is in centimetres


def test_another_library_finds_the_t_pose_facing_z_under_the_frames(tmp_path: Path) -> None:
    write_bvh(tmp_path / "a.bvh", np.random.default_rng(2).normal(size=(1, 22, 3)))
    root = bvhio.readAsHierarchy(str(tmp_path / "a.bvh")).loadRestPose()
    found = np.array([list(root.filter(name, isEqual=True)[0].PositionWorld) for name in JOINT_NAMES]) / 100
    np.testing.assert_allclose(found, load_body().joints(torch.zeros(22, 3)).numpy(), atol=1e-5)
    at = dict(zip(JOINT_NAMES, found, strict=True))
    assert at["left_wrist"][0] > 0.5  # metres along +x
    assert at["left_foot"][2] - at["left_ankle"][2] > 0.05  # toes point along +z
