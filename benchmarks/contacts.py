"""Do the rounded cones of `gap` touch where the skin of the bundled body touches? Prints a table.

python -m benchmarks.contacts --poses "*_poses.npz" [--count 400] [--json FILE]
python -m benchmarks.contacts --radii                  # measures the radii of pose_rft.posescript.body_parts at rest

Poses are chosen at random from the file, and as many procedural ones (`pose_rft.data.concepts.procedural`), which touch
themselves more often. For every pair of parts that a posecode is about, the skin is asked directly: how far the
vertices of one part are from those of the other, counted below zero where they lie under its surface. Two parts touch
where their skins come within 2 cm of each other.
"""

import argparse
import re
from functools import cache
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from benchmarks.caption_truth import report
from benchmarks.command_line import recordings
from pose_rft.body import load_body
from pose_rft.body.model import BodyModel
from pose_rft.body.skeleton import JOINT_INDEX, PARENTS
from pose_rft.data.mocap.clips import read_mocap
from pose_rft.evaluation.caption_benchmark import procedural_poses
from pose_rft.posescript.body_parts import PARTS, axes
from pose_rft.posescript.checks import measure
from pose_rft.posescript.posecodes import load_posecodes

TOUCHING = 0.02  # metres between two skins that touch; vertices lie about 1 cm apart
AROUND = 0.03  # metres to both sides of a joint: skin around a part that is a point, such as a knee
REST = torch.zeros(22, 3)  # the T-pose
STATED, GRADED = 0.02, 0.05  # metres: gaps below which captions state a contact, and below which one is graded as true
NEAR = 0.1  # metres: where there is something to decide
SAMPLED = 250  # vertices of one part that are asked for their distance to the other
CHUNK = 20  # poses at once


@cache
def skin_of(part: str, body: BodyModel) -> Tensor:
    """The vertices of a part: those that its joints move most, and of a point those around it, (V',)."""
    moved_by = body.skin_joints.gather(1, body.skin_weights.argmax(dim=1, keepdim=True))[:, 0]
    mine = torch.isin(moved_by, torch.tensor([JOINT_INDEX[name] for name in PARTS[part].skin]))
    start, end, skin = at_rest(part, body)
    if torch.equal(start, end):
        (joint,) = PARTS[part].start
        bone = start - body.joints(REST)[PARENTS[JOINT_INDEX[joint]]]
        mine &= ((skin - start) @ bone / bone.norm()).abs() < AROUND
    return mine.nonzero()[:, 0]


def at_rest(part: str, body: BodyModel) -> tuple[Tensor, Tensor, Tensor]:
    """Start and end of a part's axis, (3,) each, and the whole skin, (V, 3), in the T-pose."""
    start, along, _ = axes(body.joints(REST)[None], torch.tensor([[0.0, 0.0, 1.0]]))[part]
    return start[:, 0], (start + along)[:, 0], body.vertices(REST)


def normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Outward directions of the skin at every vertex, (N, V, 3) of length one; faces (F, 3)."""
    a, b, c = (vertices[:, faces[:, corner]] for corner in range(3))
    across = torch.linalg.cross(b - a, c - a)
    summed = torch.zeros_like(vertices)
    for corner in range(3):
        summed.index_add_(1, faces[:, corner], across)
    return summed / summed.norm(dim=-1, keepdim=True).clamp_min(1e-12)


def skin_gap(one: str, other: str, vertices: Tensor, outward: Tensor, body: BodyModel) -> Tensor:
    """The least distance (N,) of the skins of two parts, metres; below zero where one is inside the other.

    Args:
        vertices, outward: (N, V, 3) skin, metres, and its normals.
    """
    asked, skin = skin_of(one, body), skin_of(other, body)
    asked = asked[:: max(1, len(asked) // SAMPLED)]
    points, surface = vertices[:, asked], vertices[:, skin]
    distance, place = torch.cdist(points, surface).min(dim=2)  # (N, A)
    index = place.unsqueeze(-1).expand(-1, -1, 3)
    offset = points - surface.gather(1, index)
    behind = -(offset * outward[:, skin].gather(1, index)).sum(dim=-1)
    inside = (behind > 0.7 * distance) & (distance < NEAR)  # straight behind the skin, not beyond its rim
    return torch.where(inside, -distance, distance).amin(dim=1)


def touching_pairs() -> list[tuple[str, str]]:
    """The pairs of parts that posecodes of the left side, or of none, ask for."""
    found = [re.findall(r"gap\((\w+), (\w+)\)", code.check) for code in load_posecodes() if code.id[:6] != "right_"]
    return sorted({pair for pairs in found for pair in pairs})


def radii(part: str, body: BodyModel) -> tuple[float, float, float]:
    """A part's thickness at both ends of its axis, and how far its skin strays from that (median), metres, at rest."""
    start, end, skin = at_rest(part, body)
    onto, offset = end - start, skin[skin_of(part, body)] - start
    along = offset @ onto / (onto @ onto).clamp_min(1e-12)
    beside = (along >= 0) & (along <= 1)  # not beyond the ends
    place = along[beside].numpy()
    apart = (offset - along.unsqueeze(1) * onto).norm(dim=1)[beside].numpy()
    if PARTS[part].radii[0] == PARTS[part].radii[1]:
        thick = thin = float(np.median(apart))
    else:
        slope, thick = np.polyfit(place, apart, 1)
        thin = thick + slope
    return float(thick), float(thin), float(np.median(np.abs(apart - (thick + (thin - thick) * place))))


