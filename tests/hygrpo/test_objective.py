import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_rft.hygrpo import hybrid_objective, token_kl

NO_TEXT = (torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.bool), torch.zeros(1))
NO_POSE = (torch.zeros(1), torch.zeros(1), torch.zeros(1, dtype=torch.bool), torch.zeros(1))


def batch(seed, answers=5, tokens=7, joints=None):
    g = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    mask = torch.rand(answers, tokens, generator=g) < 0.7
    mask[:, 0] = True
    shape = (answers,) if joints is None else (answers, joints)
    valid = torch.rand(answers, generator=g) < 0.7
    valid[0] = True
    old_text, old_pose = rand(answers, tokens), rand(*shape)
    return [
        old_text + 0.3 * rand(answers, tokens), old_text, mask, rand(answers),
        old_pose + 0.3 * rand(*shape), old_pose, valid, rand(answers),
    ]  # fmt: skip


def brute_force(logp_t, old_t, mask, adv_t, logp_p, old_p, valid, adv_p, epsilon=0.2):
    """The two sums of the paper's equation, written as loops."""

    def term(logp, old, advantage):
        ratio = math.exp(logp - old)
        return min(ratio * advantage, max(min(ratio, 1 + epsilon), 1 - epsilon) * advantage)

    text = 0.0
    for i in range(len(adv_t)):
        terms = [term(logp_t[i, t], old_t[i, t], adv_t[i]) for t in range(mask.shape[1]) if mask[i, t]]
        text += sum(terms) / len(terms) / len(adv_t)
    pose, count = 0.0, int(valid.sum())
    for m in range(len(adv_p)):
        if valid[m]:
            joints = logp_p[m].reshape(-1), old_p[m].reshape(-1)
            terms = [term(a, b, adv_p[m]) for a, b in zip(*joints, strict=True)]
            pose += sum(terms) / len(terms) / count
    return float(text + pose)


@pytest.mark.parametrize("joints", [None, 22])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_objective_is_the_papers_two_sums(seed, joints):
    arguments = batch(seed, joints=joints)
    assert hybrid_objective(*arguments)[0].item() == pytest.approx(brute_force(*arguments), abs=1e-12)


def test_hand_worked_clipping():
    # ratio 1.5 is cut to 1.2 for advantage 2; ratio 0.5 counts in full (min) for advantage -1 only down to 0.8
    pose = (torch.log(torch.tensor([1.5, 0.5])), torch.zeros(2), torch.ones(2, dtype=torch.bool))
    value, metrics = hybrid_objective(*NO_TEXT, *pose, torch.tensor([2.0, -1.0]))
    assert value.item() == pytest.approx((1.2 * 2 - 0.8) / 2)
    assert metrics["pose/clip_share"] == 1.0


def test_without_poses_it_is_token_grpo():
    arguments = batch(3)
    logp, old, mask, advantages = arguments[:4]
    ratio = (logp - old).exp()
    surrogate = torch.minimum(ratio * advantages[:, None], ratio.clamp(0.8, 1.2) * advantages[:, None])
    grpo = ((surrogate * mask).sum(1) / mask.sum(1)).mean()
    torch.testing.assert_close(hybrid_objective(*arguments[:4], *[x.double() for x in NO_POSE])[0], grpo)


def test_without_text_it_is_ppo_clip_on_the_pose():
    arguments = batch(4)
    logp, old, valid, advantages = arguments[4:]
    ratio = (logp - old).exp()[valid]
    ppo = torch.minimum(ratio * advantages[valid], ratio.clamp(0.8, 1.2) * advantages[valid]).mean()
    torch.testing.assert_close(hybrid_objective(*[x.double() for x in NO_TEXT], *arguments[4:])[0], ppo)


def test_an_empty_batch_is_zero_with_zero_gradient_and_never_nan():
    logp = torch.full((2, 3), float("nan"), requires_grad=True)
    mask = torch.zeros(2, 3, dtype=torch.bool)
    value, metrics = hybrid_objective(logp, logp.detach(), mask, torch.ones(2), *NO_POSE)
    assert value.item() == 0
    assert metrics == {}


def test_nan_at_masked_places_touches_neither_value_nor_gradient():
    logp = torch.tensor([[0.1, float("nan")]], requires_grad=True)
    mask = torch.tensor([[True, False]])
    value, _ = hybrid_objective(logp, torch.zeros(1, 2), mask, torch.ones(1), *NO_POSE)
    value.backward()
    assert value.item() == pytest.approx(math.exp(0.1))
    assert logp.grad is not None
    assert logp.grad.tolist() == [[pytest.approx(math.exp(0.1)), 0.0]]


@pytest.mark.parametrize("joints", [None, 4])
def test_gradients_agree_with_finite_differences(joints):
    arguments = batch(7, answers=3, tokens=4, joints=joints)
    arguments[0].requires_grad_(True)
    arguments[4].requires_grad_(True)

    def objective(logp_text, logp_pose):
        return hybrid_objective(logp_text, *arguments[1:4], logp_pose, *arguments[5:])[0]

    assert torch.autograd.gradcheck(objective, (arguments[0], arguments[4]), eps=1e-6, atol=1e-6)


def test_shapes_that_do_not_fit_are_refused():
    arguments = batch(1)
    arguments[3] = torch.zeros(99)
    with pytest.raises(ValueError, match="text"):
        hybrid_objective(*arguments)
    arguments = batch(1)
    arguments[7] = torch.zeros(99)
    with pytest.raises(ValueError, match="pose"):
        hybrid_objective(*arguments)


def test_token_kl_is_zero_for_equal_policies_and_estimates_the_true_divergence():
    logits, reference = torch.tensor([0.5, -0.2, 0.1]), torch.tensor([0.0, 0.4, -0.3])
    logp, reference_logp = logits.log_softmax(0), reference.log_softmax(0)
    true = (logp.exp() * (logp - reference_logp)).sum().item()
    samples = torch.multinomial(logp.exp(), 200_000, replacement=True, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(1, len(samples), dtype=torch.bool)
    estimate = token_kl(logp[samples][None], reference_logp[samples][None], mask).item()
    assert estimate == pytest.approx(true, rel=0.02)
    assert token_kl(logp[None], logp[None], torch.ones(1, 3)).item() == 0
