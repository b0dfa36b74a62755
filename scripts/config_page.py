"""Write docs/config.md: all fields of the configs, from their dataclasses. Run it after changing one.

python scripts/config_page.py
"""

import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pose_rft.ablation.study import Study
from pose_rft.config import default_of
from pose_rft.retrieval.training import RetrievalConfig
from pose_rft.runs.rft import RftConfig
from pose_rft.runs.sft import SftConfig

PAGE = Path(__file__).parents[1] / "docs" / "config.md"
COMMANDS = {
    "pose-rft sft": SftConfig,
    "pose-rft rft": RftConfig,
    "pose-rft retrieval train": RetrievalConfig,
    "pose-rft ablate": Study,
}
HEADER = """# Config fields

`scripts/config_page.py` writes this page. A config is a YAML file of these fields; every field can be set on the
command line too, groups with dots: `--hygrpo.learning_rate 1e-4`. What a file does not set has its default. A value out
of its range, an unknown field, a field that stands twice and one that nothing would read end the command with one line.
"""
DOCUMENTED = re.compile(r"^ {4}(?:    )?(\w+(?:, \w+)*): (.*?)(?=^ {4}(?:    )?\w+(?:, \w+)*: |\Z)", re.M | re.S)


def config_page() -> str:
    """The page as Markdown."""
    sections = [f"## {command}\n\n{_table(kind)}" for command, kind in COMMANDS.items()]
    return "\n".join([HEADER, *sections])


def _table(kind: type) -> str:
    rows = ["| field | type | default | range | meaning |", "|---|---|---|---|---|"]
    for cells in _rows(kind, "", None):
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _rows(kind: type, prefix: str, default: Any) -> Iterator[tuple[str, ...]]:
    """The fields of a config and, behind each group, those of the group."""
    hints, meanings = typing.get_type_hints(kind, include_extras=True), _meanings(kind)
    for field in dataclasses.fields(kind):
        value = default_of(field) if default is None else getattr(default, field.name)
        name, kinds, limits = f"`{prefix}{field.name}`", *_type(hints[field.name])
        shown = "" if dataclasses.is_dataclass(value) else f"`{_yaml(value)}`"
        yield name, kinds, shown, limits, meanings[field.name]
        if dataclasses.is_dataclass(value):
            yield from _rows(type(value), f"{prefix}{field.name}.", value)
        named = typing.get_args(hints[field.name])
        if typing.get_origin(hints[field.name]) is dict and dataclasses.is_dataclass(named[1]):
            yield from _rows(named[1], f"{prefix}{field.name}.NAME.", None)


def _type(hint: Any) -> tuple[str, str]:
    """A type as one says it, and its range or its choices."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _type(arguments[0])[0], str(arguments[1])
    if origin is Literal:
        return "choice", ", ".join(f"`{choice}`" for choice in arguments)
    if origin in (typing.Union, types.UnionType):
        parts = [_type(option) for option in arguments]
        return " or ".join(kind for kind, _ in parts), next((limits for _, limits in parts if limits), "")
    if origin in (list, tuple, Sequence):
        return "list", ""
    if dataclasses.is_dataclass(hint) or origin is dict:
        return "group", ""
    return {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}[hint], ""


def _yaml(value: Any) -> str:
    if value is dataclasses.MISSING:
        return "must be set"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:_}" if isinstance(value, int) else str(value)


def _meanings(kind: type) -> dict[str, str]:
    """Of each field the first sentence in the docstring's section of attributes, those of its bases included."""
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        section = (base.__doc__ or "").partition("Attributes:\n")[2]
        for names, text in DOCUMENTED.findall(section):
            sentence = re.split(r"(?<!Dr)\. (?=[A-Z])", " ".join(text.split()))[0]
            meanings |= dict.fromkeys(names.split(", "), re.sub(r"(?<!\.)\.$", "", sentence))
    return meanings


if __name__ == "__main__":
    PAGE.write_text(config_page(), encoding="utf-8")
