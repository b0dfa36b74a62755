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
        np.testing.assert_allclose(found, expected[frame], atol=1e-5)


def test_another_library_finds_the_t_pose_facing_z_under_the_frames(tmp_path: Path) -> None:
    write_bvh(tmp_path / "a.bvh", np.random.default_rng(2).normal(size=(1, 22, 3)))
    root = bvhio.readAsHierarchy(str(tmp_path / "a.bvh")).loadRestPose()
    found = np.array([list(root.filter(name, isEqual=True)[0].PositionWorld) for name in JOINT_NAMES])
    np.testing.assert_allclose(found, load_body().joints(torch.zeros(22, 3)).numpy(), atol=1e-5)
    at = dict(zip(JOINT_NAMES, found, strict=True))
    assert at["left_wrist"][0] > 0.5  # metres along +x
    assert at["left_foot"][2] - at["left_ankle"][2] > 0.05  # toes point along +z


def test_centimetres_are_the_same_a_hundred_times_larger(tmp_path: Path) -> None:
    pose = np.random.default_rng(3).normal(size=(2, 22, 3))
    found = {}
    for unit in ("m", "cm"):
        write_bvh(tmp_path / "a.bvh", pose, unit=unit)
        root = bvhio.readAsHierarchy(str(tmp_path / "a.bvh")).loadPose(1)
        found[unit] = np.array([list(root.filter(name, isEqual=True)[0].PositionWorld) for name in JOINT_NAMES])
    np.testing.assert_allclose(found["cm"], 100 * found["m"], atol=1e-3)


def test_every_frame_stands_on_the_floor_where_no_place_is_given(tmp_path: Path) -> None:
    pose = np.random.default_rng(4).normal(size=(2, 22, 3), scale=0.3).astype(np.float32)
    write_bvh(tmp_path / "a.bvh", pose)
    skin = load_body().vertices(torch.from_numpy(pose))
    lines = (tmp_path / "a.bvh").read_text().splitlines()
    for line, lowest in zip(lines[-2:], skin[..., 1].min(dim=1).values.tolist(), strict=True):
        np.testing.assert_allclose([float(word) for word in line.split()[:3]], [0, -lowest, 0], atol=1e-5)
