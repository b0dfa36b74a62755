from pathlib import Path

import numpy as np
import pytest

from pose_rft.data.mocap.clips import concatenated, everyday_phrases, read_mocap, train_test_split
from pose_rft.data.splits import is_held_out
from pose_rft.data.verbs import with_verb
from pose_rft.errors import UserError


def saved(path: Path, **changes) -> Path:
    arrays = {
        "pose": np.zeros((6, 22, 3), np.float32),
        "sequence": np.array(["a", "a", "b", "b", "c", "c"]),
        "description": np.array(["walk"] * 6),
    } | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def test_clips_are_read(tmp_path: Path) -> None:
    clips = read_mocap(saved(tmp_path / "clips.npz"))
    assert len(clips) == 6
    assert clips.names == ["a", "b", "c"]
    assert read_mocap(saved(tmp_path / "plain.npz", description=None)).description.tolist() == [""] * 6


def test_a_clip_is_in_one_split_only_and_its_name_alone_decides(tmp_path: Path) -> None:
    names = np.array([f"{i // 10:03d}_{i % 10:02d}" for i in range(200)])
    clips = read_mocap(
        saved(tmp_path / "many.npz", pose=np.zeros((400, 22, 3)), sequence=np.repeat(names, 2), description=None)
    )
    train, test = train_test_split(clips)
    assert not set(train.names) & set(test.names)
    assert len(train) + len(test) == 400
    assert 30 <= len(test.names) <= 70  # a quarter of 200
    assert test.names == [name for name in names.tolist() if is_held_out(name)]


def test_readers_can_be_put_together(tmp_path: Path) -> None:
    clips = read_mocap(saved(tmp_path / "clips.npz"))
    assert len(concatenated([clips, clips])) == 12


@pytest.mark.parametrize(
    ("description", "phrase"),
    [
        ("walk", "walking"),
        ("walk on uneven terrain", "walking on uneven ground"),
        ("basketball - forward dribble", "dribbling a basketball"),
        ("dance - small jetes, pirouette", "doing a pirouette"),
        ("punch/strike", "throwing punches"),
    ],
)
def test_descriptions_have_everyday_words(description: str, phrase: str) -> None:
    phrases = everyday_phrases(description)
    assert phrase in phrases
    for text in phrases:
        assert with_verb(text) != text
    assert everyday_phrases("calibration") == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pose": np.zeros((6, 20, 3))}, r"'pose' has shape \(6, 20, 3\)"),
        ({"sequence": None}, "no readable 'sequence'"),
        ({"sequence": np.array(["a"])}, "one recording for each pose"),
        ({"pose": np.full((6, 22, 3), np.nan)}, "'pose' of frame 0 is not finite"),
        ({"sequence": np.array([None] * 6, dtype=object)}, "no readable 'sequence'"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_mocap(saved(tmp_path / "bad.npz", **changes))


def test_a_missing_file_and_a_file_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_mocap(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(UserError, match=r"not an \.npz"):
        read_mocap(tmp_path / "text.npz")
    np.save(tmp_path / "array.npy", np.zeros((3, 22, 3)))
    with pytest.raises(UserError, match="no readable 'sequence'"):
        read_mocap(tmp_path / "array.npy")
