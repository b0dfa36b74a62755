"""The packed layout must be exact: the same numbers as every answer alone behind its prompt."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_rft.generation.packing import additive_mask, pack_groups

ACTION = 7
tokens = st.lists(st.integers(1, 9), min_size=1, max_size=6)
groups = st.lists(st.tuples(tokens, st.lists(tokens, min_size=1, max_size=4)), min_size=1, max_size=5)


@given(groups, st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_every_token_is_laid_out_once_and_sees_its_prompt_and_its_own_answer_only(data, budget):
    prompts, answers = [p for p, _ in data], [a for _, a in data]
    packed = pack_groups(prompts, answers, ACTION, budget)
    length = packed.input_ids.shape[1]
    ids, positions = packed.input_ids.flatten(), packed.position_ids.flatten()
    flat = [(p, a) for p, group in data for a in group]
    for n, (prompt, answer) in enumerate(flat):
        size = int(packed.target_mask[n].sum())
        assert packed.targets[n, :size].tolist() == answer
        before = packed.predictors[n, :size]
        assert ids[before].tolist() == [prompt[-1], *answer[:-1]]
        for t in range(1, size):
            row, column = divmod(int(before[t]), length)
            seen = packed.attention[row, 0, column].nonzero().flatten() + row * length
            assert ids[seen].tolist() == prompt + answer[:t]
            assert positions[seen].tolist() == list(range(len(prompt) + t))
        memory = packed.memory[n][packed.memory_mask[n]]
        upto = prompt + answer[: answer.index(ACTION) + 1] if ACTION in answer else []
        assert ids[memory].tolist() == upto
        assert bool(packed.has_action[n]) == (ACTION in answer)
        if ACTION in answer:
            assert ids[packed.action[n]] == ACTION


def test_padding_is_at_most_what_the_last_row_leaves():
    prompts, answers = [[1] * 10] * 7, [[[2] * 3] * 4] * 7  # 22 tokens a group, three groups fit into 66
    packed = pack_groups(prompts, answers, ACTION, row_tokens=70)
    assert packed.input_ids.shape == (3, 66)


@pytest.mark.parametrize("group_size", [1, 2, 8])
def test_log_probabilities_and_gradients_equal_the_padded_way(tiny_policy, group_size):
    generator = torch.Generator().manual_seed(group_size)

    def random_tokens(size):
        return torch.randint(2, 250, (size,), generator=generator).tolist()

    pose = tiny_policy.backbone.pose_token
    prompts = [random_tokens(n) for n in (3, 17, 9)]
    answers = [[[*random_tokens(2 + (i + g) % 5), pose, 0] for i in range(group_size)] for g in range(3)]

    def parameters_and_loss(rows):
        tiny_policy.zero_grad()
        total, logps, means = 0.0, [], []
        for packed in rows:
            scores = tiny_policy(packed)
            total = total + (scores.logp_text[packed.target_mask]).sum() + (scores.pose.mean).sum()
            logps.append(scores.logp_text[packed.target_mask])
            means.append(scores.pose.mean)
        total.backward()
        gradients = {name: p.grad.clone() for name, p in tiny_policy.trainable().items() if p.grad is not None}
        return torch.cat(logps), torch.cat(means), gradients

    packed = parameters_and_loss([pack_groups(prompts, answers, pose, row_tokens=64)])
    alone = parameters_and_loss(
        [pack_groups([p], [[a]], pose) for p, g in zip(prompts, answers, strict=True) for a in g]
    )
    torch.testing.assert_close(packed[0], alone[0], rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(packed[1], alone[1], rtol=1e-5, atol=2e-5)
    assert packed[2].keys() == alone[2].keys()
    for name, gradient in packed[2].items():
        torch.testing.assert_close(
            gradient, alone[2][name], rtol=1e-4, atol=1e-3 * alone[2][name].abs().max().item() + 1e-6
        )


def test_answers_do_not_see_each_other(tiny_policy):
    pose = tiny_policy.backbone.pose_token
    prompt, first = [5, 6, 7, 8], [9, 10, pose, 0]
    scores = [
        tiny_policy(pack_groups([prompt], [[first, other]], pose)).logp_text[0]
        for other in ([20, 21, pose, 0], [30, 31, pose, 0])
    ]
    assert torch.equal(scores[0], scores[1])


def test_empty_prompts_and_groups_are_refused():
    with pytest.raises(ValueError, match="group 1"):
        pack_groups([[1], []], [[[2]], [[2]]], ACTION)
    with pytest.raises(ValueError, match="group 0"):
        pack_groups([[1]], [[]], ACTION)


def test_additive_mask_lets_through_what_is_allowed():
    mask = additive_mask(torch.tensor([[True, False]]), torch.float32)
    assert mask[0, 0] == 0
    assert mask[0, 1] == torch.finfo(torch.float32).min
