"""Edits whose targets are solved: what is said is true, and nothing else has changed."""

from functools import cache

import numpy as np
import torch

from pose_rft.body import load_body
from pose_rft.data.mixtures import solved_edits as module
from pose_rft.data.mixtures.everyday_orders import Said, wishes
from pose_rft.data.mixtures.solved_edits import solved_edits
from pose_rft.posescript.checks import measure, satisfied
from pose_rft.posescript.edits.comparisons import compare
from pose_rft.posescript.plausibility import plausibility


@cache
def drawn() -> list[tuple[Said, torch.Tensor, torch.Tensor]]:
    """Of people who stand and lean a little, arms and legs where they like."""
    poses = 0.15 * torch.randn(720, 22, 3, generator=torch.Generator().manual_seed(0))
    poses[:, [16, 17], 2] += torch.tensor([-1.0, 1.0])  # arms hang
    poses[:, 0] *= 0.3
    return list(solved_edits(poses, np.random.default_rng(1)))


def points(poses: torch.Tensor) -> torch.Tensor:
    return load_body().points(poses)


def test_most_orders_are_met():
    assert len(drawn()) > 300


def test_what_is_said_is_true_of_the_target_and_was_not_of_the_start():
    for said, before, after in drawn():
        pair = points(torch.stack([before, after]))
        assert satisfied(said.checks, pair[1:]).all()
        assert compare(said.changes, pair[:1], pair[1:]).all()
        assert not (satisfied(said.checks, pair[:1]).all() and compare(said.changes, pair[:1], pair[:1]).all())


def test_an_elbow_bends_as_far_as_is_said_and_nothing_else_turns():
    wish = next(w for w in wishes() if (w.name, w.sign) == ("left_elbow_angle", -1))
    poses = torch.zeros(3, 22, 3)
    poses[:, 16, 2] = -1.0
    after, met = module._meet(poses, [wish], torch.tensor([20.0, 40.0, 60.0]))
    assert met.all()
    bent = measure("angle(left_elbow)", points(poses)) - measure("angle(left_elbow)", points(after))
    torch.testing.assert_close(bent, torch.tensor([20.0, 40.0, 60.0]), atol=6.0, rtol=0)
    others = [joint for joint in range(22) if joint not in (16, 18)]
    assert torch.equal(after[:, others], poses[:, others])


def test_a_turn_is_about_the_vertical_and_leaves_the_pose_as_it_is():
    wish = next(w for w in wishes() if (w.name, w.sign) == ("left_turn", 1))
    pose = 0.2 * torch.randn(1, 22, 3, generator=torch.Generator().manual_seed(0))
    after, _ = module._meet(pose, [wish], torch.tensor([90.0]))
    turned = measure("turn()", points(after)) - measure("turn()", points(pose))
    torch.testing.assert_close(turned, torch.tensor([90.0]), atol=0.1, rtol=0)
    assert torch.equal(after[:, 1:], pose[:, 1:])


def test_targets_look_no_worse_than_their_starts():
    was, now = (plausibility(points(torch.stack([pair[at] for pair in drawn()]))) for at in (1, 2))
    for kind, more in (("nod", 8.1), ("support", 0.09), ("overlap", 0.07)):  # an order may ask for two things
        assert (now[kind] <= was[kind] + more).all()


def test_starts_of_one_order_share_what_is_said_and_both_sides_are_asked_for():
    assert len({id(said) for said, _, _ in drawn()}) < 0.5 * len(drawn())
    words = [said.clause for said, _, _ in drawn()]
    left, right = (sum(side in clause for clause in words) for side in ("left", "right"))
    assert 0.4 < left / max(1, right) < 2.5


def test_the_other_side_of_an_order_is_true_of_the_mirror_image():
    said = Said("raise the left arm", ("y(left_wrist) > y(left_shoulder)",), ("change(y(left_wrist)) > 0.1",))
    other = module._other_side(said)
    assert other == Said(
        "raise the right arm", ("y(right_wrist) > y(right_shoulder)",), ("change(y(right_wrist)) > 0.1",)
    )
