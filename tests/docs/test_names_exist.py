"""What the documentation names exists: modules and their members, files, links and the headings that links point to.

docs/log.md and CHANGELOG.md are left out: they are history, and say what there was when an entry was written.
"""

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "pose_rft"
PAGES = sorted(
    {*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md"), ROOT / "docs" / "notebook.ipynb"}
    - {ROOT / "docs" / "log.md", ROOT / "CHANGELOG.md"}
)
FOLDERS = "benchmarks|configs|docs|examples|requirements|scripts|src|tests"
ROOMS = "|".join(path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "runs")  # where runs go, too
DOTTED = re.compile(r"(?<![\w/.-])(?:pose_rft|benchmarks)(?:\.[A-Za-z_]\w*)+")
FILE = re.compile(rf"(?<![\w./-])((?:{FOLDERS}|{ROOMS})/[\w./-]*\w)(?![\w*<{{])")
BASE_FILE = re.compile(r"`([\w./-]+\.(?:py|yaml|sh|toml))`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", flags=re.MULTILINE | re.DOTALL)


def names(path: str) -> bool:
    """Whether a dotted path is a module, or something in one."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            if not hasattr(found, name):
                return isinstance(found, type) and name in found.__annotations__
            found = getattr(found, name)
        return True
    return False


def is_file(path: str) -> bool:
    """Whether a path is there, seen from the checkout or from the package."""
    return (ROOT / path).exists() or (PACKAGE / path).exists()


def anchors(page: Path) -> set[str]:
    """What links may point to in a page: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def imported(code: str) -> list[str]:
    """Dotted paths that a piece of Python imports from the package."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pose_rft"):
            found += [f"{node.module}.{alias.name}" for alias in node.names if alias.name != "*"]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path):
    text = page.read_text(encoding="utf-8")
    missing = [path for path in sorted(set(DOTTED.findall(text))) if "NAME" not in path and not names(path)]
    shown = set(re.findall(r"^# (\w+\.py)$", text, flags=re.MULTILINE))  # files that a block of the page is
    files = {*FILE.findall(text), *BASE_FILE.findall(text)} - shown
    missing += [path for path in sorted(files) if "NAME" not in path and not is_file(path)]
    for language, code in CODE.findall(text):
        if language == "python":
            missing += [path for path in imported(code) if not names(path)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page: Path):
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_what_is_missing_is_found():
    assert names("pose_rft.hygrpo.advantages.group_advantages")
    assert not names("pose_rft.hygrpo.no_such_thing")
    assert is_file("hygrpo/advantages.py")
    assert not is_file("posescript/retrieval.py")
    assert imported("from pose_rft.body import Pose, gone") == ["pose_rft.body.Pose", "pose_rft.body.gone"]
    assert FILE.findall("see `configs/quick_sft.yaml` and runs/x, docs/hygrpo.md.") == [
        "configs/quick_sft.yaml",
        "docs/hygrpo.md",
    ]
