from pathlib import Path

import numpy as np
import pytest

from pose_rft.data.mocap.clips import (
    MocapClips,
    concatenated,
    drawing_weights,
    everyday_phrases,
    read_mocap,
    train_test_split,
)
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


def named(*sequence: str) -> MocapClips:
    """One pose of each of the clips."""
    return MocapClips(np.zeros((len(sequence), 22, 3), np.float32), np.array(sequence), np.full(len(sequence), ""))


def test_clips_are_read(tmp_path: Path) -> None:
    clips = read_mocap(saved(tmp_path / "clips.npz"))
    assert len(clips) == 6
    assert clips.names == ["a", "b", "c"]
    assert read_mocap(saved(tmp_path / "plain.npz", description=None)).description.tolist() == [""] * 6


def test_a_clip_is_in_one_split_only_and_its_name_alone_decides(tmp_path: Path) -> None:
    names = np.array([f"clip {i}" for i in range(200)])
    clips = read_mocap(
        saved(tmp_path / "many.npz", pose=np.zeros((400, 22, 3)), sequence=np.repeat(names, 2), description=None)
    )
    train, test = train_test_split(clips)
    assert not set(train.names) & set(test.names)
    assert len(train) + len(test) == 400
    assert 30 <= len(test.names) <= 70  # a quarter of 200
    assert test.names == [name for name in names.tolist() if is_held_out(name)]


def test_a_clip_is_drawn_by_the_square_root_of_its_length() -> None:
    weights = drawing_weights(named("014_01", *["014_02"] * 4, *["fair_dab"] * 9))
    assert weights[0] == pytest.approx(1 / 6)  # square roots of the lengths: 1 + 2 + 3
    assert weights[1:5].sum() == pytest.approx(2 / 6)
    assert weights[5:].sum() == pytest.approx(3 / 6)


def test_an_exercise_of_many_subjects_counts_as_one_clip_of_their_mean_length() -> None:
    repetitions = [
        f"uiprmd_{subject}_m01_{episode}" for subject in ("s01", "s02") for episode in ("e02", "e05", "e03i")
    ]
    weights = drawing_weights(named(*repetitions * 3, *["014_02"] * 9, *["uiprmd_s01_m02_e02"] * 9))
    assert weights[:18].sum() == pytest.approx(1 / 3)  # 9 poses of each of two subjects, as long as the others' 9
    assert weights[18:27].sum() == pytest.approx(1 / 3)


def test_several_files_are_read_as_one(tmp_path: Path) -> None:
    saved(tmp_path / "b_poses.npz")
    saved(tmp_path / "a_poses.npz", sequence=np.array(["d"] * 6))
    assert read_mocap(tmp_path / "*_poses.npz").names == read_mocap(tmp_path).names == ["d", "a", "b", "c"]
    np.savez(tmp_path / "c_poses.npz", pose=np.zeros((1, 22, 3)))
    with pytest.raises(UserError, match=r"c_poses\.npz: no readable 'sequence'"):
        read_mocap(tmp_path)


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
        ("martial arts walks (Bassai)", "doing karate"),
        ("start walk stop, Michael Jackson style", "dancing like Michael Jackson"),
        ("jumping jacks, side twists, squats, jog", "exercising"),
        ("dance body roll", "dancing"),
        ("stealthy walk", "sneaking"),
        ("climb 3 steps", "climbing stairs"),
        ("deep squat", "doing a physiotherapy exercise"),
    ],
)
def test_descriptions_have_everyday_words(description: str, phrase: str) -> None:
    phrases = everyday_phrases(description)
    assert phrase in phrases
    for text in phrases:
        assert with_verb(text) != text


@pytest.mark.parametrize(
    "description",
    ["calibration", "deep squat, incorrect form", "climb ladder", "cartwheel", "animal behaviors: dance, whale"],
)
def test_what_only_some_frames_show_has_no_everyday_words(description: str) -> None:
    assert everyday_phrases(description) == ()


def test_a_squat_is_not_called_one_as_most_frames_of_the_exercise_stand() -> None:
    assert not any("squat" in phrase for phrase in everyday_phrases("deep squat"))


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
