"""Files: written so that a crash or a full disk never leaves half of one, and read with a word on what is wrong."""

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pose_rft.errors import UserError, reason_of

# The safe loader in C where PyYAML has it: the bank of concepts is a megabyte, seconds in Python.
SAFE_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def package_text(package: str, name: str) -> str:
    """A text file that comes with a package: ``package_text(__package__, "page.css")``."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def package_table(package: str, name: str) -> Any:
    """The content of a YAML file that comes with a package."""
    return yaml.load(package_text(package, name), SAFE_LOADER)


def package_poses(package: str, name: str) -> dict[str, np.ndarray]:
    """The poses (22, 3) of a file that comes with a package, axis-angle radians, float32, by their prompts."""
    with (files(package) / name).open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return dict(zip(stored["prompt"].tolist(), stored["pose"].astype(np.float32), strict=True))


def read_json(path: Path, advice: str) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: it cannot be read; its message ends with the advice.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({reason_of(error)}); {advice}") from error


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes ``path``'s place when the block ends without an error.

    Raises:
        UserError: the folder cannot be made or written to. What stood at ``path`` stays as it was.
    """
    path = Path(path)
    part = _file_beside(path)
    try:
        with _writing(path):
            yield part
            part.chmod(0o644)
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written to ({reason_of(error)}); choose another place") from error


def _file_beside(path: Path) -> Path:
    """An empty file in the folder of ``path``."""
    if path.is_dir():
        raise UserError(f"{path}: is a directory; give the name of a file")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
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
    with _writing(path):
        Path(path).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()


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
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
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


def read_arrays(path: Path, wanted: Collection[str]) -> dict[str, np.ndarray | None]:
    """Arrays of an ``.npz`` archive, or the one of an ``.npy`` file under the name ``array``. Nothing is unpickled.

    Args:
        path: the file.
        wanted: names of the arrays to read; others are left alone, whatever is wrong with them.

    Returns:
        All names in the file; None for what is not wanted, and for what holds Python objects or is damaged.

    Raises:
        UserError: no such file, an empty one, or no archive of arrays.
    """
    if not path.is_file():
        raise UserError(f"{path}: {'is a directory' if path.is_dir() else 'no such file'}; give an .npz file")
    try:
        if not path.stat().st_size:
            raise UserError(f"{path}: is empty; copy or download it again")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's remarks on unusual headers
            with path.open("rb") as file:
                archive = np.load(file, allow_pickle=False)
                if isinstance(archive, np.ndarray):
                    return {"array": archive}
                return {name: _array(archive, name) if name in wanted else None for name in archive.files}
    except UserError:
        raise
    except Exception as error:  # damaged archives raise errors of many kinds
        reason = getattr(error, "strerror", None) or "damaged, or of another kind"
        raise UserError(
            f"{path}: not an .npz of plain arrays ({reason}); save it with np.savez(path, name=array), or copy it again"
        ) from error


def _array(archive: np.lib.npyio.NpzFile, name: str) -> np.ndarray | None:
    try:
        array = archive[name]
    except Exception:  # BadZipFile, zlib.error, EOFError, MemoryError, ...: zipfile's and numpy's on damaged content
        return None
    return array if isinstance(array, np.ndarray) else None


def sources_digest(*packages: str) -> str:
    """A digest of all files of packages: another one as soon as code or data of them changes."""
    digest = hashlib.sha256()
    for folder in (Path(str(files(package))) for package in packages):
        for file in sorted(file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts):
            digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()


def cache_directory() -> Path:
    """Where what takes long to make is kept: ``$POSE_RFT_CACHE``, or the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pose-rft"
    return Path(os.environ.get("POSE_RFT_CACHE", default))


def cached_array(name: str, digest: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """An array that takes long to make, kept between processes in ``cache_directory``.

    Args:
        name: what it is; a file of this name with another digest is removed.
        digest: of everything that it is made of.
        make: makes it, where it is not there or is damaged. A folder that takes no files costs the time of making it.
    """
    folder = cache_directory()
    path = folder / f"{name}-{digest[:16]}.npy"
    with suppress(UserError):
        array = read_arrays(path, ["array"])["array"]
        if array is not None:
            return array
    array = make()
    with suppress(UserError, OSError):
        with atomic_file(path) as part:
            np.save(part, array)
        for old in folder.glob(f"{name}-*.npy"):
            if old != path:
                old.unlink(missing_ok=True)
    return array
