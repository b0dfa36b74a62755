"""Options that several benchmarks have."""

import argparse
from pathlib import Path

from pose_rft.data.mocap.recordings import find_recordings
from pose_rft.errors import UserError


def recordings(path: str) -> Path:
    """The ``type`` of an option that names a file of recordings."""
    try:
        return find_recordings(path)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_recordings(parser: argparse.ArgumentParser) -> None:
    """Add ``--poses`` for a benchmark that cannot do without recordings."""
    parser.add_argument(
        "--poses",
        type=recordings,
        default="cmu_poses.npz",
        help="npz with `pose` and `sequence`: a path, or a name in the folder POSE_RFT_MOCAP (default: %(default)s)",
    )
