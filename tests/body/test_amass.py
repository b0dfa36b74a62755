from pathlib import Path

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.amass import read_poses, write_amass
from pose_rft.errors import UserError


def some_poses(frames: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(frames, 22, 3)).astype(np.float32)


def test_written_files_have_amass_s_keys_and_shapes(tmp_path: Path) -> None:
    write_amass(tmp_path / "a.npz", some_poses(), fps=120)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as data:
        assert sorted(data.files) == ["betas", "gender", "mocap_framerate", "poses", "trans"]
        assert data["poses"].shape == (3, 156)
        assert data["trans"].shape == (3, 3)
        assert data["betas"].shape == (16,)
        assert str(data["gender"]) == "neutral"
        assert float(data["mocap_framerate"]) == 120
        np.testing.assert_array_equal(data["poses"][:, :66].reshape(3, 22, 3), some_poses())
        assert not data["poses"][:, 66:].any()  # flat hands


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    trans, betas = np.ones((3, 3), np.float32), np.arange(10, dtype=np.float32)
    write_amass(tmp_path / "a.npz", some_poses(), trans=trans, betas=betas, gender="female", fps=60)
    found = read_poses(tmp_path / "a.npz")
    np.testing.assert_array_equal(found.pose, some_poses())
    np.testing.assert_array_equal(found.trans, trans)
    assert found.betas is not None
    np.testing.assert_array_equal(found.betas[:10], betas)
    assert (found.gender, found.fps) == ("female", 60)


def test_a_gender_in_bytes_reads_as_a_word(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pose=some_poses(), gender=np.array(b"male"))
    assert read_poses(tmp_path / "a.npz").gender == "male"


@pytest.mark.parametrize("width", [66, 72, 156, 165])
def test_every_width_of_the_family_begins_with_the_body(tmp_path: Path, width: int) -> None:
    poses = np.random.default_rng(1).normal(size=(2, width)).astype(np.float32)
    np.savez(tmp_path / "a.npz", poses=poses)
    np.testing.assert_array_equal(read_poses(tmp_path / "a.npz").pose, poses[:, :66].reshape(2, 22, 3))


def test_plain_pose_arrays_are_read_beside_other_columns(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pose=some_poses(), sequence=np.array(["one", "one", "two"]))
    found = read_poses(tmp_path / "a.npz")
    np.testing.assert_array_equal(found.pose, some_poses())
    assert found.trans is None
    assert found.fps is None


def test_a_z_up_recording_is_turned_to_stand_in_y(tmp_path: Path) -> None:
    # A person who stands upright in a z-up world has the root turned by 90 degrees about x, which takes y to z.
    pose = np.zeros((1, 22, 3), np.float32)
    pose[0, 0, 0] = np.pi / 2
    np.savez(tmp_path / "a.npz", pose=pose, trans=np.float32([[1, 2, 3]]))
    found = read_poses(tmp_path / "a.npz", up="z")
    np.testing.assert_allclose(found.pose, np.zeros((1, 22, 3)), atol=1e-6)
    assert found.trans is not None
    np.testing.assert_allclose(found.trans, [[1, 3, -2]], atol=1e-6)  # height 3 becomes y
    joints = load_body().joints(torch.from_numpy(found.pose))[0]
    assert joints[15, 1] > 0.5  # the head is up


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"poses": np.zeros((4, 100))}, r"'poses' has shape \(4, 100\)"),
        ({"poses": np.zeros(156)}, r"'poses' has shape \(156,\)"),
        ({"pose": np.zeros((4, 24, 3))}, r"'pose' has shape \(4, 24, 3\)"),
        ({"pose": np.zeros((0, 22, 3))}, "holds no frame"),
        ({"joints": np.zeros((4, 22, 3))}, "holds joints, but no 'pose'"),
        ({"pose": np.zeros((4, 22, 3)), "trans": np.zeros((5, 3))}, r"'trans' has shape \(5, 3\)"),
        ({"pose": np.full((1, 22, 3), np.inf)}, "of frame 0 is not finite"),
        ({"pose": np.array([{"a": 1}])}, r"not an \.npz of plain arrays"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=message) as caught:
        read_poses(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_poses(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(UserError, match=r"not an \.npz"):
        read_poses(tmp_path / "text.npz")
    np.save(tmp_path / "array.npy", some_poses())
    with pytest.raises(UserError, match="a single array"):
        read_poses(tmp_path / "array.npy")
