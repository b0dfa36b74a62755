import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import roma
import torch

from pose_rft.body import load_body
from pose_rft.body.pose import FileOptions, Pose
from pose_rft.body.pose_files import read_poses, write_amass
from pose_rft.errors import UserError


def some_poses(frames: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(frames, 22, 3)).astype(np.float32)


def test_written_files_have_amass_s_keys_and_shapes(tmp_path: Path) -> None:
    write_amass(tmp_path / "a.npz", some_poses(), fps=120)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as data:
        assert sorted(data.files) == ["betas", "gender", "mocap_framerate", "poses", "trans", "up"]
        assert str(data["up"]) == "y"
        assert data["poses"].shape == (3, 156)
        assert data["trans"].shape == (3, 3)
        assert data["betas"].shape == (16,)
        assert str(data["gender"]) == "neutral"
        assert float(data["mocap_framerate"]) == 120
        np.testing.assert_array_equal(data["poses"][:, :66].reshape(3, 22, 3), some_poses())
        assert not data["poses"][:, 66:].any()  # flat hands


def test_what_blender_s_smplx_add_on_asks_for_is_there(tmp_path: Path) -> None:
    # Its operator "Add Animation" needs these five arrays, 55 joints, a gender that is a text and 30 frames a second.
    Pose.from_axis_angle(some_poses()[0]).save(tmp_path / "a.npz", FileOptions(npz="smplx"))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as data:
        assert {"trans", "gender", "mocap_framerate", "betas", "poses"} <= set(data.files)
        assert data["poses"].shape == (1, 165)
        assert str(data["gender"]) in ("female", "male", "neutral")
        assert int(data["mocap_framerate"]) >= 30
    np.testing.assert_array_equal(read_poses(tmp_path / "a.npz").pose, some_poses()[:1])


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
    np.savez(tmp_path / "a.npz", poses=poses, up="y")
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


# ---- which way is up ----


def turned(pose: np.ndarray, degrees: float) -> np.ndarray:
    """Poses (N, 22, 3) whose whole body is turned about x; 90 degrees takes y to z."""
    turn = roma.rotvec_to_rotmat(torch.tensor([np.radians(degrees), 0.0, 0.0], dtype=torch.float32))
    root = roma.rotmat_to_rotvec(turn @ roma.rotvec_to_rotmat(torch.from_numpy(pose[:, 0])))
    return np.concatenate([root.numpy()[:, None], pose[:, 1:]], axis=1)


STANDING = np.zeros((4, 22, 3), np.float32)
STANDING[:, 0, 1] = [0.0, 0.5, 1.0, 3.0]  # facing four ways
STANDING[:, 18, 1] = 1.2  # an elbow is bent
Z_UP = turned(STANDING, 90)
ON_THE_FRONT = turned(STANDING[:1], 90)  # the same array as a body that stands in a z-up world


def wide(pose: np.ndarray, width: int = 156) -> np.ndarray:
    return np.pad(pose.reshape(len(pose), -1), [(0, 0), (0, width - 66)])


def parts(root: str, body: str, pose: np.ndarray) -> dict[str, np.ndarray]:
    return {root: pose[:, 0], body: pose[:, 1:].reshape(len(pose), -1)}


def same_rotations(found: np.ndarray, expected: np.ndarray) -> bool:
    pair = (roma.rotvec_to_rotmat(torch.from_numpy(np.asarray(one, np.float32))) for one in (found, expected))
    return torch.allclose(*pair, atol=1e-4)


