"""Poses that are given with a prompt: read where the prompt says, alike however it is laid out, and answered from."""

import json
from dataclasses import replace

import numpy as np
import pytest
import roma
import torch
from PIL import Image

from pose_rft.data.sample import INPUT_POSE, Sample
from pose_rft.errors import UserError
from pose_rft.hygrpo import HyGRPOConfig, HyGRPOTrainer
from pose_rft.policy import LoraSettings, PolicyConfig, PoseBranchConfig, PosePolicy, PromptInput
from pose_rft.policy.backbone import load_backbone
from pose_rft.policy.hidden_state_cache import cache_hidden_states
from pose_rft.policy.pose_only import PoseOnlyPolicy
from tests.hygrpo.test_trainer import always_pose, grade
from tests.policy.image_text_models import MODELS
from tests.policy.text_models import HEAD, PADDED, SHARING, text_policy

BRANCH = PoseBranchConfig(tokens=3, depth=1)
FIRST, SECOND, THIRD = (np.random.default_rng(n).normal(size=(22, 3)).astype(np.float32) * 0.4 for n in range(3))
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
PROMPTS = [
    PromptInput(f"Bend the knee of {INPUT_POSE}.", poses=(FIRST,)),
    PromptInput(f"A person waves. {INPUT_POSE}"),  # which is typed text
    PromptInput(f"From {INPUT_POSE} to {INPUT_POSE}?", poses=(SECOND, THIRD)),
]


@pytest.fixture(scope="module")
def policies(tmp_path_factory, byte_tokenizer, tiny_backbone):
    """``policies(name)`` with a pose branch: a family of texts or of ``MODELS``, or "eyes" (an encoder)."""

    def make(name: str) -> PosePolicy:
        directory = tmp_path_factory.mktemp(name)
        if name in SHARING | PADDED:
            settings = (SHARING | PADDED)[name]
            return text_policy(directory, byte_tokenizer, name, parts={"pose_branch": BRANCH}, **settings)
        backbone = MODELS[name](directory, byte_tokenizer) if name in MODELS else load_backbone(tiny_backbone)
        encoder = "blazepose" if name == "eyes" else None
        lora = LoraSettings(rank=2, alpha=4)
        policy = PosePolicy(PolicyConfig(backbone.name, -1, HEAD, lora, encoder, pose_branch=BRANCH), backbone).eval()
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in policy.trainable().values():
                parameter.add_(torch.randn_like(parameter) * 0.05)
        return policy

    return make


def prompts_for(policy: PosePolicy) -> list[PromptInput]:
    """Poses in words, and where the model sees, beside a picture."""
    if not policy.backbone.has_vision:
        return PROMPTS
    return [*PROMPTS, PromptInput(f"Does {INPUT_POSE} look like this?", PICTURE, poses=(THIRD,))]


