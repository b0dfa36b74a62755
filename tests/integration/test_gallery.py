"""scripts/posescript_gallery.py: one page that needs nothing beside it."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "posescript_gallery.py"


@pytest.fixture
def gallery(monkeypatch):
    """``gallery("out.html", "--count", 2)`` runs the script and returns its exit status."""

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", [SCRIPT.name, *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return int(leaving.value.code or 0)

    return run


def test_the_page_holds_its_pictures_and_words(gallery, tmp_path):
    pose = np.random.default_rng(0).normal(0, 0.4, (4, 22, 3)).astype(np.float32)
    np.savez(tmp_path / "poses.npz", pose=pose)
    assert gallery(tmp_path / "page.html", "--poses", tmp_path / "poses.npz", "--count", 2, "--pairs", 5) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("data:image/webp;base64,") == 2 + 2  # two poses, and the one pair that they make
    assert [page.count(f"<small>{style}</small>") for style in ("short", "medium", "full")] == [2, 3, 3]
    assert not re.search(r'(?:src|href)="(?!data:)', page)


def test_without_poses_it_draws_some_of_its_own(gallery, tmp_path):
    assert gallery(tmp_path / "page.html", "--count", 1) == 0
    assert "Edit instructions" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_mistake_is_one_line_and_leaves_the_old_page(gallery, tmp_path, capsys):
    (tmp_path / "page.html").write_text("kept")
    assert gallery(tmp_path / "page.html", "--poses", tmp_path / "absent.npz") == 2
    error = capsys.readouterr().err
    assert "absent.npz: no such file" in error
    assert error.count("\n") == 1
    assert (tmp_path / "page.html").read_text() == "kept"
