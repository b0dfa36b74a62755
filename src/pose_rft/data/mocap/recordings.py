"""Where recordings are: at a path, or in the folder that the environment variable POSE_RFT_MOCAP names."""

import os
from glob import glob
from pathlib import Path

from pose_rft.errors import UserError

FOLDER = "POSE_RFT_MOCAP"


def find_recordings(path: str | Path) -> list[Path]:
    """The files that ``path`` means: a file, every .npz of a folder, or all that fit a pattern such as ``*_poses.npz``.

    Where nothing is at that path, it is looked up in the folder ``POSE_RFT_MOCAP``.

    Returns:
        At least one file, in alphabetical order.

    Raises:
        UserError: nothing is in either place.
    """
    path, folder = Path(path), os.environ.get(FOLDER)
    for place in (path, Path(folder or ".") / path):
        if place.is_file():
            return [place]
        found = sorted(place.glob("*.npz")) if place.is_dir() else [Path(name) for name in sorted(glob(str(place)))]
        if found:
            return found
    places = f"neither here nor in {folder} ({FOLDER})" if folder else f"and {FOLDER} is not set"
    advice = f"give a file, a folder or a pattern, or set {FOLDER} to the folder of recordings"
    raise UserError(f"{path}: no such file, {places}; {advice}")
