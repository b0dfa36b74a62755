"""Count how common every posecode is and which imply which; writes src/pose_rft/posescript/posecode_statistics.json.

python scripts/posecode_statistics.py POSES.npz [MORE.npz ...]      # `pose` (N, 22, 3) axis-angle radians
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from pose_rft.body import load_body
from pose_rft.posescript.posecodes import posecode_statistics

OUT = Path(__file__).parents[1] / "src/pose_rft/posescript/posecode_statistics.json"


def main(paths: list[str]) -> None:
    poses = torch.cat([torch.from_numpy(np.load(path, allow_pickle=False)["pose"]) for path in paths]).float()
    generator = torch.Generator().manual_seed(0)
    repeated = poses[torch.randint(len(poses), (60_000,), generator=generator)]
    amount = 0.7 * torch.rand(len(repeated), 1, 1, generator=generator)
    shaken = repeated + amount * torch.randn(repeated.shape, generator=generator)
    body = load_body()
    with torch.no_grad():
        table = posecode_statistics(body.points(poses), body.points(shaken))
    OUT.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    for name, share in sorted(table["frequency"].items(), key=lambda item: -item[1]):
        print(f"{share:7.2%}  {name:36s} {', '.join(table['implied'].get(name, []))}")


if __name__ == "__main__":
    main(sys.argv[1:])
