"""Writing files so that a crash or a full disk never leaves half of one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pose_rft.errors import UserError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes ``path``'s place when the block ends without an error.

    Raises:
        UserError: the folder cannot be made or written to. What stood at ``path`` stays as it was.
    """
    path = Path(path)
    part = _file_beside(path)
    try:
        yield part
        part.chmod(0o644)
        os.replace(part, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error
    finally:
        part.unlink(missing_ok=True)


def _file_beside(path: Path) -> Path:
    """An empty file in the folder of ``path``."""
    if path.is_dir():
        raise UserError(f"{path}: is a directory; give the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error
    return Path(name)


def ensure_writable(path: Path) -> None:
    """Find out before long work, not after it, whether its result can be written to the file ``path``.

    Raises:
        UserError: it cannot.
    """
    _file_beside(Path(path)).unlink()


def ensure_directory(path: Path) -> None:
    """Make the folder of a long job's results before the job begins, and see that it takes files.

    Raises:
        UserError: it cannot be made or written to.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(f"{path}: cannot be written to ({error.strerror or error}); choose another place") from error


def move_files(source: Path, target: Path) -> None:
    """Move all files of one folder into another of the same disk, replacing those of the same names.

    Raises:
        UserError: a name is taken by a folder; then nothing has been moved.
    """
    names = sorted(file.name for file in source.iterdir())
    for name in names:
        if (target / name).is_dir():
            raise UserError(f"{target / name}: is a directory where a file has to go; move it or choose another place")
    for name in names:
        os.replace(source / name, target / name)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """The same for a whole folder: it appears complete, or what stood there stays."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error
    try:
        yield part
        part.chmod(0o755)
        if path.exists():
            old = part.with_name(part.name + ".old")
            os.replace(path, old)
            os.replace(part, path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
