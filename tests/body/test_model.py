import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_rft.body import load_body
from pose_rft.body.model import Cc0Body
from pose_rft.body.skeleton import JOINT_INDEX, MIRROR, PARENTS
from pose_rft.errors import UserError

BODY = load_body()
REST = torch.zeros(22, 3)
seeds = st.integers(0, 10_000)


def random_batch(seed: int, *batch: int, spread: float = 0.5) -> torch.Tensor:
    return spread * torch.randn(*batch, 22, 3, generator=torch.Generator().manual_seed(seed))


def random_betas(seed: int, *batch: int) -> torch.Tensor:
    return torch.randn(*batch, 10, generator=torch.Generator().manual_seed(seed))


def joint(joints: torch.Tensor, name: str) -> torch.Tensor:
    return joints[..., JOINT_INDEX[name], :]


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_every_shape_rests_in_an_exact_t_pose(seed: int) -> None:
    joints = BODY.joints(REST, random_betas(seed))
    for side, sign in (("left", 1), ("right", -1)):
        arm = torch.stack([joint(joints, f"{side}_{part}") for part in ("shoulder", "elbow", "wrist")])
        leg = torch.stack([joint(joints, f"{side}_{part}") for part in ("hip", "knee", "ankle")])
        torch.testing.assert_close(arm[:, 1:], arm[:1, 1:].expand(3, 2), atol=2e-6, rtol=0)  # level, not forward
        assert (sign * arm[:, 0].diff() > 0.1).all()  # outwards
        torch.testing.assert_close(leg[:, [0, 2]], leg[:1, [0, 2]].expand(3, 2), atol=2e-6, rtol=0)  # plumb
        assert (leg[:, 1].diff() < -0.2).all()  # downwards
        toes = joint(joints, f"{side}_foot") - joint(joints, f"{side}_ankle")
        assert abs(toes[0]) < 2e-6  # feet straight ahead
        assert toes[2] > 0.05


def test_the_mean_body_is_an_adult_of_about_1_70_m_with_its_pelvis_at_the_origin() -> None:
    skin = BODY.vertices(REST)
    # scripts/build_body.py prints 1.695 m as the mean stature of the bodies it averages.
    assert float(skin[:, 1].max() - skin[:, 1].min()) == pytest.approx(1.695, abs=0.01)
    assert joint(BODY.joints(REST), "pelvis").tolist() == [0.0, 0.0, 0.0]
    nose = skin[(skin[:, 1] > 0.6)][:, 2].max()
    assert nose > -skin[(skin[:, 1] > 0.6)][:, 2].min()  # the face is on the +z side


def test_offsets_are_symmetric_and_add_up_to_the_rest_joints() -> None:
    mirrored = BODY.offsets[list(MIRROR)] * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(BODY.offsets, mirrored, atol=1e-6, rtol=0)
    joints = BODY.joints(REST)
    torch.testing.assert_close(joints[1:] - joints[list(PARENTS[1:])], BODY.offsets[1:], atol=1e-6, rtol=0)


def test_the_first_shape_component_is_mostly_stature() -> None:
    small, tall = BODY.vertices(REST.expand(2, 22, 3), torch.eye(10)[:1] * torch.tensor([[-1.0], [1.0]]))
    difference = (tall[:, 1].max() - tall[:, 1].min()) - (small[:, 1].max() - small[:, 1].min())
    # One standard deviation each way; adults' stature spreads by about 0.1 m (WHO data behind Anny's distribution).
    assert 0.1 < float(difference) < 0.3


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_bones_keep_their_length_in_every_pose(seed: int) -> None:
    joints = BODY.joints(random_batch(seed, 4, spread=1.5))
    bones = (joints[:, 1:] - joints[:, list(PARENTS[1:])]).norm(dim=-1)
    torch.testing.assert_close(bones, BODY.offsets[1:].norm(dim=-1).expand(4, 21), atol=1e-5, rtol=0)


@given(seeds)
@settings(max_examples=5, deadline=None)
def test_skin_and_joints_turn_rigidly_with_the_pelvis_and_move_with_trans(seed: int) -> None:
    pose = random_batch(seed)
    turn = roma.random_rotmat()
    turned = pose.clone()
    turned[0] = roma.rotmat_to_rotvec(turn @ roma.rotvec_to_rotmat(pose[0]))
    trans = torch.tensor([1.0, -2.0, 3.0])
    torch.testing.assert_close(
        BODY.vertices(turned, trans=trans), BODY.vertices(pose) @ turn.T + trans, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(BODY.joints(turned), BODY.joints(pose) @ turn.T, atol=1e-5, rtol=0)


def test_skinning_equals_the_sum_over_joints_written_out() -> None:
    assert isinstance(BODY, Cc0Body)
    pose, betas = random_batch(1), random_betas(2)
    skin, a_joints = BODY.a_pose(betas)
    joints = BODY.joints(pose, betas)
    local = roma.rotvec_to_rotmat(pose)
    world = [local[0]]
    for index in range(1, 22):
        world.append(world[PARENTS[index]] @ local[index])
    posed = BODY.vertices(pose, betas)
    for vertex in range(0, len(skin), 1500):
        expected = torch.zeros(3)
        for index, weight in zip(BODY.skin_joints[vertex], BODY.skin_weights[vertex], strict=True):
            k = int(index)
            expected += weight * (world[k] @ BODY.rest_rotations[k] @ (skin[vertex] - a_joints[k]) + joints[k])
        torch.testing.assert_close(posed[vertex], expected, atol=1e-5, rtol=0)


def test_batches_of_any_shape_equal_one_by_one() -> None:
    poses, betas = random_batch(3, 2, 3), random_betas(4, 2, 3)
    joints, skins = BODY.joints(poses, betas), BODY.vertices(poses, betas)
    assert joints.shape == (2, 3, 22, 3)
    assert skins.shape == (2, 3, len(BODY.skin_weights), 3)
    torch.testing.assert_close(joints[1, 2], BODY.joints(poses[1, 2], betas[1, 2]), atol=1e-6, rtol=0)
    torch.testing.assert_close(skins[1, 2], BODY.vertices(poses[1, 2], betas[1, 2]), atol=1e-5, rtol=0)
    assert BODY.joints(torch.zeros(0, 22, 3)).shape == (0, 22, 3)


def test_gradients_of_joints_agree_with_finite_differences() -> None:
    rotations = roma.rotvec_to_rotmat(random_batch(5, 2).double()).requires_grad_()
    betas = random_betas(6, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda r, b: BODY.joints_from_rotations(r, b), (rotations, betas))


def test_the_body_is_read_once() -> None:
    assert load_body("cc0") is load_body("cc0")


def test_faces_turn_counter_clockwise_seen_from_outside() -> None:
    skin = BODY.vertices(REST).double()
    a, b, c = skin[BODY.faces].unbind(1)
    volume = (a * torch.linalg.cross(b, c)).sum() / 6
    assert 0.05 < float(volume) < 0.09  # cubic metres: an adult of about 70 kg


def test_a_missing_model_file_is_one_clear_line() -> None:
    with pytest.raises(UserError, match="no such body model") as caught:
        load_body("nowhere/SMPL_NEUTRAL.npz")
    assert "\n" not in str(caught.value)


def test_betas_of_another_length_are_refused() -> None:
    with pytest.raises(UserError, match="10 shape components"):
        BODY.vertices(REST, torch.zeros(16))
