import pytest
import roma
import torch

from pose_rft.body.skeleton import mirror_pose
from pose_rft.errors import UserError
from pose_rft.policy.pose_head import HeadConfig, PoseHead

HIDDEN = 16


def head(**settings):
    torch.manual_seed(0)
    return PoseHead(HIDDEN, HeadConfig(**({"width": 32, "depth": 1, "heads": 4} | settings)))


def states(n=3, length=5):
    torch.manual_seed(1)
    memory = torch.randn(n, length, HIDDEN)
    return memory, torch.ones(n, length, dtype=torch.bool), memory[:, -1]


@pytest.mark.parametrize("kind", ["query", "mlp"])
@pytest.mark.parametrize("covariance", ["diagonal", "low_rank", "none"])
def test_every_head_predicts_a_usable_distribution(kind, covariance):
    gaussian = head(kind=kind, covariance=covariance)(*states())
    assert gaussian.mean.shape == (3, 132)
    assert gaussian.is_diagonal == (covariance != "low_rank")
    assert torch.isfinite(gaussian.log_prob(gaussian.sample(2))).all()


def test_standard_deviations_are_floored():
    floored = head(covariance="diagonal", min_std=0.05)
    with torch.no_grad():
        floored.std.bias.fill_(-100.0)
    assert floored(*states()).scale_tril.min().item() == pytest.approx(0.05)


def test_padding_does_not_change_the_query_head():
    query = head()
    memory, mask, state = states()
    padded = torch.cat([memory, torch.full((3, 4, HIDDEN), 9.0)], dim=1)
    padded_mask = torch.cat([mask, torch.zeros(3, 4, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(query(padded, padded_mask, state).mean, query(memory, mask, state).mean)


def test_the_query_head_reads_every_position_and_the_mlp_only_the_pose_token():
    memory, mask, state = states()
    changed = memory.clone()
    changed[:, 0] += 1.0
    assert not torch.allclose(head()(changed, mask, state).mean, head()(memory, mask, state).mean)
    mlp = head(kind="mlp")
    assert torch.equal(mlp(changed, mask, state).mean, mlp(memory, mask, state).mean)


def test_a_mirrored_action_is_the_action_of_the_mirrored_pose():
    poses = torch.randn(50, 22, 3)
    action_space = head()
    action_space.fit_action_space(poses)
    mirrored = action_space.mirrored(action_space.to_action(poses).flatten(-2))
    expected = action_space.to_action(mirror_pose(poses)).flatten(-2)
    torch.testing.assert_close(mirrored, expected, atol=1e-5, rtol=1e-5)


def test_poses_survive_the_action_space():
    poses = torch.randn(50, 22, 3)
    action_space = head()
    action_space.fit_action_space(poses)
    action = action_space.to_action(poses)
    torch.testing.assert_close(action.mean(0), torch.zeros(22, 6), atol=1e-5, rtol=0)
    torch.testing.assert_close(action_space.to_rotations(action), roma.rotvec_to_rotmat(poses), atol=1e-5, rtol=0)


def test_any_action_is_a_rotation():
    rotations = head().to_rotations(torch.randn(20, 22, 6) * 3)
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand_as(rotations), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(20, 22), atol=1e-5, rtol=0)


@pytest.mark.parametrize("settings", [{"kind": "lstm"}, {"covariance": "full"}, {"width": 30}])
def test_unknown_heads_are_refused(settings):
    with pytest.raises(UserError, match=r"kind|covariance|width"):
        head(**settings)


@pytest.mark.parametrize("settings", [{"components": 3}, {"sentence": 24}, {"expansion": 2}])
def test_heads_of_other_shapes_ignore_padding_and_learn(settings):
    query = head(**settings)
    memory, mask, state = states()
    padded = torch.cat([memory, torch.full((3, 4, HIDDEN), 9.0)], dim=1)
    padded_mask = torch.cat([mask, torch.zeros(3, 4, dtype=torch.bool)], dim=1)
    predicted = query(memory, mask, state)
    torch.testing.assert_close(query(padded, padded_mask, state).mean, predicted.mean)
    predicted.log_prob(torch.randn(3, 2, 22, 6)).sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in query.parameters())


def test_a_mixture_has_a_weight_and_a_pose_for_each_component():
    predicted = head(components=3)(*states())
    assert predicted.means.shape == (3, 3, 132)
    torch.testing.assert_close(predicted.log_weight.exp().sum(dim=1), torch.ones(3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"covariance": "diagonal", "components": 2}, "components"), ({"kind": "mlp", "sentence": 8}, "sentence")],
)
def test_settings_that_a_head_does_not_read_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        HeadConfig(**settings)