def agreement(by_gap: Tensor, by_skin: Tensor) -> dict[str, float]:
    """How well two distances of the same parts agree, (N,) or (N, P) metres each.

    ``gap`` is asked as posecodes ask it: a contact is stated below 2 cm and graded as one below 5 cm.
    """
    stated, graded, touching = by_gap < STATED, by_gap < GRADED, by_skin < TOUCHING
    near = (by_skin < NEAR) | (by_gap < NEAR)
    return {
        "decisions": stated.numel(),
        "skins that touch": int(touching.sum()),
        "same decision, %": 100 * float((stated == touching).float().mean()),
        "same decision where they come within 10 cm, %": 100 * float((stated == touching)[near].float().mean()),
        "stated contacts": int(stated.sum()),
        "stated contacts whose skins come within 2 cm, %": 100 * float(touching[stated].float().mean()),
        "stated contacts whose skins come within 4 cm, %": 100 * float((by_skin < 2 * TOUCHING)[stated].float().mean()),
        "skins that touch graded as contact, %": 100 * float(graded[touching].float().mean()),
        "difference within 10 cm, median, cm": 100 * float((by_gap - by_skin)[near].abs().median()),
    }


def distances(pairs: list[tuple[str, str]], poses: Tensor, body: BodyModel) -> tuple[Tensor, Tensor]:
    """Metres between parts by ``gap`` and by skin, (N, P) each, of poses (N, 22, 3)."""
    joints = body.joints(poses)
    by_gap = torch.stack([measure(f"gap({one}, {other})", joints) for one, other in pairs], dim=1)
    by_skin = []
    for some in track(poses.split(CHUNK), "skins", console=Console(stderr=True), transient=True):
        vertices = body.vertices(some)
        outward = normals(vertices, body.faces)
        by_skin.append(torch.stack([skin_gap(*pair, vertices, outward, body) for pair in pairs], dim=1))
    return by_gap, torch.cat(by_skin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen_by = parser.add_mutually_exclusive_group(required=True)
    chosen_by.add_argument("--poses", type=recordings)
    chosen_by.add_argument("--radii", action="store_true")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    body = load_body()
    if chosen.radii:
        for part in PARTS:
            if not part.startswith("right_"):
                print(
                    "{:16s} {:.3f} to {:.3f} m, half of its skin within {:.3f} m of that".format(
                        part, *radii(part, body)
                    )
                )
        return
    generator = torch.Generator().manual_seed(0)
    sources = torch.from_numpy(read_mocap(chosen.poses).pose).float(), procedural_poses()
    poses = torch.cat([some[torch.randperm(len(some), generator=generator)[: chosen.count]] for some in sources])
    pairs = touching_pairs()
    by_gap, by_skin = distances(pairs, poses, body)
    for column, pair in enumerate(pairs):
        found = agreement(by_gap[:, column], by_skin[:, column])
        print(
            "{:13s} {:16s} touch {:4d}, stated {:4d}, same {:6.2f} %".format(
                *pair, *(found[name] for name in ("skins that touch", "stated contacts", "same decision, %"))
            )
        )
    figures = {"poses": len(poses), "pairs of parts": len(pairs)} | agreement(by_gap, by_skin)
    report(figures, chosen.json)


if __name__ == "__main__":
    main()