def scores(policy: PosePolicy, rollout) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Log-probabilities of words and poses, and the gradient of a mixture of all of them."""
    policy.zero_grad()
    result = policy(policy.pack(rollout))
    logp_pose = result.pose.log_prob(rollout.action.flatten(0, 1)).sum(dim=(1, 2))
    weights = torch.linspace(-1, 1, result.logp_text.numel()).view_as(result.logp_text)
    ((result.logp_text * weights).sum() + (logp_pose / 100 * weights[:, 0]).sum()).backward()
    gradient = {name: p.grad.clone() for name, p in policy.trainable().items() if p.grad is not None}
    return result.logp_text.detach(), logp_pose.detach(), gradient


@pytest.mark.parametrize("name", [*SHARING, *PADDED, *MODELS])
def test_sampled_packed_and_padded_answers_about_poses_have_the_same_numbers(policies, name):
    policy = policies(name)
    assert policy.language_model.supports_prefix_sharing == (name not in PADDED)
    rollout = policy.rollout(prompts_for(policy), num_answers=3, num_poses=2, seeds=3, max_new_tokens=5)
    for group in rollout.answer_ids:  # an untrained model never says <POSE>
        for answer in group:
            answer[-1] = policy.backbone.pose_token
    text, pose, gradient = scores(policy, rollout)
    for row, logp in enumerate(logp for group in rollout.logp_text for logp in group):
        torch.testing.assert_close(text[row, : len(logp) - 1], torch.tensor(logp[:-1]), atol=5e-5, rtol=5e-5)
    for part in ("text_projector.encoder", "text_projector.leave", "head_encoder", "head.mean"):
        own = [value for key, value in gradient.items() if key.startswith(f"pose_branch.{part}")]
        assert any(value.any() for value in own), part
    policy.language_model.__dict__["supports_prefix_sharing"] = False
    padded_text, padded_pose, padded_gradient = scores(policy, rollout)
    torch.testing.assert_close(text, padded_text, atol=5e-5, rtol=5e-5)
    torch.testing.assert_close(pose, padded_pose, atol=2e-2, rtol=1e-4)
    assert gradient.keys() == padded_gradient.keys()
    for part, value in gradient.items():
        scale = padded_gradient[part].abs().max().item()
        torch.testing.assert_close(value, padded_gradient[part], atol=2e-4 * scale + 1e-5, rtol=2e-3, msg=part)


def test_every_given_pose_changes_words_and_pose(policies):
    policy = policies("eyes")

    def answer(*poses: np.ndarray) -> tuple[list, torch.Tensor]:
        prompt = PromptInput(f"From {INPUT_POSE} to {INPUT_POSE}?", poses=poses)
        rollout = policy.rollout([prompt], temperature=0.0, max_new_tokens=1)
        rollout.answer_ids = [[[policy.backbone.pose_token]]]
        return rollout.logp_text, policy(policy.pack(rollout)).pose.mean

    same, poses = answer(FIRST, SECOND), [(THIRD, SECOND), (FIRST, THIRD), (SECOND, FIRST)]
    for other in poses:
        words, mean = answer(*other)
        assert words != same[0]
        assert (mean - same[1]).abs().max() > 1e-3


def test_an_untrained_branch_answers_with_the_first_given_pose(tiny_policy):
    policy = PosePolicy.create(replace(tiny_policy.config, pose_branch=BRANCH), dtype=torch.float32)
    policy.fit_action_space(torch.from_numpy(np.stack([FIRST, SECOND, THIRD])))
    rollout = policy.rollout([PROMPTS[2]], temperature=0.0, words=False)
    answered = policy.head.to_rotations(rollout.action)[0, 0, 0]
    assert roma.rotmat_geodesic_distance(answered, roma.rotvec_to_rotmat(torch.from_numpy(SECOND))).max() < 0.05


def test_texts_are_answered_as_without_the_branch(tiny_policy, tmp_path):
    tiny_policy.save_pretrained(tmp_path)
    reading = PosePolicy.from_pretrained(tmp_path, dtype=torch.float32, pose_branch=BRANCH)
    asked = ["a jump", "wave!"]
    before, after = (each.rollout(asked, num_answers=2, seeds=1, max_new_tokens=4) for each in (tiny_policy, reading))
    assert before.texts == after.texts
    assert torch.equal(before.action, after.action)


def test_generate_takes_poses_and_a_checkpoint_keeps_what_reads_them(tiny_policy, tmp_path):
    policy = PosePolicy.create(replace(tiny_policy.config, pose_branch=BRANCH), dtype=torch.float32)
    policy.save_pretrained(tmp_path)
    prompts, poses = [each.prompt for each in PROMPTS], [FIRST, None, [torch.from_numpy(SECOND), THIRD]]
    answers = policy.generate(prompts, poses=poses, seed=4, max_new_tokens=4, words=False)
    again = PosePolicy.from_pretrained(tmp_path, dtype=torch.float32)
    assert again.config.pose_branch == BRANCH
    for (one,), (other,) in zip(answers, again.generate(prompts, poses=poses, seed=4, words=False), strict=True):
        np.testing.assert_array_equal(one.pose.axis_angle(), other.pose.axis_angle())


def test_several_answers_about_a_given_pose_are_several_poses(policies):
    answers = policies("eyes").generate([PROMPTS[0].prompt], poses=[FIRST], num_samples=3, words=False)[0]
    joints = [answer.pose.joints() for answer in answers]
    assert min(np.abs(joints[a] - joints[b]).max() for a, b in ((0, 1), (1, 2), (0, 2))) > 1e-3


def test_a_checkpoint_from_before_there_were_pose_branches_loads(tiny_policy, tmp_path):
    tiny_policy.save_pretrained(tmp_path)
    description = json.loads((tmp_path / "policy.json").read_text())
    del description["pose_branch"]
    (tmp_path / "policy.json").write_text(json.dumps(description))
    assert PosePolicy.from_pretrained(tmp_path, dtype=torch.float32).pose_branch is None


@pytest.mark.parametrize(
    ("prompt", "poses", "message"),
    [
        ("Bend the knee.", FIRST, "1 for 0 <input_pose>"),
        (f"{INPUT_POSE} and {INPUT_POSE}", [FIRST], "1 for 2 <input_pose>"),
        (INPUT_POSE, [FIRST, SECOND], "2 for 1 <input_pose>"),
        (INPUT_POSE * 9, [FIRST] * 9, "at most 8"),
        (INPUT_POSE, FIRST[:5], r"pose must have shape \(22, 3\)"),
        (INPUT_POSE, FIRST * np.nan, "not finite"),
    ],
)
def test_poses_that_the_prompt_has_no_place_for_are_one_line(policies, prompt, poses, message):
    with pytest.raises(UserError, match=message) as caught:
        policies("eyes").generate([prompt], poses=[poses])
    assert "\n" not in str(caught.value)


def test_a_policy_that_reads_no_poses_says_so(tiny_policy):
    with pytest.raises(UserError, match="reads no poses"):
        tiny_policy.generate([INPUT_POSE], poses=[FIRST])
    with pytest.raises(UserError, match="poses: 1 for 2 prompts"):
        tiny_policy.generate(["one", "two"], poses=[FIRST])


def test_cached_states_give_the_distributions_that_the_whole_policy_gives(policies):
    policy = policies("eyes")
    answer = "Here: <POSE>."
    samples = [Sample(each.prompt, answer, FIRST, poses=each.poses) for each in PROMPTS]
    cache = cache_hidden_states(policy, samples, progress=False)
    mean = policy.predict(*cache.batch(torch.arange(3))).mean
    answers = [[policy.backbone.answer_ids(answer)]] * 3
    whole = policy(policy.pack_answers([policy.encode(sample) for sample in samples], answers, 512))
    torch.testing.assert_close(mean, whole.pose.mean, atol=2e-4, rtol=2e-4)
    fixed = PoseOnlyPolicy(policy, samples, cache)
    assert fixed.rollout(fixed.prompts, num_poses=2, seeds=1).action.shape == (3, 1, 2, 22, 6)


def test_words_about_poses_that_say_nothing_yet_are_read_once(tiny_policy):
    policy = PosePolicy.create(replace(tiny_policy.config, pose_branch=BRANCH), dtype=torch.float32)
    prompt, answer = PROMPTS[0].prompt, "Here: <POSE>."
    samples = [Sample(prompt, answer, FIRST, poses=(pose,)) for pose in (FIRST, SECOND)]
    samples.append(Sample(prompt, answer, FIRST))  # typed text
    assert cache_hidden_states(policy, samples, progress=False).read_as.tolist() == [0, 0, 1]
    with torch.no_grad():
        policy.pose_branch.text_projector.scale.fill_(0.1)
    assert cache_hidden_states(policy, samples, progress=False).read_as.tolist() == [0, 1, 2]


def test_a_joint_turns_in_its_own_frame_from_the_given_pose(tiny_policy):
    policy = PosePolicy.create(replace(tiny_policy.config, pose_branch=BRANCH), dtype=torch.float32)
    policy.fit_action_space(torch.from_numpy(np.stack([FIRST, SECOND, THIRD])))
    head, knee = policy.pose_branch.head, 4
    turn = roma.rotvec_to_rotmat(torch.tensor([0.7, 0.0, 0.0]))
    means = torch.zeros(2, 1, 22, 6)
    means[:, :, knee] = turn[:, :2].flatten() - torch.eye(3)[:, :2].flatten()
    given = torch.from_numpy(np.stack([FIRST, SECOND]))
    actions = head._counted_from(given, means.flatten(2))
    reached, before = head.to_rotations(actions[:, 0].unflatten(-1, (22, 6))), roma.rotvec_to_rotmat(given)
    torch.testing.assert_close(reached[:, knee], before[:, knee] @ turn, atol=1e-5, rtol=0)
    others = [joint for joint in range(22) if joint != knee]
    torch.testing.assert_close(reached[:, others], before[:, others], atol=1e-5, rtol=0)


def test_a_new_head_takes_over_what_has_the_same_shape(tiny_policy, tmp_path):
    tiny_policy.save_pretrained(tmp_path)
    deeper = replace(HEAD, depth=HEAD.depth + 1)
    branch = PosePolicy.from_pretrained(
        tmp_path, dtype=torch.float32, pose_branch=replace(BRANCH, head=deeper)
    ).pose_branch
    assert torch.equal(branch.head.project[1].weight, tiny_policy.head.project[1].weight)
    assert torch.equal(branch.head.action_std, tiny_policy.head.action_std)
    assert branch.head.mean.weight.abs().max() < 0.01


def test_reinforcement_trains_what_reads_given_poses(policies, tmp_path):
    policy = policies("llama")
    before = {name: weight.detach().clone() for name, weight in policy.pose_branch.named_parameters()}
    policy.freeze_reference()
    config = HyGRPOConfig(
        steps=2, prompts_per_step=3, answers_per_prompt=2, poses_per_answer=4, max_new_tokens=6, warmup_steps=1,
        save_steps=2, learning_rate=1e-3,
    )  # fmt: skip
    trainer = HyGRPOTrainer(always_pose(policy), config, PROMPTS, grade, str(tmp_path))
    trainer.train()
    moved = {name for name, weight in policy.pose_branch.named_parameters() if not torch.equal(weight, before[name])}
    for part in ("head.", "head_encoder.", "text_projector."):
        assert any(name.startswith(part) for name in moved), part
