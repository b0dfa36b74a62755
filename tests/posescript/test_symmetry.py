"""Bodies that are nearly the same on both sides become the same on both."""

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX, mirror_pose
from pose_rft.posescript.checks import measure
from pose_rft.posescript.symmetry import evened, is_one_sided
from tests.posescript.test_settling import CHAIR, turned


def asymmetry(part: str, pose: torch.Tensor) -> float:
    return float(measure(f"asymmetry({part})", load_body().points(pose[None])))


def test_noise_of_joints_goes_and_the_body_s_heading_stays():
    chair = turned(pelvis=(10, 40, 0), **CHAIR)
    noise = 0.03 * torch.randn(22, 3, generator=torch.Generator().manual_seed(0))
    noise[0] = 0
    even = evened(chair + noise)
    assert asymmetry("arms", chair + noise) > 0.01
    assert asymmetry("body", even) < 0.01
    torch.testing.assert_close(even[0], chair[0])
    assert (even - chair).abs().max() < 0.1


def test_one_raised_arm_stays_raised_and_legs_become_alike():
    pose = turned(left_shoulder=(0, 0, 80), right_shoulder=(0, 0, 80), left_hip=(-10, 0, 0), neck=(0, 15, 0))
    even = evened(pose)
    torch.testing.assert_close(even[JOINT_INDEX["left_shoulder"]], pose[JOINT_INDEX["left_shoulder"]])
    torch.testing.assert_close(even[JOINT_INDEX["neck"]], pose[JOINT_INDEX["neck"]])
    assert asymmetry("legs", pose) > 0.01
    assert asymmetry("legs", even) < 0.01


def test_folded_arms_stay_one_over_the_other():
    """Forearms at equal heights would be in one another."""
    folded = turned(
        left_shoulder=(0, -50, -50), right_shoulder=(0, 50, 50), left_elbow=(0, -110, -20), right_elbow=(0, 110, -20)
    )
    assert asymmetry("arms", folded) < 0.1
    torch.testing.assert_close(evened(folded), folded)


def test_a_pose_and_its_mirror_image_are_evened_alike_in_any_batch():
    poses = 0.15 * torch.randn(2, 3, 22, 3, generator=torch.Generator().manual_seed(1))
    even = evened(poses)
    torch.testing.assert_close(mirror_pose(even), evened(mirror_pose(poses)), atol=1e-5, rtol=0)
    torch.testing.assert_close(even[1, 2], evened(poses[1, 2]), atol=1e-5, rtol=0)
    assert evened(poses[:0]).shape == (0, 3, 22, 3)


@pytest.mark.parametrize(("text", "one_sided"), [
    ("a straight-arm plank", False), ("Both arms are raised.", False), ("Left knee up", True),
    ("balancing on one leg", True), ("twisting the trunk", True), ("standing upright, both hands on hips", False),
])  # fmt: skip
def test_words_tell_whether_sides_may_differ(text, one_sided):
    assert is_one_sided(text) == one_sided
