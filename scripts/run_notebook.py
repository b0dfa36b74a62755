"""Run docs/notebook.ipynb as a notebook does and store in it what every cell shows.

Start it with .venv/bin/python scripts/run_notebook.py; it needs no Jupyter. A cell shows what it prints and the value
of its last line: its picture, or how Python writes it.
"""

import ast
import base64
import contextlib
import io
import json
import pprint
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"
COLOURS = 128  # of a stored picture: a body on white needs no more, and the file stays small


def run_cell(source: str, namespace: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line, if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), namespace) if last else None


def png(value: Any) -> bytes | None:
    """The picture that a notebook shows for a value, in few colours; None if it has none."""
    show = getattr(value, "_repr_png_", None)
    if show is None:
        return None
    with Image.open(io.BytesIO(bytes(show()))) as picture:
        small = io.BytesIO()
        picture.convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
    return small.getvalue()


def outputs(printed: str, value: Any, number: int) -> list[dict[str, Any]]:
    """What a cell shows, in the notebook's format."""
    shown: list[dict[str, Any]] = []
    if printed:
        shown.append({"output_type": "stream", "name": "stdout", "text": printed.splitlines(keepends=True)})
    if value is not None:
        picture = png(value)
        text = f"<{type(value).__name__}>" if picture else pprint.pformat(value)
        data: dict[str, Any] = {"text/plain": text.splitlines(keepends=True)}
        if picture:
            data["image/png"] = base64.b64encode(picture).decode()
        shown.append({"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data})
    return shown


def run(notebook: dict[str, Any]) -> None:
    """Run all cells in order and put what they show into them. An error ends it."""
    page = ModuleType("__main__")  # a reward of the notebook is found as __main__.head_up
    sys.modules["__main__"] = page
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, 1):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            value = run_cell("".join(cell["source"]), vars(page))
        cell["execution_count"], cell["outputs"] = number, outputs(printed.getvalue(), value, number)


def main() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    run(notebook)
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
