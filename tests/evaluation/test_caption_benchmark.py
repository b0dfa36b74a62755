"""The benchmark captions: prompts that are true of the pose they come from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.mocap.clips import facing_forward
from pose_rft.data.splits import is_held_out
from pose_rft.errors import UserError
from pose_rft.evaluation import caption_benchmark as captions
from pose_rft.evaluation.benchmarks import evaluate, load_benchmark
from pose_rft.evaluation.caption_benchmark import captioned_poses, procedural_poses, recorded_poses, spread
from pose_rft.posescript.checks import measure, satisfaction

HELD_OUT = next(name for name in map(str, range(100)) if is_held_out(name))
TRAINED = next(name for name in map(str, range(100)) if not is_held_out(name))


def poses(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 22, 3, generator=torch.Generator().manual_seed(seed)) * 0.4


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_about_one_recording_in_four_is_kept_out() -> None:
    # 2000 names: 500 expected, standard deviation 19; five of those to each side.
    assert 400 < sum(is_held_out(f"clip {n}") for n in range(2000)) < 600


def test_a_recorded_pose_meets_every_check_of_its_own_caption() -> None:
    samples = captioned_poses(poses(30), "test")
    assert len(samples) > 20
    for sample in samples:
        assert satisfaction(sample.checks, load_body().joints(torch.as_tensor(sample.pose))).item() == 1


def test_prompts_are_spread_over_the_recording() -> None:
    recording = poses(101)
    first, *_, last = captioned_poses(recording, "test", limit=11)
    assert (np.asarray(first.pose)[1:] == recording[0, 1:].numpy()).all()
    assert (np.asarray(last.pose)[1:] == recording[100, 1:].numpy()).all()


def test_rows_are_spread_evenly_or_by_weight() -> None:
    assert spread(101, 11).tolist() == list(range(0, 101, 10))
    assert spread(3, 5).tolist() == [0, 1, 2]
    # The first ten weigh as much as the ninety that follow.
    chosen = spread(100, 21, np.array([9.0] * 10 + [1.0] * 90))
    assert (chosen < 10).sum() == pytest.approx(10, abs=1)
    assert spread(100, 10, np.array([1000.0] + [1.0] * 99)).tolist()[0] == 0


def test_short_clips_are_asked_for_more_densely_than_long_ones(tmp_path: Path) -> None:
    pose = poses(104, seed=3)
    path = save(tmp_path / "poses.npz", pose=pose.numpy(), sequence=np.array(["deepmimic_run"] * 4 + [HELD_OUT] * 100))
    samples, _ = load_benchmark("captions", poses=path, limit=12)
    own = {pose[row, 1:].numpy().tobytes() for row in range(4)}
    # Square roots of the lengths are 2 and 10: two of twelve, where even steps would ask for one.
    assert sum(np.asarray(sample.pose)[1:].tobytes() in own for sample in samples) == 2


def test_recorded_poses_are_turned_to_face_forward_and_changed_in_nothing_else() -> None:
    before, after = load_body().joints(poses(20)), load_body().joints(facing_forward(poses(20)))
    assert measure("turn()", after).abs().max() < 0.01
    torch.testing.assert_close(after[..., 1], before[..., 1], atol=1e-4, rtol=0)  # heights
    for expression in ("lean()", "pitch()", "front(left_wrist)", "angle(right_hip)"):
        torch.testing.assert_close(measure(expression, after), measure(expression, before), atol=0.05, rtol=0)


def test_only_poses_of_recordings_kept_out_are_asked_for(tmp_path: Path) -> None:
    pose = poses(6)
    path = save(tmp_path / "poses.npz", pose=pose.numpy(), sequence=np.array([TRAINED] * 4 + [HELD_OUT] * 2))
    held_out, training = recorded_poses(path)
    assert (held_out.pose == pose[4:].numpy()).all()
    assert (training.pose == pose[:4].numpy()).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "no readable 'sequence'"),
        ({"sequence": np.array([TRAINED] * 3)}, "one recording for each pose"),
        ({"sequence": np.array([TRAINED] * 2)}, "keeps out"),
        ({"sequence": np.array([None, 1], dtype=object)}, "no readable 'sequence'"),
    ],
)
def test_a_file_without_usable_recordings_is_refused(tmp_path: Path, arrays: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        recorded_poses(save(tmp_path / "poses.npz", pose=poses(2).numpy(), **arrays))


def test_a_policy_that_answers_with_the_recorded_pose_is_perfect(tmp_path: Path, fake_policy: Any) -> None:
    pose = poses(12)
    both = torch.cat([pose, facing_forward(pose) + 0.1])
    path = save(tmp_path / "poses.npz", pose=both.numpy(), sequence=np.array([HELD_OUT] * 12 + [TRAINED] * 12))
    recorded = {sample.prompt: torch.as_tensor(sample.pose) for sample in captioned_poses(pose, "test")}
    result = evaluate("captions", fake_policy(lambda prompt, *_: recorded[prompt]), poses=path, num_samples=1)
    assert result["mean_pose"]["satisfaction"]["mean"] == 1
    for distance in ("mpjpe_mm", "pa_mpjpe_mm"):
        assert result["mean_pose"][distance]["mean"] == pytest.approx(0, abs=0.01)
    # As far from what policies learn from as the recorded poses themselves are.
    recorded_mm = result["references"]["recorded poses"]["nearest_mm"]["mean"]
    assert recorded_mm > 10
    assert result["mean_pose"]["nearest_mm"]["mean"] == pytest.approx(recorded_mm, rel=1e-3)


def test_procedural_poses_are_fresh_for_every_seed_and_the_same_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captions, "load_concepts", lambda: load_concepts()[:3])
    first, again, other = procedural_poses(1), procedural_poses(1), procedural_poses(2)
    assert first.shape == (3 * 16, 22, 3)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
