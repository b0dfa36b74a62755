"""A page that shows the language of poses at work: pictures, posecodes, captions, and edit instructions between poses.

python scripts/posescript_gallery.py gallery.html [--poses POSES.npz] [--count 12] [--pairs 8] [--seed 0]

One HTML file, no scripts, nothing fetched. Without --poses it draws concepts of the bundled bank.
"""

import argparse
import base64
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track

from pose_rft.body import load_body
from pose_rft.body.pose_files import read_poses
from pose_rft.body.render import render
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.procedural import sample_poses
from pose_rft.errors import UserError
from pose_rft.posescript.captions import caption
from pose_rft.posescript.edits.instructions import edit_instructions
from pose_rft.posescript.posecodes import classify, load_posecodes, load_statistics
from pose_rft.storage import atomic_file, ensure_writable, package_text

SIZE = (360, 280)  # pixels of a picture, height and width
STYLES = ("short", "medium", "full")
SHOWN = 8  # posecodes that are shown at once; the rest unfolds
LOOK = """
.entry { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 8fr); gap: 14px 16px;
  align-content: start; }
.entry figure { margin: 0; }
.entry img { width: 100%; display: block; border-radius: 8px; background: var(--picture);
  border: 1px solid var(--rule); }
.said { margin: 0 0 12px; padding: 0; list-style: none; }
.said li { margin: 0 0 8px; padding: 0 0 0 12px; border-left: 3px solid var(--after); overflow-wrap: anywhere; }
.said small { display: block; color: var(--quiet); font-size: 0.76rem; }
.codes { display: flex; flex-wrap: wrap; gap: 4px; margin: 0; padding: 0; list-style: none; }
.codes li { background: var(--track); border-radius: 6px; padding: 1px 7px; font-size: 0.78rem;
  overflow-wrap: anywhere; }
.under { grid-column: 1 / -1; }
details { margin: 6px 0 0; } summary { color: var(--quiet); font-size: 0.8rem; cursor: pointer; }
details .codes { margin-top: 6px; }
.wide { grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); }
@media (max-width: 560px) { .entry { grid-template-columns: 1fr; } .entry > figure { max-width: 240px; } }
"""


def procedural_poses(count: int, seed: int) -> np.ndarray:
    """Poses (N, 22, 3) of as many concepts of the bank."""
    whole = [concept for concept in load_concepts() if concept.part == "body"]
    chosen = np.random.default_rng(seed).choice(len(whole), size=count, replace=count > len(whole))
    return np.concatenate([sample_poses(whole[i].spec, 1, seed) for i in chosen])


def chosen_poses(path: Path, count: int, seed: int) -> np.ndarray:
    """Up to ``count`` poses (N, 22, 3) of a file, drawn at random."""
    poses = read_poses(path).pose
    return poses[np.random.default_rng(seed).permutation(len(poses))[:count]]