@pytest.mark.parametrize(
    "arrays",
    [
        {"poses": wide(Z_UP)},
        {"poses": wide(Z_UP, 165), "gender": np.array("male")},
        parts("root_orient", "pose_body", Z_UP),
        parts("global_orient", "body_pose", Z_UP),
        {"pose": Z_UP, "up": np.array("z")},
        {"poses": wide(Z_UP), "up": np.array([b"Z"])},
        {"poses": wide(STANDING)},
        parts("root_orient", "pose_body", STANDING),
        parts("global_orient", "body_pose", STANDING),
        {"pose": STANDING},
        {"poses": wide(STANDING), "up": np.array("y")},
    ],
)
def test_a_standing_body_stands_whichever_axis_points_up(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    assert same_rotations(read_poses(tmp_path / "a.npz").pose, STANDING)


def test_what_the_user_says_comes_before_the_file_and_the_file_before_its_poses(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", poses=wide(Z_UP), up="z")
    assert same_rotations(read_poses(tmp_path / "a.npz", up="y").pose, Z_UP)
    np.savez(tmp_path / "b.npz", poses=wide(STANDING), up="z")
    assert same_rotations(read_poses(tmp_path / "b.npz").pose, turned(STANDING, -90))


def test_poses_that_stand_in_part_do_not_overrule_amass(tmp_path: Path) -> None:
    mixed = np.concatenate([STANDING, Z_UP])
    np.savez(tmp_path / "a.npz", poses=wide(mixed))
    assert same_rotations(read_poses(tmp_path / "a.npz").pose, turned(mixed, -90))


def test_a_body_on_its_front_stays_there_in_our_own_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_amass(tmp_path / "a.npz", ON_THE_FRONT)
    assert same_rotations(read_poses(tmp_path / "a.npz").pose, ON_THE_FRONT)
    assert not caplog.records  # the file says which way is up
    np.savez(tmp_path / "b.npz", pose=ON_THE_FRONT)
    assert same_rotations(read_poses(tmp_path / "b.npz").pose, ON_THE_FRONT)
    assert "every pose lies; if they stand, say --up z" in caplog.text


def test_what_is_taken_for_granted_is_said_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.savez(tmp_path / "a.npz", poses=np.degrees(wide(Z_UP)))
    read_poses(tmp_path / "a.npz")
    (record,) = caplog.records
    assert record.message.startswith(f"{tmp_path}/a.npz: 'poses' is read as degrees")
    assert "z is taken to point up, as in AMASS" in record.message
    assert "\n" not in record.message


def test_an_up_that_names_no_axis_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", poses=wide(STANDING), up="north")
    with pytest.raises(UserError, match="its 'up' is 'north'; write y or z there, or say --up y or --up z"):
        read_poses(tmp_path / "a.npz")
    assert same_rotations(read_poses(tmp_path / "a.npz", up="y").pose, STANDING)


# ---- layouts ----


def matrices(pose: np.ndarray) -> np.ndarray:
    return roma.rotvec_to_rotmat(torch.from_numpy(pose)).numpy()


def with_hands(pose: np.ndarray) -> np.ndarray:
    """(N, 24, 3): SMPL's joints."""
    return np.pad(pose, [(0, 0), (0, 2), (0, 0)])


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"pose": with_hands(STANDING)}, STANDING),
        ({"poses": with_hands(STANDING)}, STANDING),
        ({"poses": wide(STANDING, 72)}, STANDING),
        ({"pose": STANDING[0]}, STANDING[:1]),
        ({"pose": STANDING[:, 1:].reshape(4, 63)}, np.concatenate([0 * STANDING[:, :1], STANDING[:, 1:]], axis=1)),
        ({"body_pose": STANDING[:, 1:]}, np.concatenate([0 * STANDING[:, :1], STANDING[:, 1:]], axis=1)),
        ({"pose": matrices(STANDING)}, STANDING),
        ({"pose": matrices(with_hands(STANDING))}, STANDING),
        ({"pose": matrices(STANDING).reshape(4, 22, 9)}, STANDING),
        ({"global_orient": matrices(STANDING)[:, :1], "body_pose": matrices(with_hands(STANDING))[:, 1:]}, STANDING),
        ({"global_orient": STANDING[:, :1], "body_pose": wide(STANDING, 72)[:, 3:]}, STANDING),
        ({"pose": np.degrees(STANDING)}, STANDING),
        ({"poses": np.degrees(wide(STANDING))}, STANDING),
        ({"pose": np.degrees(STANDING).round().astype(int)}, np.radians(np.degrees(STANDING).round())),
    ],
)
def test_layouts_with_one_meaning_are_read(tmp_path: Path, arrays: dict[str, np.ndarray], expected: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    assert same_rotations(read_poses(tmp_path / "a.npz").pose, expected)


def test_a_plain_array_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", wide(Z_UP))
    assert same_rotations(read_poses(tmp_path / "a.npy").pose, STANDING)


NOT_NEEDED = {
    "gender": np.array({"a": 1}),
    "mocap_framerate": np.array([None]),
    "trans": np.zeros((9, 2)),
    "betas": np.array(["tall"]),
    "sequence": np.zeros(7),
    "marker_data": np.array([object()]),
}


@pytest.mark.parametrize("name", NOT_NEEDED)
def test_what_is_not_needed_makes_no_file_fail(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "a.npz", pose=STANDING, **{name: NOT_NEEDED[name]})
    found = read_poses(tmp_path / "a.npz")
    np.testing.assert_array_equal(found.pose, STANDING)
    assert (found.trans, found.betas, found.gender, found.fps, found.sequence) == (None, None, "neutral", None, None)


def test_numbers_beside_the_poses_come_in_many_shapes(tmp_path: Path) -> None:
    betas = np.tile(np.arange(10.0), (4, 1))
    np.savez(tmp_path / "a.npz", pose=STANDING, betas=betas, fps=np.array([[60]]), gender=np.array([b"female"]))
    found = read_poses(tmp_path / "a.npz")
    assert (found.fps, found.gender) == (60, "female")
    np.testing.assert_array_equal(found.betas, np.arange(10.0))


ROW = np.zeros((4, 22, 3))
ROW[2, 5, 0] = 1000.0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"poses": np.zeros((4, 100))}, r"'poses' has shape \(4, 100\)"),
        ({"pose": np.zeros((4, 22, 6))}, r"'pose' has shape \(4, 22, 6\)"),
        ({"pose": np.zeros((4, 22, 4))}, r"'pose' has shape \(4, 22, 4\)"),
        ({"pose": np.zeros((0, 22, 3))}, "holds no frame"),
        ({"pose": np.zeros((0, 22, 3, 3))}, "holds no frame"),
        ({"joints": np.zeros((4, 22, 3))}, "holds joints, but no 'pose'"),
        ({"root_orient": np.zeros((4, 3))}, "holds root_orient, but no 'pose'"),
        ({"root_orient": np.zeros((5, 3)), "pose_body": np.zeros((4, 63))}, "'root_orient' has 5 frames"),
        ({"pose": np.full((1, 22, 3), np.inf)}, "of frame 0 is not finite"),
        ({"pose": np.full((1, 22, 3), 1e60)}, "of frame 0 is not finite"),
        ({"pose": ROW}, "'pose' of frame 2 turns the right_knee by 1000 radians"),
        ({"pose": np.ones((4, 22, 3, 3))}, "'pose' of frame 0 holds no rotation matrices"),
        ({"pose": -np.broadcast_to(np.eye(3), (4, 22, 3, 3))}, "'pose' of frame 0 holds no rotation matrices"),
        ({"pose": np.array([{"a": 1}])}, r"not an \.npz of plain arrays"),
        ({"pose": np.full((4, 22, 3), "x")}, "holds no numbers"),
        ({"pose": np.zeros((4, 22, 3), complex)}, "holds no numbers"),
        ({}, "holds nothing, but no 'pose'"),
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
    with pytest.raises(UserError, match="is a directory"):
        read_poses(tmp_path)
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(UserError, match=r"not an \.npz"):
        read_poses(tmp_path / "text.npz")


@pytest.mark.parametrize("name", ["bodies.pkl", "bodies.npz"])
@pytest.mark.parametrize("key", ["poses", "smpl_poses"])
def test_a_pickle_is_not_opened_but_the_line_says_how_to_convert_it(tmp_path: Path, name: str, key: str) -> None:
    people = [wide(Z_UP, 72), wide(Z_UP, 72)] if key == "poses" else wide(Z_UP, 72)  # as 3DPW and AIST++ have them
    (tmp_path / name).write_bytes(pickle.dumps({key: people}, protocol=2))
    with pytest.raises(UserError, match="pickles are not read, as they can run code") as caught:
        read_poses(tmp_path / name)
    assert "\n" not in str(caught.value)
    snippet = str(caught.value).split('python -c "')[1].removesuffix('"')
    subprocess.run([sys.executable, "-c", snippet], check=True)
    found = read_poses(tmp_path / "bodies.plain.npz").pose
    assert same_rotations(found[:4], STANDING)
    assert len(found) == (8 if key == "poses" else 4)
