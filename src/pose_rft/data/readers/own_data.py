"""One's own data: the samples of a file or data set, each read when it is asked for."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from pose_rft.data.readers.jsonl import JsonLines
from pose_rft.data.readers.pairs import SPLITS, sample_of
from pose_rft.data.readers.registry import READERS, open_published
from pose_rft.data.readers.tables import HUB_ID, Table
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError

JSON_LINES, PARQUET = (".jsonl", ".ndjson"), ".parquet"
Use = Literal["train", "dev", "test", "all"]


class Records(Protocol):
    """What holds lines.

    Attributes:
        name: as the user gave it.
        folder: files that a line names are relative to it.
        splits: (N,) of each line the row of ``SPLITS``; negative where it names none, or one that there is not.
        fingerprint: of the content: others hold other lines.
    """

    name: str
    folder: Path
    splits: np.ndarray
    fingerprint: str

    def __len__(self) -> int: ...

    def record(self, row: int) -> Mapping[str, Any]: ...

    def place(self, row: int) -> str: ...


class OwnData:
    """The samples of one's own data that are for one use.

    Args:
        records: the lines.
        use: ``train`` takes lines of that split and those that name none, ``dev`` and ``test`` their own, ``all`` all.

    Raises:
        UserError: no line is for that use.
    """

    def __init__(self, records: Records, use: Use = "train") -> None:
        self.records, self.use = records, use
        wanted = records.splits < 0 if use == "train" else np.zeros(len(records), bool)
        wanted |= True if use == "all" else records.splits == SPLITS.index(use)
        self._rows = np.flatnonzero(wanted)
        if not len(self._rows):
            own = (
                f'; write "split": "{use}" in some' if not (records.splits >= 0).all() else ", all are for other splits"
            )
            raise UserError(f"{records.name}: no line is for {use}{own}")

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def fingerprint(self) -> str:
        return f"{self.records.fingerprint} {self.use}"

    def sample(self, index: int, turn: int = 0) -> Sample:
        """The sample of a line; ``turn`` as for ``sample_of``. Its source is the line's place.

        Raises:
            UserError: the line is broken; the message names file, line and field.
        """
        row = int(self._rows[index])
        try:
            sample = sample_of(self.records.record(row), self.records.folder, turn)
        except UserError as error:
            raise UserError(f"{self.place(index)}: {error}") from error
        return replace(sample, source=self.place(index))

    def place(self, index: int) -> str:
        """File and line, for messages."""
        return f"{self.records.name}, {self.records.place(int(self._rows[index]))}"


def open_own_data(path: str | Path, use: Use = "train", name: str | None = None) -> OwnData:
    """Samples of a ``.jsonl`` or ``.parquet`` file, a folder with a data set, or a data set of the Hugging Face Hub.

    Args:
        name: of a published data set (``registry.py``), of which the path is the folder.

    Raises:
        UserError: nothing of that name can be read, or no line is for that use.
    """
    return OwnData(open_records(path) if name is None else open_published(name, path), use)


def records_named(source: str | Path) -> Records:
    """The lines behind what a command was given: ``NAME:FOLDER`` of a published data set, or as ``open_records``.

    Raises:
        UserError: nothing of that name can be read.
    """
    name, _, folder = str(source).partition(":")
    if name in READERS and not Path(source).exists():
        if not folder:
            raise UserError(f"{source}: is a published data set; say in which folder it is: {name}:FOLDER")
        return open_published(name, Path(folder).expanduser())  # shells leave a ~ behind the colon as it is
    return open_records(source)


def is_hub_id(name: str) -> bool:
    """Whether a name is that of a data set of the Hugging Face Hub: no file, and not meant as one."""
    is_file = name.lower().endswith((*JSON_LINES, PARQUET)) or Path(name).exists()
    return not is_file and HUB_ID.fullmatch(name) is not None


def open_records(path: str | Path) -> Records:
    """The lines of one's own data behind a name; see ``open_own_data``."""
    name = str(path)
    if name.lower().endswith(JSON_LINES):
        return JsonLines(path)
    if Path(path).is_dir() or (Path(path).is_file() and name.lower().endswith(PARQUET)) or is_hub_id(name):
        return Table(path)
    what = "is neither .jsonl nor .parquet" if Path(path).exists() else "no such file or folder"
    raise UserError(f"{path}: {what}; give JSON Lines, Parquet, a folder with a data set or a Hugging Face id")
