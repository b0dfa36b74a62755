"""Families of language models read the shared-prefix layout exactly, or get padded batches that are right as well."""

import logging
from itertools import chain

import pytest
import torch
from torch.nn.functional import cosine_similarity

from pose_rft.errors import UserError
from pose_rft.generation import cuda_graph as replay
from pose_rft.generation.cuda_graph import GraphRecorder
from pose_rft.generation.decoders import AnswerDecoder
from pose_rft.generation.drafts import DraftTable
from pose_rft.generation.packing import pack_groups
from pose_rft.generation.sampling import sample_answers
from pose_rft.policy import PosePolicy, Rollout
from tests.policy.text_models import PADDED, SHARING, text_policy


def prompt_ids(rollout: Rollout) -> list[list[int]]:
    return [prompt.tokens.ids for prompt in rollout.encoded_prompts]


@pytest.fixture(scope="session")
def family_policy(tmp_path_factory, byte_tokenizer):
    """``family_policy(model_type, **settings)``: as ``text_policy`` makes them."""

    def make(model_type: str, **settings) -> PosePolicy:
        return text_policy(tmp_path_factory.mktemp(model_type), byte_tokenizer, model_type, **settings)

    return make


def _groups(policy: PosePolicy, size: int) -> tuple[list[list[int]], list[list[list[int]]]]:
    """Three ragged prompts with ``size`` ragged answers each; every other answer holds the pose token."""
    generator = torch.Generator().manual_seed(size)

    def draw(count: int) -> list[int]:
        return torch.randint(2, 250, (count,), generator=generator).tolist()

    prompts = [draw(length) for length in (3, 11, 6)]
    pose = [policy.backbone.pose_token]
    return prompts, [[draw(1 + (g + b) % 4) + pose * (g % 2 == 0) + [0] for g in range(size)] for b in range(3)]


def _scores(policy: PosePolicy, prompts, answers, share: bool):
    """Log-probabilities of tokens and of one pose each, and the gradient of a mixture of all of them."""
    packed = pack_groups(prompts, answers, policy.backbone.pose_token, 60, share_prompts=share)
    scores = policy(packed)
    action = torch.randn(len(packed.group), 1, 22, 6, generator=torch.Generator().manual_seed(1))
    logp_pose = scores.pose.log_prob(action)[:, 0].sum(dim=-1) * packed.has_action
    weights = torch.linspace(-1, 1, scores.logp_text.numel()).view_as(scores.logp_text)
    policy.zero_grad()
    ((scores.logp_text * weights).sum() + (logp_pose / 100 * weights[:, 0]).sum()).backward()
    gradient = {name: p.grad.clone() for name, p in policy.trainable().items() if p.grad is not None}
    return scores.logp_text.detach(), logp_pose.detach(), gradient


@pytest.mark.parametrize("family", SHARING)
def test_shared_prompts_give_the_numbers_and_gradients_of_padded_batches(family_policy, family):
    policy = family_policy(family, **SHARING[family])
    assert policy.language_model.supports_prefix_sharing
    for size in (1, 2, 8):
        prompts, answers = _groups(policy, size)
        text, pose, gradient = _scores(policy, prompts, answers, share=True)
        padded_text, padded_pose, padded_gradient = _scores(policy, prompts, answers, share=False)
        torch.testing.assert_close(text, padded_text, atol=2e-5, rtol=2e-5)
        torch.testing.assert_close(pose, padded_pose, atol=2e-3, rtol=2e-5)
        assert gradient.keys() == padded_gradient.keys()
        for name, value in gradient.items():
            scale = padded_gradient[name].abs().max().item()
            torch.testing.assert_close(value, padded_gradient[name], atol=1e-4 * scale + 1e-6, rtol=1e-3, msg=name)


@pytest.mark.parametrize("family", SHARING)
def test_answers_sampled_behind_one_prompt_have_the_numbers_of_answers_alone(family_policy, family):
    policy = family_policy(family, **SHARING[family])
    prompts = ["one", "a longer second prompt", "3"]
    rollout = policy.rollout(prompts, num_answers=8, seeds=5, max_new_tokens=9)
    packed = pack_groups(prompt_ids(rollout), rollout.answer_ids, policy.backbone.pose_token, share_prompts=False)
    scores = policy(packed)
    for row, logp in enumerate(logp for group in rollout.logp_text for logp in group):
        torch.testing.assert_close(scores.logp_text[row, : len(logp)], torch.tensor(logp), atol=2e-5, rtol=2e-5)
    answered = rollout.valid.flatten() & packed.has_action
    expected = scores.pose.log_prob(rollout.action.flatten(0, 1)).sum(dim=-1)
    torch.testing.assert_close(rollout.logp_pose.flatten(0, 1)[answered], expected[answered], atol=2e-3, rtol=2e-5)


