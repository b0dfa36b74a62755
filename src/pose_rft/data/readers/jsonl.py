"""JSON Lines: an object a line, found by where it begins and read when it is asked for."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pose_rft.data.readers.pairs import NO_SPLIT, WRONG_SPLIT, split_code
from pose_rft.errors import UserError, reason_of
from pose_rft.terminal import status

BLOCK = 1 << 24  # bytes read at once while lines are sought
SHORT = 16  # bytes; a line as short may be blank
SPLIT = re.compile(rb'"split"\s*:\s*"([^"\\]*)"')
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonLines:
    """The lines of a file; blank ones are none.

    One pass finds where the lines are, of which split each is, and the file's digest. Seventeen bytes a line stay in
    memory, whatever the lines hold.

    Attributes:
        name, folder, splits, fingerprint: see ``Records``.

    Raises:
        UserError: no such file, no line in it, or it cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.name, self.folder = Path(path), str(path), Path(path).parent
        try:
            with status(f"Finding the lines of {path} ..."), self.path.open("rb") as file:
                self._starts, self._numbers, self.splits, self.fingerprint = _lines_of(file)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({reason_of(error)}); give a file of JSON Lines") from error
        if not len(self._starts):
            raise UserError(f'{path}: holds no line; write an object such as {{"prompt": "a squat"}} on each')

    def __len__(self) -> int:
        return len(self._starts)

    def record(self, row: int) -> dict[str, Any]:
        """The object of a line.

        Raises:
            UserError: it is none.
        """
        start = int(self._starts[row])
        with self.path.open("rb") as file:
            file.seek(start)
            line = file.readline().rstrip(b"\r\n")
        try:
            record = json.loads(line.removeprefix(BYTE_ORDER_MARK) if start == 0 else line)
        except UnicodeDecodeError as error:
            raise UserError(f"its bytes are not UTF-8 (byte {error.start}); save the file as UTF-8") from None
        except json.JSONDecodeError as error:
            raise UserError(f"is not JSON ({error.msg}, column {error.colno}); write one object a line") from None
        except (ValueError, RecursionError) as error:
            raise UserError(f"is not JSON ({reason_of(error)[:80]}); write one object a line") from None
        if not isinstance(record, dict):
            raise UserError(f'is no object but {line[:40]!r}; write one such as {{"prompt": "a squat"}}')
        if split_code(record.get("split")) != self.splits[row] and split_code(record.get("split")) != WRONG_SPLIT:
            raise UserError("split: is escaped, stands twice or in another field too; write it once, in plain letters")
        return record

    def place(self, row: int) -> str:
        """The number of a line, blank ones counted, as editors show it."""
        return f"line {self._numbers[row]}"


def _lines_of(file: BinaryIO) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Of N lines: where they begin in bytes, their numbers from 1, their splits; and the digest of the whole."""
    digest = hashlib.sha256()
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    offset, number, rest = 0, 1, b""
    while block := file.read(BLOCK):
        digest.update(block)
        whole, newline, rest = (rest + block).rpartition(b"\n")
        if newline:
            parts.append(_lines_in(whole, offset, number))
            offset, number = offset + len(whole) + 1, number + whole.count(b"\n") + 1
    parts.append(_lines_in(rest, offset, number))
    starts, numbers, splits = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return starts, numbers, splits, digest.hexdigest()


def _lines_in(text: bytes, offset: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of a text of whole lines, which begins at a byte and with a line of the file."""
    ends = np.append(np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")), len(text))
    starts = np.concatenate([[0], ends[:-1] + 1])
    splits = np.full(len(starts), NO_SPLIT, np.int8)
    # Inside a text of JSON a quotation mark has a backslash before it: keys alone are taken.
    found = [(each.start(), each[1]) for each in SPLIT.finditer(text) if text[each.start() - 1 : each.start()] != b"\\"]
    codes = {name: split_code(name.decode("utf-8", "replace")) for name in {name for _, name in found}}
    splits[np.searchsorted(ends, [place for place, _ in found])] = [codes[name] for _, name in found]
    written = np.ones(len(starts), bool)
    for row in np.flatnonzero(ends - starts < SHORT):
        written[row] = bool(text[starts[row] : ends[row]].removeprefix(BYTE_ORDER_MARK).strip())
    rows = np.flatnonzero(written)
    return starts[rows] + offset, rows + number, splits[rows]
