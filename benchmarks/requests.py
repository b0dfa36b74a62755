"""Requests: how much of what people ask for is read, and whether what is read is right.

    POSE_RFT_MOCAP=FOLDER python -m benchmarks.requests FILE [FILE ...] [--half even] [--strict] [--show]
    POSE_RFT_MOCAP=FOLDER python -m benchmarks.requests benchmarks/requests_by_hand/*.yaml --half odd

FILE is a YAML list of requests: `text`, `category`, `checks` (what the words state, each a condition) and `facts` (how
many things they state). A statement that is read is right by the share of poses in which it holds, of those that meet
all checks of its request: poses of the recordings and of the concept bank, and, where fewer than `--poses` of these do,
others that are settled until they do. Prints per category how many requests are read at all, statements per fact, and
how much of it is right. The reader was made with a look at the even half of `requests_by_hand`. `--show` lists what is
read of each request and what is wrong.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.pose_files import read_poses
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.procedural import sample_poses
from pose_rft.data.mocap.recordings import find_recordings
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.parsing import Parsed, parse
from pose_rft.posescript.settling import settle

RECORDED, OF_THE_BANK = 20_000, 4  # poses, and poses of each concept
SETTLED = 48  # poses that are brought to meet a request's checks where too few do
RIGHT = 0.5  # share of the poses in which a right statement holds at least: words are looser than checks


class Read(NamedTuple):
    """What is read of a request, and the share of the poses that do what it asks in which each statement holds."""

    request: dict[str, Any]
    said: Parsed
    shares: list[float]  # empty where no pose does what it asks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--half", choices=("even", "odd", "all"), default="all", help="by place in the file")
    parser.add_argument("--poses", type=int, default=12, help="that decide on a request (default: %(default)s)")
    parser.add_argument("--strict", action="store_true", help="read as captions are read")
    parser.add_argument("--show", action="store_true", help="list what is read of each request")
    arguments = parser.parse_args()
    requests = [each for file in arguments.files for each in half(yaml.safe_load(file.read_text()), arguments.half)]
    found = reading(requests, not arguments.strict, arguments.poses)
    console, table = Console(soft_wrap=True), Table("category", "requests", "read", "statements / facts", "right", "of")
    groups: dict[str, list[Read]] = defaultdict(list)
    for one in found:
        groups[one.request["category"]].append(one)
    for name, group in [*groups.items(), ("all", found)]:
        table.add_row(name, *figures(group))
    if arguments.show:
        show(console, found)
    console.print(table)


def half(requests: list[dict[str, Any]], which: str) -> list[dict[str, Any]]:
    """Every second request, or all of them."""
    return requests[{"even": 0, "odd": 1, "all": 0}[which] :: 1 if which == "all" else 2]


def reading(requests: list[dict[str, Any]], as_request: bool, count: int) -> list[Read]:
    """What is read of requests, and how true it is of poses that do what they ask."""
    poses = many_poses()
    points = torch.cat([load_body().points(part) for part in poses.split(4096)])
    some = poses[torch.randperm(len(poses), generator=torch.Generator().manual_seed(0))[:SETTLED]]
    found = []
    for request in track(requests, "Reading", transient=True):
        said = parse(request["text"], request=as_request)
        checks = said.checks
        passing = points[satisfied(request["checks"], points).all(dim=1)]
        if checks and len(passing) < count:
            settled = load_body().points(settle(some, request["checks"]))
            passing = torch.cat([passing, settled[satisfied(request["checks"], settled).all(dim=1)]])
        shares = satisfied(checks, passing).double().mean(dim=0).tolist() if checks and len(passing) else []
        found.append(Read(request, said, shares))
    return found


def many_poses() -> Tensor:
    """(N, 22, 3) axis-angle: of the recordings and of the concept bank."""
    recorded = torch.cat([torch.from_numpy(read_poses(file).pose).float() for file in find_recordings("*_poses.npz")])
    recorded = recorded[torch.randperm(len(recorded), generator=torch.Generator().manual_seed(0))[:RECORDED]]
    made = np.concatenate([sample_poses(each.spec, OF_THE_BANK, seed=5) for each in load_concepts()])
    return torch.cat([recorded, torch.from_numpy(made).float()])


def figures(found: list[Read]) -> tuple[str, ...]:
    """Number, share of which something is read, statements per fact, share right, and number that could be judged."""
    read = sum(bool(one.said.checks) for one in found)
    stated, facts = sum(len(one.said.checks) for one in found), sum(one.request["facts"] for one in found)
    shares = [share for one in found for share in one.shares]
    right = f"{np.mean([share >= RIGHT for share in shares]):.1%}" if shares else "-"
    return (
        str(len(found)),
        f"{read / len(found):.0%}",
        f"{stated / facts:.0%} ({stated}/{facts})",
        right,
        str(len(shares)),
    )


def show(console: Console, found: list[Read]) -> None:
    """What is read of each request; wrong statements are marked."""
    for one in found:
        console.print(f"\n[{one.request['category']}, {one.request['facts']}] {one.request['text']}", markup=False)
        for at, check in enumerate(one.said.checks):
            share = f"{one.shares[at]:.2f}" if one.shares else "?"
            wrong = "  WRONG?" if one.shares and one.shares[at] < RIGHT else ""
            console.print(f"    {share}  {check}{wrong}", markup=False)
        if any(share < RIGHT for share in one.shares):
            console.print(f"    asked: {one.request['checks']}", markup=False)
        console.print(f"    left over: {one.said.unknown}", markup=False)


if __name__ == "__main__":
    main()
