"""Where recordings are: at a path, or in the folder that the environment variable POSE_RFT_MOCAP names."""

import os
from pathlib import Path

from pose_rft.errors import UserError

FOLDER = "POSE_RFT_MOCAP"


def find_recordings(path: str | Path) -> Path:
    """The file at ``path``; where there is none, the file of that name in the folder ``POSE_RFT_MOCAP``.

    Raises:
        UserError: it is in neither place.
    """
    path, folder = Path(path), os.environ.get(FOLDER)
    for place in (path, Path(folder or ".") / path):
        if place.is_file():
            return place
    places = f"neither here nor in {folder} ({FOLDER})" if folder else f"and {FOLDER} is not set"
    raise UserError(f"{path}: no such file, {places}; give a file, or set {FOLDER} to the folder of recordings")
