"""Descriptions by hand, and the recorded poses that they name."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data import foreign
from pose_rft.data.everyday import is_everyday_prompt
from pose_rft.data.foreign import DescribedPose, Description, described_poses, foreign_captions
from pose_rft.data.splits import is_held_out
from pose_rft.errors import UserError
from pose_rft.posescript.checks import measure

TEXTS = [caption.text for entry in described_poses() for caption in entry.captions]


def test_there_are_enough_descriptions_of_enough_different_poses() -> None:
    assert len(TEXTS) == len(set(TEXTS)) >= 320
    assert (
        len({(entry.file, entry.sequence, entry.frame) for entry in described_poses()}) == len(described_poses()) >= 160
    )
    assert all(len(entry.captions) >= 2 for entry in described_poses())


def test_every_described_pose_is_of_a_recording_that_training_never_sees() -> None:
    assert [entry.sequence for entry in described_poses() if not is_held_out(entry.sequence)] == []


def test_a_third_is_for_choosing_settings_and_no_recording_is_in_both_parts() -> None:
    parts = defaultdict(set)
    for entry in described_poses():
        parts[entry.sequence].add(entry.split)
    assert all(len(splits) == 1 for splits in parts.values())
    assert sum(entry.split == "dev" for entry in described_poses()) == pytest.approx(len(described_poses()) / 3, abs=1)


@pytest.mark.parametrize(("frame", "length"), [(f, n) for f in ("body", "viewer") for n in ("short", "long")])
def test_both_frames_and_both_lengths_are_there(frame: str, length: str) -> None:
    captions = [caption for entry in described_poses() for caption in entry.captions]
    assert sum((caption.frame_of, caption.length) == (frame, length) for caption in captions) >= 25


def test_no_description_is_a_prompt_of_the_other_benchmark_or_begins_like_many_others() -> None:
    assert not any(map(is_everyday_prompt, TEXTS))
    starts = [" ".join(re.findall(r"\w+", text.lower())[:4]) for text in TEXTS]
    assert max(map(starts.count, starts)) <= 8  # no template


ENTRIES = (
    DescribedPose("a_poses.npz", "run", 1, "dev", (Description("running", "body", "short"),)),
    DescribedPose("b_poses.npz", "sit", 0, "test", (Description("sat down", "viewer", "short"),) * 2),
)


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(foreign, "described_poses", lambda: ENTRIES)
    save(tmp_path / "a_poses.npz", ["walk", "run", "run"])
    save(tmp_path / "b_poses.npz", ["sit", "sit", "sit"])
    return tmp_path


def save(path: Path, sequence: list[str]) -> None:
    generator = np.random.default_rng(len(sequence[0]))
    np.savez(path, pose=generator.normal(0, 0.4, (3, 22, 3)).astype(np.float32), sequence=np.array(sequence))


def test_a_pose_is_the_nth_of_its_recording_and_faces_forward(recordings: Path) -> None:
    (sample,) = foreign_captions(recordings, "dev")
    with np.load(recordings / "a_poses.npz") as arrays:
        assert (np.asarray(sample.pose)[1:] == arrays["pose"][2, 1:]).all()
    assert abs(measure("turn()", load_body().joints(torch.as_tensor(sample.pose)[None])).item()) < 0.01


def test_every_description_is_a_prompt_of_its_part(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSE_RFT_MOCAP", str(recordings))
    assert [sample.prompt for sample in foreign_captions()] == ["sat down"] * 2
    assert {sample.category for sample in foreign_captions(split="all")} == {"body, short", "viewer, short"}


def run_is_short(folder: Path) -> None:
    save(folder / "a_poses.npz", ["walk", "walk", "run"])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            lambda folder: (folder / "b_poses.npz").unlink(),
            r"poses of b_poses\.npz, which are not there; give the folder",
        ),
        (run_is_short, r"a_poses\.npz: has 1 poses of run, .*number 1, .*give that file whole"),
    ],
)
def test_recordings_that_lack_a_described_pose_are_named_in_one_line(recordings: Path, harm: Any, message: str) -> None:
    harm(recordings)
    with pytest.raises(UserError, match=message) as error:
        foreign_captions(recordings, "all")
    assert "\n" not in str(error.value)


def test_without_recordings_the_message_says_where_to_put_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("POSE_RFT_MOCAP", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="set POSE_RFT_MOCAP"):
        foreign_captions()


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(UserError, match="dev, test, all"):
        foreign_captions(split="train")  # type: ignore[arg-type]
