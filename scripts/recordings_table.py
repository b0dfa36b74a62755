"""What the recordings hold, how they are split and how often training draws from each file; a table in Markdown.

python scripts/recordings_table.py [RECORDINGS]      # a file, a folder or a pattern; by default "*_poses.npz"
"""

import sys

import numpy as np

from pose_rft.data.mocap.clips import MocapClips, concatenated, drawing_weights, read_mocap, train_test_split
from pose_rft.data.mocap.recordings import find_recordings
from pose_rft.data.splits import Part, in_part

HEADINGS = ("file", "clips", "poses", "held-out clips", "held-out poses", "drawn, %", "reward, %", "judge, %")
PARTS: tuple[Part, ...] = ("all", "reward", "judge")


def main(recordings: str = "*_poses.npz") -> None:
    """Print the table; a file's share is of what training, or a part of it, draws."""
    files = {file.name: read_mocap(file) for file in find_recordings(recordings)}
    whole = concatenated(list(files.values()))
    training, held_out = train_test_split(whole)
    parts = [training.where(np.isin(training.sequence, [n for n in training.names if in_part(n, p)])) for p in PARTS]
    lines = [
        [name, *sizes(clips), *sizes(train_test_split(clips)[1]), *(f"{share(clips, part):.1f}" for part in parts)]
        for name, clips in files.items()
    ]
    lines.append(["all", *sizes(whole), *sizes(held_out), *(f"{share(whole, part):.0f}" for part in parts)])
    for cells in (HEADINGS, ["---"] * len(HEADINGS), *lines):
        print("| " + " | ".join(map(str, cells)) + " |")


def sizes(clips: MocapClips) -> tuple[int, int]:
    """How many clips and poses."""
    return len(clips.names), len(clips)


def share(clips: MocapClips, drawn_from: MocapClips) -> float:
    """Percent of what is drawn that are poses of the given clips."""
    return 100 * float(drawing_weights(drawn_from)[np.isin(drawn_from.sequence, clips.names)].sum())


if __name__ == "__main__":
    main(*sys.argv[1:])
