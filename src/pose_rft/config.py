"""Configs: a dataclass, filled from a YAML file and then from ``--field value`` on the command line."""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from pose_rft.errors import UserError

T = TypeVar("T")


def read_config(kind: type[T], path: str | Path | None, overrides: Sequence[str] = ()) -> T:
    """Build a config.

    Args:
        kind: the dataclass.
        path: a YAML file of its fields; None takes the defaults.
        overrides: ``["--learning_rate", "1e-4", "--policy.head.width=384"]``; dashes and underscores are the same,
            values are read as YAML.

    Raises:
        UserError: the file is missing or no YAML mapping, a field is unknown, or a value has the wrong kind.
    """
    document: Any = {}
    if path is not None:
        try:
            document = yaml.safe_load(Path(path).read_text()) or {}
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"config {path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
        except yaml.YAMLError as error:
            raise UserError(f"config {path}: not valid YAML ({' '.join(str(error).split())})") from error
        if not isinstance(document, dict):
            raise UserError(f"config {path}: must be a mapping of fields, like `steps: 100`")
    for name, value in _pairs(overrides):
        _set(document, name.split("."), value)
    return from_mapping(kind, document, where=str(path or "command line"))


def from_mapping(kind: type[T], values: Mapping[str, Any], where: str, prefix: str = "") -> T:
    """A dataclass from a mapping, checked field by field."""
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
    unknown = [name for name in values if name not in fields]
    if unknown:
        raise UserError(f"{where}: unknown field {prefix}{unknown[0]}; known here: {', '.join(fields)}")
    filled = {name: _value(hints[name], value, where, prefix + name) for name, value in values.items()}
    missing = [
        name
        for name, field in fields.items()
        if name not in filled and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UserError(f"{where}: field {prefix}{missing[0]} is missing")
    return kind(**filled)


def _value(hint: Any, value: Any, where: str, name: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise UserError(f"{where}: {name} must be a mapping of fields, not {value!r}")
        return from_mapping(hint, value, where, f"{name}.")  # type: ignore[arg-type]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in arguments:
            raise UserError(f"{where}: {name} is {value!r}; choose one of {', '.join(map(str, arguments))}")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        options = [option for option in arguments if option is not type(None)]
        for option in options:
            try:
                return _value(option, value, where, name)
            except UserError:
                if len(options) == 1:
                    raise
        raise UserError(f"{where}: {name} cannot be {value!r}")
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-4 as text
        except ValueError:
            raise UserError(f"{where}: {name} must be a number, not {value!r}") from None
    plain = origin or hint
    if plain is Any:
        return value
    if plain is tuple and isinstance(value, list):
        return tuple(value)
    if not isinstance(value, plain) or (isinstance(value, bool) and plain is int):
        raise UserError(f"{where}: {name} must be {getattr(plain, '__name__', plain)}, not {value!r}")
    if plain is list and arguments and dataclasses.is_dataclass(arguments[0]):
        return [_value(arguments[0], item, where, f"{name}[{index}]") for index, item in enumerate(value)]
    return value


def _pairs(overrides: Sequence[str]) -> list[tuple[str, Any]]:
    pairs = []
    items = iter(overrides)
    for item in items:
        if not item.startswith("--"):
            raise UserError(f"command line: expected --field value, found {item!r}")
        name, equals, text = item[2:].partition("=")
        if not equals:
            text = next(items, None)  # type: ignore[assignment]
            if text is None:
                raise UserError(f"command line: --{name} needs a value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        pairs.append((name.replace("-", "_"), value))
    return pairs


def _set(document: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        child = document.setdefault(part, {})
        if not isinstance(child, dict):
            raise UserError(f"command line: --{'.'.join(path)}: {part} is not a group of fields")
        document = child
    document[path[-1]] = value
