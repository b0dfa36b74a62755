"""Arrays that take long to make are made once, and anew when what they are made of changes."""

from pathlib import Path

import numpy as np
import pytest

from pose_rft import storage
from pose_rft.storage import cached_array, sources_digest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POSE_RFT_CACHE", str(tmp_path))
    return tmp_path


def test_an_array_is_made_once_for_each_digest(cache: Path) -> None:
    made = []

    def make() -> np.ndarray:
        made.append(True)
        return np.arange(3) * len(made)

    first = cached_array("numbers", "a" * 64, make)
    assert np.array_equal(cached_array("numbers", "a" * 64, make), first)
    assert len(made) == 1
    assert np.array_equal(cached_array("numbers", "b" * 64, make), 2 * first)
    assert [file.name for file in cache.iterdir()] == [f"numbers-{'b' * 16}.npy"]


def test_a_damaged_file_is_made_anew(cache: Path) -> None:
    cached_array("numbers", "a" * 64, lambda: np.ones(2))
    (cache / f"numbers-{'a' * 16}.npy").write_bytes(b"half of it")
    assert np.array_equal(cached_array("numbers", "a" * 64, lambda: np.zeros(2)), np.zeros(2))
    assert np.array_equal(cached_array("numbers", "a" * 64, lambda: np.ones(2)), np.zeros(2))


def test_a_cache_that_takes_no_files_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("POSE_RFT_CACHE", str(tmp_path / "file"))
    assert np.array_equal(cached_array("numbers", "a" * 64, lambda: np.ones(2)), np.ones(2))


def test_a_digest_changes_with_what_a_package_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "files", lambda package: tmp_path / package)
    for package in ("one", "two"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "bank.yaml").write_text(package, encoding="utf-8")
    before = sources_digest("one", "two")
    assert sources_digest("one", "two") == before
    (tmp_path / "two" / "bank.yaml").write_text("three", encoding="utf-8")
    assert sources_digest("one", "two") != before
