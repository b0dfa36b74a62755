"""With the pose part off, HyGRPO is GRPO: the same loss and gradient as TRL's GRPOTrainer on the same batch."""

from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from trl import GRPOConfig, GRPOTrainer

from pose_rft.hygrpo import HyGRPOConfig, HyGRPOTrainer, group_advantages, per_reward_advantages
from pose_rft.hygrpo.trainer import GradedRollout, LogProbs
from pose_rft.policy.backbone import PromptTokens, load_backbone
from pose_rft.policy.prompt_encoder import EncodedPrompt

EPSILON, BETA, GROUP = 0.2, 0.04, 4
# Two prompts of different lengths, four answers each, also of different lengths. Token 0 ends an answer.
PROMPTS = [[5, 9, 11], [7, 7, 8, 30, 31, 40, 50]]
ANSWERS = [
    [[20, 21, 0], [22, 0], [23, 24, 25, 26, 0], [60, 0]],
    [[33, 0], [34, 35, 0], [36, 37, 38, 0], [39, 61, 0]],
]
REWARDS = torch.tensor([[0.1, 0.9, 0.4, 0.4], [1.0, 0.0, 0.3, 0.8]])


def trl_trainer(policy, directory, **settings) -> GRPOTrainer:
    arguments = GRPOConfig(
        output_dir=str(directory), per_device_train_batch_size=8, num_generations=GROUP, beta=BETA, epsilon=EPSILON,
        loss_type="grpo", use_cpu=True, report_to="none", bf16=False, disable_dropout=True,
        **settings,
    )  # fmt: skip
    # The same model and adapters, without our trainable embedding of <POSE>, which TRL does not know how to read.
    settings_of = policy.language_model.adapted.peft_config["default"]
    backbone = load_backbone(policy.config.backbone)
    adapters = LoraConfig(r=settings_of.r, lora_alpha=settings_of.lora_alpha, target_modules="all-linear")
    model = get_peft_model(backbone.model, adapters)
    own = dict(policy.language_model.adapted.named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(own[name])
    return GRPOTrainer(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": ["a", "b"]}),
        processing_class=backbone.tokenizer,
    )


def padded(lists: list[list[int]], left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, lists))
    ids, mask = torch.zeros(len(lists), width, dtype=torch.long), torch.zeros(len(lists), width, dtype=torch.long)
    for row, items in enumerate(lists):
        where = slice(width - len(items), width) if left else slice(0, len(items))
        ids[row, where], mask[row, where] = torch.tensor(items), 1
    return ids, mask


@pytest.mark.parametrize("off_policy", [False, True], ids=["first update", "later update, clipped"])
@pytest.mark.parametrize(("scale", "ours"), [("group", "std"), ("none", "none")])
@pytest.mark.parametrize("unbiased_kl", [False, True])
@pytest.mark.parametrize(("level", "text_ratio"), [("token", "token"), ("sequence", "answer_mean")])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_loss_and_gradient_are_those_of_trl(
    tiny_policy, tmp_path, off_policy, scale, ours, unbiased_kl, level, text_ratio, temperature
):
    policy = tiny_policy
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in (p for name, p in policy.trainable().items() if "trainable_tokens" not in name):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    advantages = group_advantages(REWARDS, scale=ours)
    answers = [answer for group in ANSWERS for answer in group]
    tokens, mask = padded(answers, left=False)
    packed = policy.pack(
        SimpleNamespace(encoded_prompts=[EncodedPrompt(PromptTokens(ids)) for ids in PROMPTS], answer_ids=ANSWERS),
    )
    with torch.no_grad():
        logp = policy(packed, temperature).logp_text
    reference = logp + torch.randn(logp.shape, generator=generator)
    # Of a later update: ratios on both sides of the clip range.
    old = logp + torch.randn(logp.shape, generator=generator) * 0.3 if off_policy else None

    theirs = trl_trainer(
        policy, tmp_path / "trl", scale_rewards=scale, use_bias_correction_kl=unbiased_kl, temperature=temperature,
        importance_sampling_level=level,
    )  # fmt: skip
    theirs.model.train()
    theirs.current_gradient_accumulation_steps = 1
    prompt_ids, prompt_mask = padded([p for p in PROMPTS for _ in range(GROUP)], left=True)
    expected = theirs._compute_loss(
        theirs.model,
        {
            "prompt_ids": prompt_ids, "prompt_mask": prompt_mask, "completion_ids": tokens, "completion_mask": mask,
            "advantages": advantages.flatten(), "ref_per_token_logps": reference,
        } | ({"old_per_token_logps": old} if off_policy else {}),
    )  # fmt: skip
    expected.backward()
    expected_gradient = {n: p.grad for n, p in theirs.model.named_parameters() if p.grad is not None}

    config = HyGRPOConfig(
        beta_text=BETA, unbiased_kl=unbiased_kl, beta_pose=0.0, epsilon=EPSILON, pose_coefficient=0.0,
        advantage_scale=ours, text_ratio=text_ratio, temperature=temperature,
        **({"std_floor": 0.0} if ours == "std" else {}),
    )  # fmt: skip
    trainer = HyGRPOTrainer(policy, config, [object()], None, str(tmp_path / "ours"))
    action = torch.zeros(len(answers), 1, 22, 6)
    scores = policy(packed, temperature)
    rollout = GradedRollout(
        packed=packed,
        action=action,
        text_advantages=advantages.flatten(),
        pose_mask=torch.zeros(len(answers), dtype=torch.bool),
        pose_advantages=torch.zeros(len(answers)),
        reference=type("Scores", (), {"logp_text": reference, "pose": scores.pose.detach()})(),
    )
    loss, _ = trainer.loss(policy, rollout, LogProbs(old, torch.zeros(len(answers))) if off_policy else None)
    policy.zero_grad()
    loss.backward()
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-5)
    for name, gradient in expected_gradient.items():
        torch.testing.assert_close(
            policy.get_parameter(f"language_model.adapted.{name}").grad, gradient, atol=2e-6, rtol=1e-4, msg=name
        )
    assert any("lora_" in name and g.abs().max() > 1e-4 for name, g in expected_gradient.items())


def test_advantages_by_reward_are_those_of_trl_before_it_normalises_over_the_batch():
    """TRL 1.16's lines of ``multi_objective_aggregation="normalize_then_sum"``."""
    rewards, weights = torch.stack([REWARDS, REWARDS.square().flip(1)]), torch.tensor([1.0, 0.3])
    normalised = (rewards - rewards.mean(dim=2, keepdim=True)) / (rewards.std(dim=2, keepdim=True) + 1e-4)
    expected = (normalised * weights[:, None, None]).sum(dim=0)
    torch.testing.assert_close(per_reward_advantages(rewards, weights), expected)


def test_advantages_are_those_of_trl():
    mean, std = REWARDS.mean(dim=1, keepdim=True), REWARDS.std(dim=1, keepdim=True)
    torch.testing.assert_close(group_advantages(REWARDS), (REWARDS - mean) / (std + 1e-4))  # TRL 1.16's lines
