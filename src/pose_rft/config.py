"""Configs: frozen dataclasses, filled from a YAML file and then from ``--field value`` on the command line.

The type of a field says what it may hold: ``PositiveInt``, ``Fraction``, ``Literal["a", "b"]``. A config checks itself
when it is made: its ``__post_init__`` calls ``validate`` and refuses fields that it would ignore (``refuse_unread``).
"""

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml

from pose_rft.errors import UserError, reason_of

T = TypeVar("T")
NUMBERS = {int: Integral, float: Real}  # NumPy's are such too


@dataclass(frozen=True)
class Range:
    """The numbers that a field may hold.

    Attributes:
        low, high: its ends, which belong to it.
        open: leaves ``low`` out.
    """

    low: float
    high: float = math.inf
    open: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.open else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"{'above' if self.open else 'at least'} {self.low}"
        return f"from {self.low} to {self.high}"


PositiveInt = Annotated[int, Range(1)]
NonNegativeInt = Annotated[int, Range(0)]
PositiveFloat = Annotated[float, Range(0, open=True)]
NonNegativeFloat = Annotated[float, Range(0)]
Fraction = Annotated[float, Range(0, 1)]
Temperature = Annotated[float, Range(1e-6, 100)]  # beyond, single precision holds noise alone, or overflows
Seed = Annotated[int, Range(0, 2**32 - 1)]  # what numpy and torch both take


def validate(config: Any) -> None:
    """Check each field of a config against its type: ranges, choices, and that numbers are finite.

    Raises:
        UserError: its message begins with the name of the field; ``from_mapping`` adds group and file.
    """
    for name, hint in typing.get_type_hints(type(config), include_extras=True).items():
        if wrong := _problem(hint, getattr(config, name)):
            raise UserError(f"{name} {wrong}")


def refuse_unread(config: Any, names: Iterable[str], because: str) -> None:
    """Refuse values that differ from the default though nothing would read them.

    Raises:
        UserError: as ``validate`` does.
    """
    fields = {field.name: field for field in dataclasses.fields(config)}
    for name in names:
        if getattr(config, name) != default_of(fields[name]):
            raise UserError(f"{name} is set, but {because}, so that nothing reads it; leave it out")


def default_of(field: "dataclasses.Field[Any]") -> Any:
    """The default of a field; ``dataclasses.MISSING`` if it has none."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def read_config(kind: type[T], path: str | Path | None, overrides: Sequence[str] = ()) -> T:
    """Build a config.

    Args:
        kind: the dataclass.
        path: a YAML file of its fields; None takes the defaults.
        overrides: ``["--learning_rate", "1e-4", "--policy.head.width=384"]``; dashes and underscores are the same,
            values are read as YAML.

    Raises:
        UserError: the file is missing or no YAML mapping, a field is unknown or given twice, or a value is refused.
    """
    document = {} if path is None else read_document(path)
    set_fields(document, overrides)
    return from_mapping(kind, document, source=str(path or "command line"))


def read_document(path: str | Path) -> dict[str, Any]:
    """The fields that a YAML file sets, not yet checked.

    Raises:
        UserError: the file is missing or no YAML mapping, or a field is given twice.
    """
    try:
        document = yaml.load(Path(path).read_text(), _Loader) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config {path}: cannot be read ({reason_of(error)})") from error
    except UserError as error:
        raise UserError(f"config {path}: {error}") from error
    except Exception as error:  # a YAMLError, or what Python says of dates, numbers and nesting that cannot be
        raise UserError(f"config {path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(document, dict):
        raise UserError(f"config {path}: must be a mapping of fields, like `steps: 100`")
    return document


def set_fields(document: dict[str, Any], overrides: Sequence[str]) -> None:
    """Write the ``--field value`` pairs of a command line into fields of a file; see ``read_config``."""
    for name, value in _pairs(overrides):
        _set(document, name.split("."), value)


def from_mapping(
    kind: type[T], values: Mapping[str, Any], source: str, prefix: str = "", default: T | None = None
) -> T:
    """A dataclass from a mapping, checked field by field.

    Args:
        source: the file, for messages.
        prefix: the group of fields, such as ``"policy.head."``.
        default: holds the fields that are not in the mapping; None takes their own defaults.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
    unknown = [name for name in values if name not in fields]
    if unknown:
        raise UserError(f"{source}: unknown field {prefix}{unknown[0]}; known here: {', '.join(fields)}")
    defaults = {
        name: default_of(field) if default is None else getattr(default, name) for name, field in fields.items()
    }
    filled = defaults | {
        name: _value(hints[name], value, source, prefix + name, defaults[name]) for name, value in values.items()
    }
    missing = [name for name, value in filled.items() if value is dataclasses.MISSING]
    if missing:
        raise UserError(f"{source}: field {prefix}{missing[0]} is missing")
    try:
        return kind(**filled)
    except UserError as error:
        raise UserError(f"{source}: {prefix}{error}") from error


