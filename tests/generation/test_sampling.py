"""The choice of words: evenly spread numbers give each token its probability, and its log-probability untempered."""

import pytest
import torch

from pose_rft.generation.drafts import DraftTable
from pose_rft.generation.random_streams import normal, prompt_seeds, uniform
from pose_rft.generation.sampling import _choose


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_tokens_are_chosen_with_their_probabilities(temperature):
    logits = torch.tensor([0.3, -2.0, 1.5, -30.0, 0.0])
    numbers = (torch.arange(20_000) + 0.5) / 20_000
    tokens, logp = _choose(logits.expand(20_000, -1), temperature, numbers)
    shares = torch.bincount(tokens, minlength=5) / 20_000
    torch.testing.assert_close(shares, torch.softmax(logits / temperature, dim=0), atol=1e-4, rtol=0)
    torch.testing.assert_close(logp, torch.log_softmax(logits, dim=0)[tokens])


def test_the_extreme_numbers_choose_possible_tokens():
    logits = torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]] * 2)
    tokens, _ = _choose(logits, 1.0, torch.tensor([0.0, 1.0 - 2**-24]))
    assert tokens.tolist() == [1, 2]


def test_streams_differ_between_prompts_steps_seeds_and_kinds_and_repeat():
    seeds = prompt_seeds(0, 0, range(4)) + prompt_seeds(0, 1, range(4)) + prompt_seeds(1, 0, range(4))
    assert len(set(seeds)) == 12
    assert prompt_seeds(0, 0, range(2, 4)) == seeds[2:4]
    assert torch.equal(uniform(seeds[1:2], 3), uniform(seeds, 3)[1:2])
    assert uniform(seeds, 8).unique().numel() > 80
    assert not torch.equal(normal(seeds[:1], 5), normal(seeds[1:2], 5))


def test_the_commonest_answer_that_begins_so_is_guessed():
    drafts = DraftTable([[1, 2, 3], [1, 2, 4, 5], [6]])
    assert drafts.after([1]) == [2, 3]
    assert drafts.after([1, 2, 4]) == [5]
    assert drafts.after([1, 2, 3]) == drafts.after([6]) == drafts.after([9]) == []
