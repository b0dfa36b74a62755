from pathlib import Path

import bvhio
import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.bvh import read_bvh, write_bvh
from pose_rft.body.skeleton import JOINT_NAMES
from pose_rft.errors import UserError


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


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pose = rng.normal(size=(2, 22, 3), scale=0.7)
    write_bvh(tmp_path / "a.bvh", pose, trans=np.float32([[1, 2, 3], [4, 5, 6]]), fps=25)
    found = read_bvh(tmp_path / "a.bvh")
    np.testing.assert_allclose(found.pose, pose, atol=1e-5)
    np.testing.assert_allclose(found.trans, [[1, 2, 3], [4, 5, 6]], atol=1e-6)
    assert found.fps == pytest.approx(25)


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_bvh(tmp_path / "missing.bvh")
    write_bvh(tmp_path / "a.bvh", np.zeros((1, 22, 3)))
    text = (tmp_path / "a.bvh").read_text()
    for broken, message in (
        (text.replace("left_elbow", "LeftArm"), "another skeleton"),
        (text[:-40], "not a BVH file"),
        ("hello", "not a BVH file"),
    ):
        (tmp_path / "b.bvh").write_text(broken)
        with pytest.raises(UserError, match=message) as caught:
            read_bvh(tmp_path / "b.bvh")
        assert "\n" not in str(caught.value)
