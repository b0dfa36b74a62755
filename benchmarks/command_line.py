"""Options that several benchmarks have."""

import argparse
from pathlib import Path

from pose_rft.data.mocap.recordings import find_recordings
from pose_rft.errors import UserError


def recordings(path: str) -> Path:
    """The ``type`` of an option that names recordings: a file, a folder or a pattern."""
    try:
        find_recordings(path)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Path(path)


def add_recordings(parser: argparse.ArgumentParser) -> None:
    """Add ``--poses`` for a benchmark that cannot do without recordings."""
    parser.add_argument(
        "--poses",
        type=recordings,
        default="*_poses.npz",
        help="npz with `pose` and `sequence`: file, folder, pattern, here or in POSE_RFT_MOCAP (default: %(default)s)",
    )