def picture(pixels: np.ndarray, name: str, label: str = "", kind: str = "") -> str:
    """A figure with its picture inlined."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="WEBP", quality=82)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    under = f"<figcaption>{label}</figcaption>" if label else ""
    size = f'width="{pixels.shape[1]}" height="{pixels.shape[0]}"'
    return (
        f'<figure class="{kind}">{under}<img {size} style="height:auto" alt="{escape(name)}" '
        f'src="data:image/webp;base64,{data}"></figure>'
    )


def chips(words: Iterable[str]) -> str:
    return f'<ul class="codes">{"".join(f"<li>{escape(word)}</li>" for word in words)}</ul>'


def folded(words: Sequence[str], title: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{chips(words)}</details>" if words else ""


def said(texts: Iterable[tuple[str, str]]) -> str:
    """(label, text) pairs, one below the other."""
    rows = "".join(f"<li><small>{escape(label)}</small>{escape(text)}</li>" for label, text in texts)
    return f'<ul class="said">{rows}</ul>'


def pose_cards(pictures: Sequence[np.ndarray], points: torch.Tensor, seed: int) -> Iterator[str]:
    """For each pose: picture, three captions, posecodes that clearly hold, the unusual ones first."""
    codes, rarity = load_posecodes(), load_statistics().frequency
    held = classify(points, clearly=True).numpy()
    captions = [caption(points, seed=seed + turn, style=style) for turn, style in enumerate(STYLES)]
    for row, pixels in enumerate(pictures):
        names = [codes[column].id for column in sorted(np.flatnonzero(held[row]), key=lambda column: rarity[column])]
        texts = [made[row].text for made in captions]
        more = folded(names[SHOWN:], f"{len(names) - SHOWN} more that clearly hold")
        yield (
            f'<article class="card entry">{picture(pixels, texts[-1])}{said(zip(STYLES, texts, strict=True))}'
            f'<div class="under">{chips(names[:SHOWN])}{more}</div></article>'
        )


def pair_cards(pictures: Sequence[np.ndarray], points: torch.Tensor, pairs: int, seed: int) -> Iterator[str]:
    """For each pose and the next one: both pictures and two instructions with what they state."""
    source, target = points[:pairs], points[1 : pairs + 1]
    shorter = edit_instructions(source, target, seed, "medium")
    longer = edit_instructions(source, target, seed + 1, "full")
    for row, (short, full) in enumerate(zip(shorter, longer, strict=True)):
        statements = [*full.posecodes, *full.changes]
        start = picture(pictures[row], "the pose to start from", "from", "before")
        yield (
            f'<article class="card"><div class="pair">{start}'
            f"{picture(pictures[row + 1], full.text, 'to', 'after')}</div>"
            f"{said([('medium', short.text), ('full', full.text)])}"
            f"{folded(statements, f'{len(statements)} statements of the full one')}</article>"
        )


def gallery(poses: np.ndarray, pairs: int, seed: int) -> str:
    """The page for poses (N, 22, 3)."""
    with torch.no_grad():
        points = load_body().points(torch.from_numpy(poses))
    steps = track(range(len(poses)), "pictures", console=Console(stderr=True), transient=True)
    pictures = [render(poses[row][None], SIZE)[0] for row in steps]
    cards = "\n".join(pose_cards(pictures, points, seed))
    edits = "\n".join(pair_cards(pictures, points, min(pairs, len(poses) - 1), seed))
    title, style = "The language of poses", package_text("pose_rft.evaluation", "report.css")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{style}{LOOK}</style>\n</head>\n<body>\n<main>\n"
        f'<header><h1>{title}</h1><p class="quiet">What is said of a pose, and what is asked of somebody who is to '
        "change it. Left limbs are orange, right limbs blue; left and right are the person’s own.</p></header>\n"
        f'<h2>Captions and posecodes</h2>\n<p class="quiet">Three captions of each pose, and the facts that clearly '
        f'hold, unusual ones first.</p>\n<div class="grid wide">{cards}</div>\n'
        + (
            f'<h2>Edit instructions</h2>\n<p class="quiet">What to change in the first pose to be in the second.</p>\n'
            f'<div class="grid wide">{edits}</div>\n'
            if edits
            else ""
        )
        + "</main>\n</body>\n</html>\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="HTML file to write")
    parser.add_argument("--poses", type=Path, help="npz with `pose` (N,22,3), or AMASS `poses`")
    parser.add_argument("--count", type=int, default=12, help="how many poses")
    parser.add_argument("--pairs", type=int, default=8, help="how many pairs: each pose and the next")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        if options.count < 1 or options.pairs < 0:
            raise UserError("--count must be at least 1 and --pairs at least 0")
        ensure_writable(options.out)
        draw = chosen_poses(options.poses, options.count, options.seed) if options.poses else None
        poses = procedural_poses(options.count, options.seed) if draw is None else draw
        with atomic_file(options.out) as part:
            part.write_text(gallery(poses, options.pairs, options.seed), encoding="utf-8")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Written to {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
