"""Draw docs/images/renders.png: renders of everyday poses, every second row with the joints over them.

python scripts/renders_picture.py docs/images/renders.png

Joints: green visible, red covered by something else, yellow behind the person's own limbs or body.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pose_rft.body.render import contact_sheet, write_png
from pose_rft.body.skeleton import PARENTS
from pose_rft.data.concepts.pools import concept_pools
from pose_rft.data.rendering.renders import render_people
from pose_rft.data.rendering.truths import Renders

COLUMNS, ROWS, SIZE, SHOWN = 8, 4, 256, 116


def with_joints(renders: Renders, row: int) -> Image.Image:
    """Picture `row` with its skeleton."""
    image = Image.fromarray(renders.pixels[row])
    draw = ImageDraw.Draw(image)
    places = [tuple(place) for place in renders.joints_2d[row].tolist()]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        draw.line([places[joint], places[parent]], fill="white", width=3)
    for joint, (x, y) in enumerate(places):
        colour = "lime" if renders.visible[row, joint] else "red" if renders.covered[row, joint] else "yellow"
        draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=colour)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    pools = concept_pools(2, arguments.seed, ())
    chosen = np.random.default_rng(arguments.seed).permutation(len(pools.concepts))
    found = (pools.poses(pools.concepts[i]) for i in chosen)
    some = (poses[0] for poses in found if len(poses))
    renders = render_people(
        np.stack([pose for pose, _ in zip(some, range(COLUMNS * ROWS), strict=False)]), arguments.seed, SIZE
    )
    pictures = [
        with_joints(renders, row) if row // COLUMNS % 2 else Image.fromarray(renders.pixels[row])
        for row in range(COLUMNS * ROWS)
    ]
    small = [picture.resize((SHOWN, SHOWN), Image.Resampling.LANCZOS) for picture in pictures]
    sheet = contact_sheet(small, columns=COLUMNS).quantize(256)
    write_png(arguments.out, sheet)
    print(f"wrote {arguments.out}: {sheet.width} x {sheet.height}, {arguments.out.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
