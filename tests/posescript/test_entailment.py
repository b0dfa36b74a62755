"""What follows from posecodes that are stated is told from their checks, and is so of every pose."""

from itertools import product

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.canonical import canonical_poses
from pose_rft.posescript.entailment import bounds_of, contradicts, follows, left_open, limbs_told
from pose_rft.posescript.posecodes import classify, exchange_sides, load_posecodes


def poses() -> torch.Tensor:
    """Points of poses of all kinds, also with every joint moved."""
    known = torch.from_numpy(np.stack(list(canonical_poses().values())))
    moved = known + 0.15 * torch.randn(known.shape, generator=torch.Generator().manual_seed(0))
    return load_body().points(torch.cat([known, moved]))


@pytest.mark.parametrize(
    ("stated", "asked", "expected"),
    [
        (["left_knee.straight"], "left_knee.straight", True),
        (["left_knee.fully_bent"], "left_knee.bent", True),
        (["body.squatting"], "right_knee.bent", True),
        (["legs.split"], "feet.wide", True),
        (["left_knee.straight"], "left_knee.bent", False),
        (["body.standing_straight"], "left_foot.raised", False),
        (["left_hand.above_other"], "right_hand.above_other", False),
        (["feet.together"], "legs.split", False),
        (["left_hand.on_head"], "left_hand.on_knee", False),
        (["left_hand.on_hip"], "left_hand.on_thigh", None),
        (["left_hand.on_head"], "right_hand.on_knee", None),
        (["left_knee.straight"], "right_knee.bent", None),
        (["body.kneeling_on_left"], "body.kneeling", None),
        (["left_knee.raised"], "right_knee.raised", None),
        (["arms.opposite"], "left_elbow.bent", None),
        ([], "left_knee.bent", None),
    ],
)
def test_what_follows_from_what_is_stated(stated, asked, expected) -> None:
    assert follows(stated, asked) is expected
    assert follows(map(exchange_sides, stated), exchange_sides(asked)) is expected


def test_facts_together_tell_what_none_tells_alone() -> None:
    both = ["left_knee.fully_bent", "right_knee.straight"]
    assert follows(both, "left_knee.bent")
    assert follows(both, "right_knee.bent") is False


def test_whatever_follows_is_so_of_every_pose() -> None:
    holds, ids = classify(poses()).numpy(), [code.id for code in load_posecodes()]
    told = 0
    for (row, stated), (column, asked) in product(enumerate(ids), repeat=2):
        truth = follows([stated], asked)
        if truth is None or row == column or not holds[:, row].any():
            continue
        told += 1
        share = holds[holds[:, row], column].mean()
        # A hand that rests on the head may just reach a knee of who is folded up; nobody would say both.
        assert share == 1 if truth else share <= (0.02 if bounds_of(stated).keys().isdisjoint(bounds_of(asked)) else 0)
    assert told > 500


def test_looser_words_are_not_denied() -> None:
    assert not contradicts("body.kneeling_on_right", "body.kneeling")
    assert not contradicts("legs.split", "feet.apart")
    assert contradicts("feet.together", "feet.apart")


def test_what_nothing_was_said_of_is_left_open() -> None:
    assert limbs_told("left_hand.on_hip") == {"left arm", "left leg"}
    assert left_open(["right_knee.straight"], "left_knee.bent")
    assert left_open(["torso.forward"], "left_elbow.bent")
    assert not left_open(["body.squatting"], "left_knee.slightly_bent")
    assert not left_open(["left_foot.raised"], "left_knee.bent")
    assert not left_open([], "torso.forward")
