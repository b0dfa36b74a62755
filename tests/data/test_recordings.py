"""Recordings are found by path, folder or pattern, here or in the folder POSE_RFT_MOCAP."""

from pathlib import Path

import pytest

from pose_rft.data.mocap.recordings import find_recordings
from pose_rft.errors import UserError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of recordings, and an empty working directory beside it."""
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "cmu.npz").touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("POSE_RFT_MOCAP", str(tmp_path / "recordings"))
    return tmp_path / "recordings"


def test_a_name_is_looked_up_in_the_folder_unless_it_is_a_path_already(folder):
    assert find_recordings("cmu.npz") == [folder / "cmu.npz"]
    (folder.parent / "here" / "cmu.npz").touch()
    assert find_recordings("cmu.npz") == [Path("cmu.npz")]


def test_a_pattern_and_a_folder_mean_all_that_is_there(folder):
    for name in ("b_poses.npz", "a_poses.npz", "README.md"):
        (folder / name).touch()
    assert find_recordings("*_poses.npz") == [folder / "a_poses.npz", folder / "b_poses.npz"]
    assert find_recordings(folder) == [folder / "a_poses.npz", folder / "b_poses.npz", folder / "cmu.npz"]
    assert find_recordings("../recordings/c*.npz") == [Path("../recordings/cmu.npz")]


@pytest.mark.parametrize("path", ["absent_*.npz", "empty"])
def test_a_pattern_that_fits_nothing_and_a_folder_without_npz_are_told(folder, path):
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="no such file, neither here nor in"):
        find_recordings(path)


def test_what_is_nowhere_is_told_with_what_to_do(folder, monkeypatch):
    with pytest.raises(UserError, match=f"^absent.npz: no such file, neither here nor in {folder}"):
        find_recordings("absent.npz")
    monkeypatch.delenv("POSE_RFT_MOCAP")
    with pytest.raises(
        UserError,
        match="POSE_RFT_MOCAP is not set; give a file, a folder or a pattern, or set POSE",
    ):
        find_recordings("cmu.npz")
