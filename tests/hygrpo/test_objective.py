import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_rft.hygrpo import hybrid_objective, text_log_ratio, token_kl

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


def brute_force(logp_t, old_t, mask, adv_t, logp_p, old_p, valid, adv_p, text_ratio="token", groups=1, epsilon=0.2):
    """The two sums of the paper's equation, written as loops."""

    def term(log_ratio, advantage):
        ratio = math.exp(log_ratio)
        return min(ratio * advantage, max(min(ratio, 1 + epsilon), 1 - epsilon) * advantage)

    text = 0.0
    for i in range(len(adv_t)):
        differences = [float(logp_t[i, t] - old_t[i, t]) for t in range(mask.shape[1]) if mask[i, t]]
        if text_ratio == "answer":
            differences = [sum(differences)]
        elif text_ratio == "answer_mean":
            differences = [sum(differences) / len(differences)]
        text += sum(term(each, adv_t[i]) for each in differences) / len(differences) / len(adv_t)
    means = []
    for group in torch.arange(len(adv_p)).chunk(groups):
        terms = []
        for m in group.tolist():
            if valid[m]:
                joints = (logp_p[m] - old_p[m]).reshape(-1)
                terms.append(sum(term(each, adv_p[m]) for each in joints) / len(joints))
        if terms:
            means.append(sum(terms) / len(terms))
    return float(text + sum(means) / len(means))


@pytest.mark.parametrize("joints", [None, 22])
@pytest.mark.parametrize("text_ratio", ["token", "answer", "answer_mean"])
@pytest.mark.parametrize("groups", [1, 3])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_objective_is_the_papers_two_sums(seed, joints, text_ratio, groups):
    arguments = batch(seed, answers=6, joints=joints)
    value, _ = hybrid_objective(*arguments, text_ratio=text_ratio, pose_groups=groups)
    assert value.item() == pytest.approx(brute_force(*arguments, text_ratio, groups), abs=1e-12)


def test_each_prompt_counts_the_same_however_many_poses_it_has():
    # Two prompts with two poses each: 2 and 4 of the first, 10 of the second, whose other pose is invalid.
    valid, advantages = torch.tensor([True, True, False, True]), torch.tensor([2.0, 4.0, float("nan"), 10.0])
    pose = (torch.zeros(4), torch.zeros(4), valid, advantages)
    assert hybrid_objective(*NO_TEXT, *pose, pose_groups=2)[0].item() == pytest.approx((3 + 10) / 2)
    assert hybrid_objective(*NO_TEXT, *pose, pose_groups=1)[0].item() == pytest.approx((2 + 4 + 10) / 3)
    nothing_of_one = (torch.zeros(4), torch.zeros(4), torch.tensor([True, True, False, False]), advantages)
    assert hybrid_objective(*NO_TEXT, *nothing_of_one, pose_groups=2)[0].item() == pytest.approx(3)


@pytest.mark.parametrize(("kind", "times"), [("token", 1.0), ("answer_mean", 1.0), ("answer", 4.0)])
def test_where_the_ratio_is_1_the_one_of_answers_pulls_as_strongly_as_its_tokens_together(kind, times):
    logp = torch.zeros(1, 5, requires_grad=True)
    mask = torch.tensor([[True, True, True, True, False]])
    value, _ = hybrid_objective(logp, logp.detach(), mask, torch.ones(1), *NO_POSE, text_ratio=kind)
    value.backward()
    assert logp.grad is not None
    assert logp.grad.tolist() == [[times / 4] * 4 + [0.0]]


def test_the_ratio_of_an_answer_is_the_product_of_its_tokens_and_the_mean_is_geometric():
    ratios = torch.tensor([[2.0, 0.5, 8.0], [3.0, 1.0, 1.0]]).log()
    mask = torch.tensor([[True, True, True], [True, False, False]])
    assert text_log_ratio(ratios, torch.zeros(2, 3), mask, "answer").exp().flatten().tolist() == pytest.approx([8, 3])
    mean = text_log_ratio(ratios, torch.zeros(2, 3), mask, "answer_mean").exp()
    assert mean.flatten().tolist() == pytest.approx([2, 3])


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
@pytest.mark.parametrize("text_ratio", ["token", "answer", "answer_mean"])
def test_gradients_agree_with_finite_differences(joints, text_ratio):
    arguments = batch(7, answers=3, tokens=4, joints=joints)
    arguments[0].requires_grad_(True)
    arguments[4].requires_grad_(True)

    def objective(logp_text, logp_pose):
        return hybrid_objective(logp_text, *arguments[1:4], logp_pose, *arguments[5:], 0.2, text_ratio, 3)[0]

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
    with pytest.raises(ValueError, match="5 poses are not 2 groups"):
        hybrid_objective(*batch(1), pose_groups=2)


def test_token_kl_is_zero_for_equal_policies_and_estimates_the_true_divergence():
    logits, reference = torch.tensor([0.5, -0.2, 0.1]), torch.tensor([0.0, 0.4, -0.3])
    logp, reference_logp = logits.log_softmax(0), reference.log_softmax(0)
    true = (logp.exp() * (logp - reference_logp)).sum().item()
    samples = torch.multinomial(logp.exp(), 200_000, replacement=True, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(1, len(samples), dtype=torch.bool)
    estimate = token_kl(logp[samples][None], reference_logp[samples][None], mask).item()
    assert estimate == pytest.approx(true, rel=0.02)
    assert token_kl(logp[None], logp[None], torch.ones(1, 3)).item() == 0
