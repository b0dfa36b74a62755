import dataclasses
import math
import runpy
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from pose_rft.config import (
    Fraction,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Range,
    read_config,
    refuse_unread,
    validate,
)
from pose_rft.errors import UserError
from pose_rft.retrieval.training import RetrievalConfig
from pose_rft.runs.rft import RftConfig
from pose_rft.runs.sft import SftConfig

ROOT = Path(__file__).parents[1]
RUNS = {"sft": SftConfig, "rft": RftConfig, "retrieval": RetrievalConfig}


@dataclass(frozen=True)
class Inner:
    width: PositiveInt = 4
    kind: Literal["a", "b"] = "a"
    share: Fraction = 0.5
    depth: NonNegativeInt = 0

    def __post_init__(self) -> None:
        validate(self)
        if not self.depth:
            refuse_unread(self, ["share"], "depth is 0")


@dataclass(frozen=True)
class Outer:
    rate: PositiveFloat = 0.1
    name: str | None = None
    inner: Inner = field(default_factory=lambda: Inner(width=7, depth=2))
    items: list[Inner] = field(default_factory=list)
    active: bool = False
    limit: PositiveInt | None = None

    def __post_init__(self) -> None:
        validate(self)


def test_file_and_command_line_set_the_same_fields(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("rate: 1e-4\ninner: {width: 8}\nitems: [{width: 1}]\n")
    config = read_config(Outer, path, ["--inner.kind", "b", "--name=x", "--active", "true", "--limit", "3"])
    assert config == Outer(1e-4, "x", Inner(8, "b", depth=2), [Inner(1)], True, 3)


def test_what_a_group_does_not_say_is_as_in_the_group_s_own_default(tmp_path):
    assert read_config(Outer, None, ["--inner.share", "0.1"]).inner == Inner(width=7, share=0.1, depth=2)


def test_dashes_and_underscores_are_the_same():
    @dataclass
    class Dashed:
        save_steps: int = 1

    assert read_config(Dashed, None, ["--save-steps", "7"]).save_steps == 7


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("widht: 3", [], "unknown field widht"),
        ("inner: {widht: 3}", [], "unknown field inner.widht"),
        ("inner: {kind: c}", [], "inner.kind is 'c'; choose one of a, b"),
        ("inner: {width: many}", [], "inner.width must be int"),
        ("inner: 3", [], "mapping"),
        ("rate: fast", [], "must be a number"),
        ("rate: 0", [], "rate must be above 0, not 0"),
        ("rate: .nan", [], "rate must be a finite number, not nan"),
        ("rate: .inf", [], "rate must be a finite number, not inf"),
        ("limit: 0", [], "limit must be at least 1, not 0"),
        ("inner: {share: 1.5}", [], "inner.share must be from 0 to 1, not 1.5"),
        ("inner: {width: 0}", [], "inner.width must be at least 1, not 0"),
        ("inner: {share: 0.2, depth: 0}", [], "inner.share is set, but depth is 0, so that nothing reads it"),
        ("items: [{width: 0}]", [], r"items\[0\].width must be at least 1"),
        ("rate: 1\ninner: {width: 1}\nrate: 2", [], "line 3: rate is given twice"),
        ("rate: 1\ninner:\n  width: 1\n  width: 2", [], "line 4: width is given twice"),
        ("", ["--inner", "{width: 1, width: 2}"], "--inner: line 1: width is given twice"),
        ("- 1\n- 2", [], "mapping"),
        ("a: [", [], "not valid YAML"),
        ("", ["rate", "3"], "expected --field value"),
        ("", ["--rate"], "needs a value"),
        ("rate: 1", ["--rate.x", "1"], "not a group"),
        ("active: 1", [], "active must be bool"),
    ],
)
def test_mistakes_are_one_line_that_names_the_field(tmp_path, text, overrides, message):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_config(Outer, path, overrides)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named():
    with pytest.raises(UserError, match=r"nowhere\.yaml.*No such file"):
        read_config(Outer, "nowhere.yaml")


def groups(kind: type) -> Iterator[type]:
    """A config's dataclass and those of all groups of fields in it."""
    yield kind
    for hint in typing.get_type_hints(kind).values():
        for option in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(option):
                yield from groups(option)


@pytest.mark.parametrize("kind", dict.fromkeys(group for run in RUNS.values() for group in groups(run)))
def test_every_number_of_a_config_has_a_range_that_is_checked_when_it_is_made(kind):
    hints = typing.get_type_hints(kind, include_extras=True)
    for entry in dataclasses.fields(kind):
        options: list[Any] = [hints[entry.name], *typing.get_args(hints[entry.name])]
        assert not (int in options or float in options) or any(typing.get_origin(o) is Annotated for o in options), (
            f"{kind.__name__}.{entry.name} has no range"
        )
        for limits in (o for option in options for o in typing.get_args(option) if isinstance(o, Range)):
            for outside in (limits.low - 1, math.nan):
                with pytest.raises(UserError, match=f"^{entry.name} must be"):
                    kind(**{entry.name: outside})


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_configs_that_come_with_the_code_are_good(path):
    kinds = [kind for name, kind in RUNS.items() if name in path.stem]
    read_config(kinds[0] if kinds else RetrievalConfig if path.stem == "judge" else SftConfig, path)


def test_the_page_of_all_fields_is_what_its_script_makes():
    page = runpy.run_path(str(ROOT / "scripts" / "config_page.py"))["config_page"]()
    assert page == (ROOT / "docs" / "config.md").read_text()


def test_the_page_of_published_data_sets_is_what_its_script_makes():
    page = runpy.run_path(str(ROOT / "scripts" / "readers_page.py"))["readers_page"]()
    assert page == (ROOT / "docs" / "readers.md").read_text()
