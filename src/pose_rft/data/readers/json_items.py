"""Large JSON files: the items of a list or an object, found in one pass and read when they are asked for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any, BinaryIO

from pose_rft.errors import UserError, reason_of
from pose_rft.terminal import status

BLOCK = 1 << 24  # bytes read at once
BLANK = " \t\r\n"
AGAIN = "copy or download it again"


@dataclass(frozen=True)
class JsonItem:
    """An item and where it stands.

    Attributes:
        key: of an object's item; empty in a list.
        size: how many values its own list holds; 1 of what is no list.
        start, end: bytes of the file around the value.
    """

    key: str
    size: int
    start: int
    end: int


def read_item(path: Path, start: int, end: int) -> Any:
    """The value at a place that ``json_items`` named.

    Raises:
        UserError: the file is no longer what it was.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            return json.loads(file.read(end - start))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read at byte {start} ({reason_of(error)}); {AGAIN}") from error


def json_items(path: Path, kind: type[list] | type[dict], block: int = BLOCK) -> Iterator[JsonItem]:
    """The items of a file whose top level is a list or an object; one at a time is held in memory.

    Args:
        block: bytes read at once.

    Raises:
        UserError: no such file, no JSON, one that ends early, or one of another kind.
    """
    try:
        with status(f"Looking through {path} ..."), path.open("rb") as file:
            text = _Text(file, block)
            if text.next() != ("[" if kind is list else "{"):
                raise UserError(f"{path}: is no {'list' if kind is list else 'object'} of JSON; {AGAIN}")
            yield from _items(text, kind is dict)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason_of(error)}); {AGAIN}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: is not JSON, or not all of it ({reason_of(error)[:80]}); {AGAIN}") from error


def _items(text: "_Text", keyed: bool) -> Iterator[JsonItem]:
    sign = text.next()
    while sign not in ("]", "}"):
        key = ""
        if keyed:
            key = text.key()
            if text.next() != ":":
                raise ValueError(f"no ':' after {key!r}")
        else:
            text.back()
        value, start, end = text.value()
        yield JsonItem(key, len(value) if isinstance(value, list) else 1, start, end)
        sign = text.next()
        if sign == ",":
            sign = text.next()
        elif sign not in ("]", "}"):
            raise ValueError(f"no ',' at byte {text.place}")


class _Text:
    """A file's text, of which a block at a time is in memory.

    A character stands for a byte (Latin-1): JSON's own signs are the same, places are those of the file, texts are not
    those that were meant.
    """

    def __init__(self, file: BinaryIO, block: int) -> None:
        self._file, self._block, self._text, self._before, self._at = file, block, "", 0, 0
        self._decode = json.JSONDecoder().raw_decode

    @property
    def place(self) -> int:
        """Bytes before what comes next."""
        return self._before + self._at

    def _more(self) -> bool:
        block = self._file.read(self._block).decode("latin-1")
        self._before, self._text, self._at = self._before + self._at, self._text[self._at :] + block, 0
        return bool(block)

    def next(self) -> str:
        """The next sign that is not blank."""
        while True:
            while self._at < len(self._text):
                sign = self._text[self._at]
                self._at += 1
                if sign not in BLANK:
                    return sign
            if not self._more():
                raise ValueError("it ends early")

    def back(self) -> None:
        """Do as if the last sign had not been read."""
        self._at -= 1

    def key(self) -> str:
        """The text whose quotation mark was just read."""
        while True:
            try:
                key, self._at = scanstring(self._text, self._at, True)
                return key.encode("latin-1", "replace").decode("utf-8", "replace")
            except ValueError:
                if not self._more():
                    raise

    def value(self) -> tuple[Any, int, int]:
        """The next value, and the bytes around it."""
        self.next()
        self.back()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
                if end < len(self._text) or not self._more():  # a number may go on in the next block
                    start = self.place
                    self._at = end
                    return value, start, self.place
            except ValueError:
                if not self._more():
                    raise
