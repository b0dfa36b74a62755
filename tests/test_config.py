from dataclasses import dataclass, field
from typing import Literal

import pytest

from pose_rft.config import read_config
from pose_rft.errors import UserError


@dataclass
class Inner:
    width: int = 4
    kind: Literal["a", "b"] = "a"


@dataclass
class Outer:
    rate: float = 0.1
    name: str | None = None
    inner: Inner = field(default_factory=Inner)
    items: list[Inner] = field(default_factory=list)
    active: bool = False


def test_file_and_command_line_set_the_same_fields(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("rate: 1e-4\ninner: {width: 8}\nitems: [{width: 1}]\n")
    config = read_config(Outer, path, ["--inner.kind", "b", "--name=x", "--active", "true"])
    assert config == Outer(1e-4, "x", Inner(8, "b"), [Inner(1)], True)


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
        ("inner: {kind: c}", [], "choose one of a, b"),
        ("inner: {width: many}", [], "inner.width must be int"),
        ("inner: 3", [], "mapping"),
        ("rate: fast", [], "must be a number"),
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
