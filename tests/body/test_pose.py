from pathlib import Path

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.pose import Pose
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.errors import UserError


def some_pose(seed: int = 0) -> Pose:
    return Pose.from_axis_angle(np.random.default_rng(seed).normal(size=(22, 3), scale=0.5))


def test_a_pose_holds_smpl_s_arrays_in_float32() -> None:
    pose = Pose(global_orient=[0.1, 0.2, 0.3], body_pose=np.zeros((21, 3)))  # type: ignore[arg-type]
    assert pose.global_orient.dtype == pose.body_pose.dtype == np.float32
    assert pose.axis_angle().shape == (22, 3)
    np.testing.assert_array_equal(pose.axis_angle()[0], np.float32([0.1, 0.2, 0.3]))


def test_joints_are_those_of_the_bundled_body_with_the_pose_s_shape() -> None:
    betas = np.linspace(-1, 1, 10, dtype=np.float32)
    pose = Pose.from_axis_angle(some_pose().axis_angle(), betas)
    expected = load_body().joints(torch.from_numpy(pose.axis_angle()), torch.from_numpy(betas)).numpy()
    np.testing.assert_array_equal(pose.joints(), expected)
    assert np.abs(pose.joints() - some_pose().joints()).max() > 0.01


def test_a_tensor_on_the_graph_becomes_a_pose() -> None:
    pose = Pose.from_axis_angle(torch.ones(22, 3, requires_grad=True))
    assert pose.body_pose.sum() == 63


def test_a_mirrored_wave_is_a_wave_of_the_other_hand() -> None:
    wave = np.zeros((22, 3), np.float32)
    wave[JOINT_INDEX["left_shoulder"]] = [0, 0, 1.2]  # about z: the left arm goes up
    joints, mirrored = Pose.from_axis_angle(wave).joints(), Pose.from_axis_angle(wave).mirrored().joints()
    left, right = JOINT_INDEX["left_wrist"], JOINT_INDEX["right_wrist"]
    assert joints[left, 1] > joints[right, 1] + 0.4
    np.testing.assert_allclose(mirrored[right], joints[left] * [-1, 1, 1], atol=1e-5)


@pytest.mark.parametrize("shape", [(21, 3), (24, 3), (66,)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"must have shape \(22, 3\)"):
        Pose.from_axis_angle(np.zeros(shape))


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(UserError, match="not finite"):
        Pose.from_axis_angle(np.full((22, 3), np.nan))


@pytest.mark.parametrize("suffix", [".npz", ".glb", ".bvh", ".png"])
def test_a_place_that_cannot_be_written_is_one_line_and_changes_nothing(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UserError, match="cannot be written") as caught:
        some_pose().save(tmp_path / "file" / f"pose{suffix}")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "kept"


def test_saving_replaces_the_file_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "pose.bvh"
    path.write_text("old")
    some_pose().save(path)
    assert path.read_text().startswith("HIERARCHY")
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_suffix_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.npz, \.glb, \.bvh, \.png"):
        some_pose().save(tmp_path / "pose.fbx")


def test_a_notebook_gets_a_png() -> None:
    assert some_pose()._repr_png_().startswith(b"\x89PNG")
