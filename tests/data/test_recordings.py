"""Recordings are found by their path, or by name in the folder POSE_RFT_MOCAP."""

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
    assert find_recordings("cmu.npz") == folder / "cmu.npz"
    (folder.parent / "here" / "cmu.npz").touch()
    assert str(find_recordings("cmu.npz")) == "cmu.npz"


def test_what_is_nowhere_is_told_with_what_to_do(folder, monkeypatch):
    with pytest.raises(UserError, match=f"^absent.npz: no such file, neither here nor in {folder}"):
        find_recordings("absent.npz")
    monkeypatch.delenv("POSE_RFT_MOCAP")
    with pytest.raises(UserError, match="POSE_RFT_MOCAP is not set; give a file, or set POSE_RFT_MOCAP to the folder"):
        find_recordings("cmu.npz")
