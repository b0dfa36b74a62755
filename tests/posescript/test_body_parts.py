"""Parts of the body: their radii are those of the skin, their gaps those of a second geometry, and mirrored."""

import pytest
import torch

from benchmarks.contacts import GRADED, agreement, distances, normals, radii, skin_gap, touching_pairs
from pose_rft.body import load_body
from pose_rft.body.skeleton import mirrored_name
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.procedural import sample_poses
from pose_rft.evaluation.figure import Figure
from pose_rft.posescript.body_parts import PARTS
from pose_rft.posescript.captions import caption
from pose_rft.posescript.checks import compile_check, measure
from pose_rft.posescript.measurements import Measurements
from tests.posescript.stick_figure import mirror, random_joints

BODY = load_body()
PAIRS = [("left_hand", "right_thigh"), ("left_foot", "right_foot"), ("head", "left_knee"), ("right_forearm", "belly")]
JOINTS = random_joints(150, seed=4).double()


@pytest.mark.parametrize(
    "part", sorted({name for name in PARTS if "right" not in name} - {"left_hand", "left_foot", "chest", "belly"})
)
def test_radii_are_those_of_the_skin_at_rest(part):
    assert radii(part, BODY)[:2] == pytest.approx(PARTS[part].radii, abs=0.002)


def test_a_place_is_a_mean_of_joints():
    for part in PARTS.values():
        assert sum(part.start.values()) == pytest.approx(1)
        assert sum(part.end.values()) == pytest.approx(1)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_gaps_are_those_of_every_point_against_every_other(one, other):
    found = measure(f"gap({one}, {other})", JOINTS)
    expected = torch.tensor([Figure(pose).gap(one, other) for pose in JOINTS.numpy()])
    allowed = torch.where(expected < 0.2, 0.003, 0.01)  # the second geometry takes steps of up to 4 mm
    assert ((found - expected).abs() < allowed).all()
    assert found.std() > 0.02


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_gap_is_the_same_both_ways_and_in_the_mirror(one, other):
    there, back = measure(f"gap({one}, {other})", JOINTS), measure(f"gap({other}, {one})", JOINTS)
    torch.testing.assert_close(there, back)
    reflected = measure(f"gap({mirrored_name(one)}, {mirrored_name(other)})", mirror(JOINTS))
    torch.testing.assert_close(there, reflected)


@pytest.mark.parametrize("check", ["gap(left_hand, right_thigh) < 0.05", "gap(left_knee, right_knee) < 0.05"])
def test_a_contact_pulls_the_parts_together(check):
    joints = JOINTS.clone().requires_grad_()
    margin = compile_check(check).margin(Measurements(joints))
    margin.sum().backward()
    moved = JOINTS + 1e-4 * joints.grad
    assert (compile_check(check).margin(Measurements(moved)) > margin).all()


def test_skins_of_hands_held_out_are_far_apart_and_those_of_neighbours_meet():
    poses = torch.zeros(1, 22, 3)
    vertices = BODY.vertices(poses)
    outward = normals(vertices, BODY.faces)
    assert skin_gap("left_hand", "right_hand", vertices, outward, BODY) > 1  # a T-pose
    assert skin_gap("left_hand", "left_forearm", vertices, outward, BODY) < 0.02  # neighbours


@pytest.fixture(scope="module")
def poses() -> torch.Tensor:
    """(N, 22, 3) axis-angle: procedural poses of concepts spread over all."""
    every = load_concepts()
    return torch.cat([torch.from_numpy(sample_poses(each.spec, 1, seed=31)) for each in every[::10]])


def test_contacts_that_captions_state_are_contacts_of_the_skin(poses):
    pairs = touching_pairs()
    pairs += [(mirrored_name(one), mirrored_name(other)) for one, other in pairs]
    stated = {
        (row, pair)
        for seed in range(3)
        for row, made in enumerate(caption(BODY.joints(poses), seed, "full"))
        for check in made.checks
        for pair in pairs
        if f"gap({pair[0]}, {pair[1]}) < 0.05" in check
    }
    assert len(stated) > 40
    apart = []
    for row in sorted({row for row, _ in stated}):
        vertices = BODY.vertices(poses[row : row + 1])
        outward = normals(vertices, BODY.faces)
        apart += [float(skin_gap(*pair, vertices, outward, BODY)) for where, pair in stated if where == row]
    found = torch.tensor(apart)
    assert (found < 0.02).float().mean() > 0.8  # metres between the skins
    assert (found < GRADED).float().mean() > 0.97
    assert found.max() < 0.08


def test_gaps_and_skins_decide_alike(poses):
    pairs = [("left_hand", "left_thigh"), ("left_foot", "right_thigh"), ("left_hand", "right_hand")]
    found = agreement(*distances(pairs, poses, BODY))
    assert found["skins that touch"] > 5
    assert found["same decision, %"] > 95
    assert found["same decision where they come within 10 cm, %"] > 75
