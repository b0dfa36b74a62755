"""Arrays of an ``.npz`` that stay on disk: their shapes are known at once, rows are read when they are asked for.

Nothing is unpickled. What ``np.savez`` wrote is mapped, so that a row costs a row; what ``np.savez_compressed`` wrote
has to be read whole, and the last arrays of that kind are kept.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pose_rft.errors import UserError, reason_of

Shape = tuple[int | str, ...]  # a letter stands for any size, the same one wherever it stands in a file
KEPT = 16  # compressed arrays in memory
LOCAL_HEADER = 30  # bytes before a member's name in a zip archive; its last four say how long name and extra field are
AGAIN = "copy or download it again"


@dataclass(frozen=True)
class StoredArray:
    """An array of an archive.

    Attributes:
        path, name: the archive and the array's name in it.
        shape, dtype: as numpy has them.
        offset: bytes of the file before the numbers; None where they are compressed.
        fortran: the first index runs fastest.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int | None
    fortran: bool

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | tuple[int, ...]) -> np.ndarray:
        """Rows of it, copied from the disk.

        Raises:
            UserError: the file is damaged, or is no longer what it was.
        """
        if self.offset is None:
            return _whole(self.path, self.name)[rows]
        try:
            order = "F" if self.fortran else "C"
            return np.array(np.memmap(self.path, self.dtype, "r", self.offset, self.shape, order)[rows])  # type: ignore[call-overload]
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path}: '{self.name}' cannot be read ({reason_of(error)}); {AGAIN}") from error

    def item(self) -> float:
        """The number of an array that holds one."""
        return float(np.asarray(self[:] if self.shape else _whole(self.path, self.name)).reshape(-1)[0])


def text_of(value: np.ndarray) -> str:
    """The text that an array holds, as letters or as bytes."""
    text = value.item()
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


@lru_cache(maxsize=KEPT)
def _whole(path: Path, name: str) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive[name]
    except Exception as error:  # zipfile's, zlib's and numpy's on damaged content
        raise UserError(f"{path}: '{name}' is damaged ({reason_of(error)}); {AGAIN}") from error


def open_arrays(
    path: Path, wanted: Mapping[str, Sequence[Shape]], optional: Mapping[str, Sequence[Shape]] | None = None
) -> dict[str, StoredArray]:
    """Find arrays in an archive.

    Args:
        path: the ``.npz`` file.
        wanted: names, each with the shapes that it may have.
        optional: the same of those that may be missing.

    Returns:
        Those that are there.

    Raises:
        UserError: no archive of arrays, an array that is missing, of another shape or of Python objects, or arrays of
            different lengths; the message names file and array.
    """
    shapes = {**wanted, **(optional or {})}
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if missing := [name for name in wanted if name not in names]:
                raise UserError(f"{path}: has no array '{missing[0]}'; it holds {', '.join(names[:12]) or 'nothing'}")
            found = {name: _found(path, archive, name) for name in shapes if name in names}
    except UserError:
        raise
    except Exception as error:  # zipfile's and numpy's on damaged archives
        raise UserError(f"{path}: is no .npz of plain arrays ({reason_of(error)}); {AGAIN}") from error
    sizes: dict[str, int] = {}
    for name, array in found.items():
        fitting = next((shape for shape in shapes[name] if _fits(array.shape, shape, sizes)), None)
        if fitting is None:
            told = " or ".join(str(shape).replace("'", "") for shape in shapes[name])
            known = "".join(f", {letter} = {size}" for letter, size in sizes.items())
            raise UserError(f"{path}: '{name}' has shape {array.shape}, not {told}{known}; {AGAIN}")
        sizes |= {each: size for each, size in zip(fitting, array.shape, strict=True) if isinstance(each, str)}
    return found


def _fits(shape: tuple[int, ...], wanted: Shape, sizes: Mapping[str, int]) -> bool:
    """Whether a shape is the wanted one, of which some letters are known."""
    return len(shape) == len(wanted) and all(
        size == (sizes.get(each, size) if isinstance(each, str) else each)
        for size, each in zip(shape, wanted, strict=True)
    )


def _found(path: Path, archive: zipfile.ZipFile, name: str) -> StoredArray:
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as header:
        version = np.lib.format.read_magic(header)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(header)
        before = header.tell()
    if dtype.hasobject:
        raise UserError(f"{path}: '{name}' holds Python objects, which are pickles and not read; save plain numbers")
    offset = None
    if member.compress_type == zipfile.ZIP_STORED and dtype.itemsize and 0 not in shape and shape:
        with path.open("rb") as file:
            file.seek(member.header_offset)
            local = file.read(LOCAL_HEADER)
        lengths = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        offset = member.header_offset + LOCAL_HEADER + lengths + before
    return StoredArray(path, name, shape, dtype, offset, fortran)
