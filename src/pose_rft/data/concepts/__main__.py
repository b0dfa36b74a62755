"""Check and draw concept files: ``python -m pose_rft.data.concepts FILE --sheet sheet.png``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.stick_figures import draw_stick_figures
from pose_rft.data.concepts.validation import problems
from pose_rft.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Validate concept files, print counts and problems, and draw sheets of stick figures."""
    parser = argparse.ArgumentParser(prog="python -m pose_rft.data.concepts", description=main.__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="concept files (default: all)")
    parser.add_argument("--only", default="", help="ids (or beginnings of ids), separated by commas")
    parser.add_argument("--sheet", type=Path, help="PNG to draw: one row per concept; more pages get -2, -3 ...")
    parser.add_argument("--columns", type=int, default=4, help="poses per row")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        concepts = load_concepts(options.files or None, twins=False)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    chosen = [c for c in concepts if not options.only or c.id.startswith(tuple(options.only.split(",")))]
    rows, bad = [], 0
    for concept in chosen:
        found, poses = problems(concept)
        bad += bool(found)
        for text in found:
            print(f"{concept.file}: {concept.id}: {text}")
        rows.append((f"{concept.id}: {concept.phrases[0]}" + ("   << SEE PROBLEMS" if found else ""), poses))
    phrases = sum(len(c.phrases) + (len(c.twin().phrases) if c.one_sided else 0) for c in chosen)
    print(f"{len(chosen)} concepts, {phrases} phrases (mirrored ones included), {bad} concepts with problems")
    if options.sheet:
        for page, start in enumerate(range(0, len(rows), 14)):
            path = options.sheet if page == 0 else options.sheet.with_stem(f"{options.sheet.stem}-{page + 1}")
            draw_stick_figures(rows[start : start + 14], options.columns).save(path)
            print(f"drew {path}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
