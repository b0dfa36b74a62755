"""Count how common every posecode is and which imply which; writes src/pose_rft/posescript/posecode_statistics.json.

python scripts/posecode_statistics.py [RECORDINGS]      # a file, a folder or a pattern; by default "*_poses.npz"
"""

import json
import sys
from pathlib import Path

import torch

from pose_rft.body import load_body
from pose_rft.data.mocap.clips import drawing_weights, read_mocap
from pose_rft.posescript.posecodes import posecode_statistics

DRAWN = 60_000
OUT = Path(__file__).parents[1] / "src/pose_rft/posescript/posecode_statistics.json"


def main(recordings: str = "*_poses.npz") -> None:
    """Count over poses drawn as training draws them, so that no source swamps the others."""
    clips = read_mocap(recordings)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.multinomial(torch.from_numpy(drawing_weights(clips)), DRAWN, replacement=True, generator=generator)
    repeated = torch.from_numpy(clips.pose)[drawn]
    amount = 0.7 * torch.rand(len(repeated), 1, 1, generator=generator)
    shaken = repeated + amount * torch.randn(repeated.shape, generator=generator)
    body = load_body()
    with torch.no_grad():
        table = posecode_statistics(body.points(repeated), body.points(shaken))
    OUT.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    for name, share in sorted(table["frequency"].items(), key=lambda item: -item[1]):
        print(f"{share:7.2%}  {name:36s} {', '.join(table['implied'].get(name, []))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
