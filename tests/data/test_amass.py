from pathlib import Path

import numpy as np
import pytest
import roma
import torch

from pose_rft.data.readers.amass import read_amass
from pose_rft.errors import UserError


def recording(path: Path, frames: int = 120, width: int = 156, rate: float = 120.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    poses = np.zeros((frames, width))
    poses[:, 0] = np.pi / 2  # AMASS stands people up along z
    poses[:, 3] = np.arange(frames) / 100  # marks the frame in the left hip
    np.savez(path, poses=poses, trans=np.zeros((frames, 3)), mocap_framerate=rate)


def test_recordings_are_thinned_named_and_turned_upright(tmp_path: Path) -> None:
    recording(tmp_path / "CMU" / "01" / "01_poses.npz")
    recording(tmp_path / "KIT" / "walk_poses.npz", frames=30, rate=30.0)
    np.savez(tmp_path / "KIT" / "shape.npz", betas=np.zeros(16))
    clips = read_amass(tmp_path, fps=10)
    assert clips.names == ["CMU/01/01_poses", "KIT/walk_poses"]
    assert clips.pose.shape == (20, 22, 3)  # a second of each at ten a second
    assert clips.pose[:10, 1, 0].tolist() == pytest.approx([0.12 * i for i in range(10)])
    upright = roma.rotvec_to_rotmat(torch.from_numpy(clips.pose[:, 0]))
    assert torch.allclose(upright, torch.eye(3).expand(20, 3, 3), atol=1e-5)


def test_a_directory_says_once_what_was_taken_for_granted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recording(tmp_path / "a.npz")
    recording(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", poses=np.zeros((2, 156)))  # stands with y up, lies with z
    clips = read_amass(tmp_path)
    assert np.abs(clips.pose[:, 0]).max() < 1e-6
    assert [record.message.split(": ", 1)[1] for record in caplog.records] == [
        "in 2 of 3 files z is taken to point up, as in AMASS (--up y if y does)",
        "in 1 of 3 files y is taken to point up, as the poses stand then (--up z lays them down)",
    ]


def test_frames_are_kept_where_the_recording_is_slower_than_asked(tmp_path: Path) -> None:
    recording(tmp_path / "slow.npz", frames=7, rate=5.0)
    assert len(read_amass(tmp_path, fps=10)) == 7


def test_a_wrong_shape_names_the_file(tmp_path: Path) -> None:
    recording(tmp_path / "bad.npz", width=100)
    with pytest.raises(UserError, match=r"bad\.npz: 'poses' has shape \(120, 100\)"):
        read_amass(tmp_path)


def test_an_empty_or_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \.npz recordings"):
        read_amass(tmp_path)
    with pytest.raises(UserError, match="no such directory"):
        read_amass(tmp_path / "absent")
    with pytest.raises(UserError, match="fps is 0"):
        read_amass(tmp_path, fps=0)