@pytest.mark.parametrize("family", [*SHARING, *PADDED])
def test_guessed_answers_are_the_same_and_take_fewer_passes(family_policy, family, monkeypatch):
    policy = family_policy(family, **(SHARING | PADDED)[family])
    passes = []
    run = AnswerDecoder.run
    monkeypatch.setattr(AnswerDecoder, "run", lambda *given, **how: passes.append(1) or run(*given, **how))
    prompts = ["one", "a longer second prompt", "3"]
    plain = policy.rollout(prompts, num_answers=4, seeds=5, max_new_tokens=9)
    needed = len(passes)
    given = [answer for group in plain.answer_ids for answer in group]
    half_wrong = [[*answer[: len(answer) // 2], 7, 7, 7] for answer in given]
    policy.language_model.drafts = DraftTable([*half_wrong[::2], *given])
    guessed = policy.rollout(prompts, num_answers=4, seeds=5, max_new_tokens=9)
    assert guessed.answer_ids == plain.answer_ids
    assert len(passes) - needed < needed
    for logp, expected in zip(chain(*guessed.logp_text), chain(*plain.logp_text), strict=True):
        torch.testing.assert_close(torch.tensor(logp), torch.tensor(expected), atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(guessed.action, plain.action, atol=2e-4, rtol=2e-4)
    torch.testing.assert_close(guessed.logp_pose, plain.logp_pose, atol=2e-2, rtol=2e-5)


@pytest.mark.parametrize("family", SHARING)
@pytest.mark.parametrize("guessed", [False, True])
def test_passes_that_a_gpu_would_replay_give_the_same_answers(family_policy, family, guessed, monkeypatch):
    """On a CPU, where a recording is the work itself: what is tested is memory that stays in its place."""
    policy = family_policy(family, **SHARING[family])
    prompts = ["one", "a longer second prompt", "3"]
    monkeypatch.setattr(replay, "READY", 3)
    if guessed:  # guesses that fail take more room
        answers = chain(*policy.rollout(prompts, num_answers=4, seeds=5, max_new_tokens=9).answer_ids)
        policy.language_model.drafts = DraftTable(
            [*answer[:begun], *[7] * 30] for answer in answers for begun in (3, 1)
        )
    plain = policy.rollout(prompts, num_answers=4, seeds=5, max_new_tokens=9)
    records = []

    class OnCpu(GraphRecorder):
        def record(self, work, device):
            records.append(work)
            return work

    def sample(*given):
        *others, recorder, wanted, before_pass = given
        assert recorder is None
        return sample_answers(*others, OnCpu(), wanted, before_pass)

    monkeypatch.setattr("pose_rft.policy.language_model.sample_answers", sample)
    replayed = policy.rollout(prompts, num_answers=4, seeds=5, max_new_tokens=9)
    assert len(records) >= (1 if guessed else 2)  # the second in more room
    assert replayed.answer_ids == plain.answer_ids
    for logp, expected in zip(chain(*replayed.logp_text), chain(*plain.logp_text), strict=True):
        torch.testing.assert_close(torch.tensor(logp), torch.tensor(expected), atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(replayed.action, plain.action, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("family", PADDED)
def test_a_family_that_cannot_share_is_padded_and_says_so_once(family_policy, family, caplog):
    policy = family_policy(family, **PADDED[family])
    with caplog.at_level(logging.WARNING):
        rollout = policy.rollout(["one", "a longer second prompt"], num_answers=3, seeds=5, max_new_tokens=5)
        packed = policy.pack(rollout)
        policy.rollout(["two"], max_new_tokens=2)
    assert sum("cannot read several answers" in record.message for record in caplog.records) == 1
    assert packed.attention is None
    scores = policy(packed)
    for row, logp in enumerate(logp for group in rollout.logp_text for logp in group):
        torch.testing.assert_close(scores.logp_text[row, : len(logp)], torch.tensor(logp), atol=2e-5, rtol=2e-5)
    scores.logp_text.sum().backward()
    gradients = [p.grad for name, p in policy.trainable().items() if "lora_" in name and p.grad is not None]
    assert gradients
    assert all(torch.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("family", ["mistral", "gemma2", "gemma3_text"])
@pytest.mark.parametrize(("window", "shared"), [(80, True), (64, False)])  # prompts of 60 and 70 tokens, answers of 9
def test_layers_with_a_window_read_what_they_would_of_an_answer_alone(family_policy, family, window, shared, caplog):
    policy = family_policy(family, sliding_window=window)
    rollout = policy.rollout(["hello", "a longer prompt"], num_answers=8, seeds=1, max_new_tokens=9)
    assert [len(ids) for ids in prompt_ids(rollout)] == [60, 70]
    packed = policy.pack(rollout)
    assert (packed.attention is not None) == shared
    assert sum("look 64 tokens back" in record.message for record in caplog.records) == (not shared)
    alone = pack_groups(prompt_ids(rollout), rollout.answer_ids, policy.backbone.pose_token, share_prompts=False)
    scores, expected = policy(packed).logp_text, policy(alone).logp_text
    torch.testing.assert_close(scores, expected, atol=2e-5, rtol=2e-5)
    for row, logp in enumerate(logp for group in rollout.logp_text for logp in group):
        torch.testing.assert_close(expected[row, : len(logp)], torch.tensor(logp), atol=2e-5, rtol=2e-5)


def test_the_probe_tells_a_blind_mask_from_rounding(family_policy):
    policy = family_policy("llama")
    packed = pack_groups([[1, 2]], [[[3, 4, 5], [6, 7]]], -1)
    blind = packed.attention.clone()
    blind[:] = torch.ones_like(blind[0, 0]).tril()
    seen = policy.language_model(packed)[0][-2:]
    unmasked = policy.language_model(type(packed)(**{**vars(packed), "attention": blind}))[0][-2:]
    assert cosine_similarity(seen.flatten(), unmasked.flatten(), dim=0) < 0.99


def test_modules_that_cannot_be_adapted_are_one_line(family_policy):
    with pytest.raises(UserError, match=r"lora.targets 'all-linear': .*out_proj") as caught:
        family_policy("mamba", state_size=4, num_hidden_layers=2)
    assert "\n" not in str(caught.value)
