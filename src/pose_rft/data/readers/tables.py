"""Parquet files and Hugging Face data sets, by the package ``datasets``: on disk, and each row read when asked for."""

import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np

from pose_rft.data.readers.pairs import FIELDS, NO_SPLIT, split_code
from pose_rft.errors import UserError, reason_of
from pose_rft.terminal import status

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SOME = 64  # rows that tell one table from another
BATCH = 10_000  # rows whose splits are read at once


class Table:
    """The rows of a Parquet file, of a folder with a dataset, or of a dataset of the Hugging Face Hub.

    Parts of a dataset that are called train, validation (or dev) and test are these splits, unless there is a column
    ``split``.

    Attributes:
        name, folder, splits, fingerprint: see ``Records``.

    Raises:
        UserError: the package is missing, or nothing of that name can be read.
    """

    def __init__(self, path: str | Path) -> None:
        if importlib.util.find_spec("datasets") is None:
            raise UserError(f"{path}: Parquet and datasets need a package; run: pip install 'pose-rft[datasets]'")
        self.name, self.folder = str(path), Path(path) if Path(path).is_dir() else Path(path).parent
        with status(f"Opening {path} ..."):
            self._parts = _parts_of(path)
        self._ends = np.cumsum([len(part) for _, part in self._parts])
        if not self._ends[-1]:
            raise UserError(f"{path}: holds no row")
        self.splits = np.concatenate([_splits_of(name, part) for name, part in self._parts])
        self.fingerprint = self._digest()

    def __len__(self) -> int:
        return int(self._ends[-1])

    def record(self, row: int) -> dict[str, Any]:
        """The fields of a row that are read."""
        part = int(np.searchsorted(self._ends, row, side="right"))
        table = self._parts[part][1]
        found: dict[str, Any] = table[int(row - self._ends[part] + len(table))]
        return found

    def place(self, row: int) -> str:
        """The number of a row, counted from 0 as in pandas, and the part of the dataset."""
        part = int(np.searchsorted(self._ends, row, side="right"))
        name, table = self._parts[part]
        of = f" of {name}" if len(self._parts) > 1 else ""
        return f"row {int(row - self._ends[part] + len(table))}{of}"

    def _digest(self) -> str:
        """Of names, numbers and some rows: the package's own fingerprint differs for the same rows elsewhere."""
        digest = hashlib.sha256(repr([(name, len(part), part.column_names) for name, part in self._parts]).encode())
        for row in np.unique(np.linspace(0, len(self) - 1, SOME).astype(int)):
            digest.update(repr(sorted(self.record(int(row)).items())).encode("utf-8", "backslashreplace"))
        return digest.hexdigest()


def _parts_of(path: str | Path) -> list[tuple[str, Any]]:
    """Names and tables of a dataset's parts, each with the columns that are read."""
    import datasets

    try:
        if Path(path).is_file():
            found = datasets.load_dataset("parquet", data_files=str(path), split="train")
        elif (Path(path) / "dataset_info.json").is_file() or (Path(path) / "dataset_dict.json").is_file():
            found = datasets.load_from_disk(str(path))  # as save_to_disk writes
        else:
            found = datasets.load_dataset(str(path))
    except Exception as error:  # the package's, pyarrow's and the network's are of many kinds
        raise UserError(
            f"{path}: no data set can be read there ({reason_of(error)[:160]}); give a .jsonl or .parquet file, a "
            "folder that datasets' save_to_disk wrote, or a Hugging Face id"
        ) from error
    parts = list(found.items()) if isinstance(found, datasets.DatasetDict) else [("", found)]
    return [
        (name, part.select_columns([field for field in FIELDS if field in part.column_names])) for name, part in parts
    ]


def _splits_of(name: str, part: Any) -> np.ndarray:
    """(N,) codes of a part's rows: what their column says, else the part's name."""
    if "split" not in part.column_names:
        code = split_code(name or None)
        return np.full(len(part), code if code >= 0 else NO_SPLIT, np.int8)
    batches = part.select_columns(["split"]).iter(batch_size=BATCH)
    codes = [split_code(value) for batch in batches for value in batch["split"]]
    return np.array(codes, np.int8)