def _problem(hint: Any, value: Any) -> str | None:
    """What is wrong with a value, in words that go on from the name of its field; None for a good one."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be a finite number, not {value}"
    if origin is Annotated and (isinstance(value, bool) or not isinstance(value, NUMBERS[arguments[0]])):
        return f"must be a {'whole ' if arguments[0] is int else ''}number, not {value!r}"
    if origin is Annotated and value not in arguments[1]:
        return f"must be {arguments[1]}, not {value}"
    if origin is Literal and value not in arguments:
        return f"is {value!r}; choose one of {', '.join(map(str, arguments))}"
    if origin in (typing.Union, types.UnionType) and value is not None:
        problems = [_problem(option, value) for option in arguments if option is not type(None)]
        return problems[0] if all(problems) else None
    return None


def _value(hint: Any, value: Any, source: str, name: str, default: Any = None) -> Any:
    """A value of YAML as the type of its field has it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _value(arguments[0], value, source, name)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise UserError(f"{source}: {name} must be a mapping of fields, not {value!r}")
        base = default if isinstance(default, hint) else None  # type: ignore[arg-type]
        return from_mapping(hint, value, source, f"{name}.", base)  # type: ignore[arg-type]
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        options = [option for option in arguments if option is not type(None)]
        for option in options:
            try:
                return _value(option, value, source, name, default)
            except UserError:
                if len(options) == 1:
                    raise
        raise UserError(f"{source}: {name} cannot be {value!r}")
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-4 as text
        except ValueError:
            raise UserError(f"{source}: {name} must be a number, not {value!r}") from None
    plain = origin or hint
    if plain is Any or plain is Literal:  # which the config itself looks at
        return value
    if plain in (tuple, Sequence) and isinstance(value, list):
        return tuple(value)
    if not isinstance(value, plain) or (isinstance(value, bool) and plain is int) or plain in (tuple, Sequence):
        kind = "a list" if plain in (tuple, Sequence) else getattr(plain, "__name__", plain)
        raise UserError(f"{source}: {name} must be {kind}, not {value!r}")
    if plain is list and arguments and dataclasses.is_dataclass(arguments[0]):
        return [_value(arguments[0], item, source, f"{name}[{index}]") for index, item in enumerate(value)]
    if plain is dict and arguments and dataclasses.is_dataclass(arguments[1]):
        return {key: _value(arguments[1], item, source, f"{name}.{key}") for key, item in value.items()}
    return value


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice in one mapping is an error, where YAML lets the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise UserError(f"line {key.start_mark.line + 1}: {key.value} is given twice; keep one of them")
                seen.add(key.value)
        return super().construct_mapping(node, deep)


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
            value = yaml.load(text, _Loader)
        except UserError as error:
            raise UserError(f"command line: --{name}: {error}") from error
        except Exception:  # no YAML, so it is a text
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
