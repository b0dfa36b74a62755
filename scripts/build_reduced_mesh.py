"""Build the light mesh that renders are drawn with, ``src/pose_rft/body/data/cc0_reduced.npz``.

The bundled body has 26,972 triangles; a person 200 pixels tall shows a quarter of them at best. Quadric simplification
(PyPI ``fast-simplification``, MIT) is needed only here, never at run time:

    pip install fast-simplification==0.2.0
    python scripts/build_reduced_mesh.py [--triangles 7000]

Every corner of the simplified mesh is moved to the nearest vertex of the full one, so that the file need hold only
which vertices are kept and how they are joined: shapes and skinning weights stay those of ``cc0_body.npz``.
"""

import argparse
from pathlib import Path

import fast_simplification
import numpy as np

DATA = Path(__file__).parents[1] / "src/pose_rft/body/data"


def nearest(points: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """For points (P, 3) the indices (P,) of the nearest of vertices (V, 3)."""
    found = [((part[:, None] - vertices) ** 2).sum(-1).argmin(1) for part in np.array_split(points, 64)]
    return np.concatenate(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triangles", type=int, default=7000)
    parser.add_argument("--out", type=Path, default=DATA / "cc0_reduced.npz")
    arguments = parser.parse_args()

    with np.load(DATA / "cc0_body.npz", allow_pickle=False) as body:
        vertices = body["vertices"].astype(np.float32) / np.float32(body["units_per_metre"])
        faces = body["faces"].astype(np.int32)
    points, triangles = fast_simplification.simplify(vertices, faces, target_count=arguments.triangles)
    corners = nearest(points, vertices)[triangles]
    whole = (corners != np.roll(corners, 1, axis=1)).all(1)
    kept, joined = np.unique(corners[whole], return_inverse=True)
    joined = joined.reshape(-1, 3)
    np.savez_compressed(
        arguments.out,
        vertices=kept.astype(np.uint16),  # (M,) indices into the vertices of cc0_body.npz
        faces=joined.astype(np.uint16),  # (F, 3) indices into `vertices`
    )
    size = arguments.out.stat().st_size / 1024
    print(f"wrote {arguments.out}: {size:.0f} KiB, {len(kept)} vertices, {len(joined)} faces")


if __name__ == "__main__":
    main()
