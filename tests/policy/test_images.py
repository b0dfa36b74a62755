"""Policies that see: their own vision tower, the pose-aware encoder, or both; packed, padded and alone all the same."""

from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
import roma
import torch
from PIL import Image

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy, PromptInput
from pose_rft.policy.backbone import load_backbone
from pose_rft.policy.hidden_state_cache import cache_hidden_states
from pose_rft.policy.prompt_tokens import insert_tokens
from pose_rft.vision.crops import Crop
from pose_rft.vision.encoded_images import EncodedImages
from pose_rft.vision.image_encoder import COMMON, EncodedPerson
from tests.policy.image_text_models import MODELS

HEAD = HeadConfig(width=32, depth=1, heads=4, covariance="low_rank", rank=2)
LORA = LoraSettings(rank=2, alpha=4)
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
UPRIGHT = PICTURE.rotate(90, expand=True)
ANSWER = "The SMPL pose of this person is <POSE>."


def seen(seed: int) -> EncodedImages:
    """Features such as BlazePose's."""
    generator = torch.Generator().manual_seed(seed)
    return EncodedImages(torch.randn(1, 64, 288, generator=generator), torch.randn(1, 39, 8, generator=generator))


@pytest.fixture(scope="module")
def policies(tmp_path_factory, byte_tokenizer, tiny_backbone):
    """``policies(name)``: "eyes" (encoder alone), a family of ``MODELS`` (own vision), "llava+eyes", ... (both)."""

    def make(name: str) -> PosePolicy:
        directory = tmp_path_factory.mktemp(name)
        encoder = "blazepose" if "eyes" in name else None
        own_vision = MODELS.get(name.removesuffix("+eyes"))
        backbone = own_vision(directory, byte_tokenizer) if own_vision else load_backbone(tiny_backbone)
        policy = PosePolicy(PolicyConfig(backbone.name, -1, HEAD, LORA, encoder), backbone).eval()
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in policy.trainable().values():
                parameter.add_(torch.randn_like(parameter) * 0.05)
        return policy

    return make


def queries(policy: PosePolicy) -> list[PromptInput]:
    """Two pictures of different shapes, and words alone between them."""
    pictures = [seen(1), seen(2)] if policy.backbone.processor is None else [PICTURE, UPRIGHT]
    return [
        PromptInput("Who?", pictures[0]),
        PromptInput("A person waves."),
        PromptInput("What is this pose?", pictures[1]),
    ]


def scores(policy: PosePolicy, rollout) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Log-probabilities of words and poses, and the gradient of a mixture of all of them."""
    policy.zero_grad()
    result = policy(policy.pack(rollout))
    logp_pose = result.pose.log_prob(rollout.action.flatten(0, 1)).sum(dim=(1, 2))
    weights = torch.linspace(-1, 1, result.logp_text.numel()).view_as(result.logp_text)
    ((result.logp_text * weights).sum() + (logp_pose / 100 * weights[:, 0]).sum()).backward()
    gradient = {name: p.grad.clone() for name, p in policy.trainable().items() if p.grad is not None}
    return result.logp_text.detach(), logp_pose.detach(), gradient


@pytest.fixture
def blind_detector(monkeypatch):
    """Random pictures hold nobody: what is seen in them is made up, by the picture's width."""
    monkeypatch.setattr(
        "pose_rft.vision.image_encoder.ImageEncoder.encode_person",
        lambda self, image, *_: EncodedPerson(seen(image.width), torch.eye(3)),
    )


@pytest.mark.parametrize("name", ["eyes", *MODELS, "llava+eyes", "gemma3+eyes", "qwen3+eyes"])
def test_sampled_packed_and_padded_answers_about_images_have_the_same_numbers(policies, name, blind_detector):
    policy = policies(name)
    assert policy.language_model.supports_prefix_sharing
    rollout = policy.rollout(queries(policy), num_answers=3, num_poses=2, seeds=[1, 2, 3], max_new_tokens=5)
    for group in rollout.answer_ids:  # an untrained model never says <POSE>
        for answer in group:
            answer[-1] = policy.backbone.pose_token
    text, pose, gradient = scores(policy, rollout)
    for row, logp in enumerate(logp for group in rollout.logp_text for logp in group):
        torch.testing.assert_close(text[row, : len(logp) - 1], torch.tensor(logp[:-1]), atol=5e-5, rtol=5e-5)
    policy.__dict__["supports_prefix_sharing"] = False
    padded_text, padded_pose, padded_gradient = scores(policy, rollout)
    torch.testing.assert_close(text, padded_text, atol=5e-5, rtol=5e-5)
    torch.testing.assert_close(pose, padded_pose, atol=2e-2, rtol=1e-4)
    assert gradient.keys() == padded_gradient.keys()
    for part, value in gradient.items():
        scale = padded_gradient[part].abs().max().item()
        torch.testing.assert_close(value, padded_gradient[part], atol=2e-4 * scale + 1e-5, rtol=2e-3, msg=part)


@pytest.mark.parametrize("name", ["gemma3", "qwen3"])
def test_sampling_that_cannot_share_prompts_says_the_same_about_images(policies, name):
    policy = policies(name)
    shared = policy.rollout(queries(policy), num_answers=2, seeds=3, max_new_tokens=4)
    policy.__dict__["supports_prefix_sharing"] = False
    alone = policy.rollout(queries(policy), num_answers=2, seeds=3, max_new_tokens=4)
    assert alone.answer_ids == shared.answer_ids
    for group, expected in zip(alone.logp_text, shared.logp_text, strict=True):
        for logp, other in zip(group, expected, strict=True):
            torch.testing.assert_close(torch.tensor(logp), torch.tensor(other), atol=5e-5, rtol=5e-5)


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_about_an_image_has_the_probability_that_the_model_itself_gives_it(policies, name):
    policy = policies(name)
    backbone, answer = policy.backbone, [10, 20, 30, 0]
    reading = policy.encode(PromptInput("hello", PICTURE))
    scored = (
        policy(policy.pack(SimpleNamespace(encoded_prompts=[reading], answer_ids=[[answer]]))).logp_text[0].detach()
    )
    inputs = backbone.processor(text=[backbone._chat("hello", 1)], images=[PICTURE], return_tensors="pt")
    inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([answer])], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    for name in inputs.keys() & {"mm_token_type_ids", "token_type_ids"}:
        inputs[name] = torch.nn.functional.pad(inputs[name], (0, len(answer)))
    with torch.no_grad():
        logp = backbone.model(**inputs).logits[0].log_softmax(dim=-1)[-len(answer) - 1 : -1]
    expected = logp.gather(1, torch.tensor(answer)[:, None])[:, 0]
    torch.testing.assert_close(scored, expected, atol=5e-5, rtol=5e-5)


@pytest.mark.parametrize("name", ["eyes", "onevision", "smolvlm", "gemma3", "qwen3", "qwen+eyes"])
def test_another_image_gives_another_pose_and_other_words(policies, name, blind_detector):
    policy = policies(name)
    first, _, second = queries(policy)
    rollout = policy.rollout(
        [PromptInput("Who?", first.image), PromptInput("Who?", second.image)],
        temperature=0.0,
        seeds=0,
        max_new_tokens=1,
    )
    assert rollout.logp_text[0] != rollout.logp_text[1]
    rollout.answer_ids = [[[policy.backbone.pose_token]]] * 2
    mean = policy(policy.pack(rollout)).pose.mean
    assert (mean[0] - mean[1]).abs().max() > 1e-3


def test_adapters_stay_off_the_vision_tower(policies):
    names = [name for name in policies("llava").trainable() if "lora" in name]
    assert names
    assert not any("vision" in name for name in names)
    assert not any("projector" in name for name in names)


def test_room_for_pose_aware_tokens_moves_what_follows(policies):
    policy = policies("qwen")
    plain = policy.backbone.encode_prompt("hi", PICTURE)
    at = int(plain.vision_at[-1]) + 1
    roomy = insert_tokens(plain, at, [0] * 3)
    assert roomy.insert_at == at
    assert roomy.ids[at : at + 3] == [0, 0, 0]
    assert len(roomy.ids) == len(plain.ids) + 3
    assert torch.equal(roomy.vision_at, plain.vision_at)
    assert torch.equal(roomy.positions[:, :at], plain.positions[:, :at])
    assert torch.equal(roomy.positions[:, at + 3 :], plain.positions[:, at:] + 3)
    assert (roomy.positions[:, at : at + 3] == roomy.positions[:, at - 1].max() + torch.arange(1, 4)).all()


def test_room_for_pose_aware_tokens_moves_what_is_looked_ahead_to(policies):
    plain = policies("gemma3").backbone.encode_prompt("hi", PICTURE)
    first, last = plain.vision_at[[0, -1]].tolist()
    assert plain.attend_until[first : last + 1].tolist() == [last] * 4
    before, behind = insert_tokens(plain, first, [0] * 3), insert_tokens(plain, last + 1, [0] * 3)
    assert before.attend_until[first : last + 4].tolist() == [first, first + 1, first + 2, *[last + 3] * 4]
    assert behind.attend_until[first : last + 4].tolist() == [*[last] * 4, last + 1, last + 2, last + 3]


def test_a_mask_that_hides_earlier_tokens_is_one_line(policies, monkeypatch):
    backbone = policies("gemma3").backbone
    monkeypatch.setattr(backbone.model.config.text_config, "sliding_window", 8)
    with pytest.raises(UserError, match=r"Gemma3.* hands a mask that hides earlier tokens"):
        backbone.encode_prompt("hi", PICTURE)


def test_a_decoder_that_is_handed_more_than_that_is_one_line(policies):
    backbone = policies("llava").backbone

    def more(module, arguments, keywords):
        return arguments, keywords | {"cross_attention_states": torch.ones(1)}

    backbone.decoder.register_forward_pre_hook(more, with_kwargs=True)
    with pytest.raises(UserError, match=r"Llava.* hands cross_attention_states to its decoder") as caught:
        backbone.encode_prompt("hi", PICTURE)
    assert "\n" not in str(caught.value)


def test_a_policy_with_eyes_is_saved_and_loaded_whole(tiny_backbone, tmp_path):
    config = PolicyConfig(tiny_backbone, -1, HEAD, LORA, "blazepose")
    policy = PosePolicy.create(config, dtype=torch.float32)
    with torch.no_grad():
        for parameter in policy.image_branch.parameters():
            parameter.add_(0.1)
    policy.save_pretrained(tmp_path / "policy")
    again = PosePolicy.from_pretrained(tmp_path / "policy", dtype=torch.float32)
    query = PromptInput("Who?", seen(1))
    first, second = (p.rollout([query], temperature=0.0, max_new_tokens=2).action for p in (policy, again))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", ["eyes", "gemma3", "qwen3"])
def test_cached_states_hold_pictures_and_give_the_same_poses(policies, name):
    policy = policies(name)
    first, _, second = (query.image for query in queries(policy))
    images = [first, None, second, None]
    samples = [
        Sample(f"number {i}", ANSWER, np.zeros((22, 3), np.float32), image=image) for i, image in enumerate(images)
    ]
    cache = cache_hidden_states(policy, samples, progress=False)
    for rows in ([0, 1, 2, 3], [1, 3], [2, 1]):
        cached = policy.predict(*cache.batch(torch.tensor(rows)))
        whole = policy(policy.pack(_said(policy, [samples[row] for row in rows]))).pose
        torch.testing.assert_close(cached.mean, whole.mean, atol=1e-4, rtol=1e-4)


def _said(policy: PosePolicy, samples: list[Sample]):
    answers = [[policy.backbone.answer_ids(sample.answer)] for sample in samples]
    return SimpleNamespace(encoded_prompts=[policy.encode(sample) for sample in samples], answer_ids=answers)


def test_an_image_for_a_policy_without_eyes_is_refused(tiny_backbone):
    policy = PosePolicy.create(PolicyConfig(tiny_backbone, -1, HEAD, LORA))
    with pytest.raises(UserError, match="texts only"):
        policy.generate(["Who?"], [PICTURE])


def test_nobody_in_a_picture_is_told(policies):
    with pytest.raises(UserError, match="no person"):
        policies("eyes").generate(["Who?"], [PICTURE])


def test_as_many_images_as_prompts(policies):
    with pytest.raises(UserError, match="2 prompts"):
        policies("eyes").generate(["Who?", "What?"], [seen(1)])


def test_an_image_is_encoded_once(policies, tmp_path):
    policy = policies("qwen")
    policy.set_feature_cache(tmp_path / "images")
    calls = []
    policy.backbone.model.base_model.visual.register_forward_hook(lambda *_: calls.append(True))
    first = policy.encode(PromptInput("hello", PICTURE)).tokens
    again = policy.encode(PromptInput("hello", PICTURE.copy())).tokens
    assert len(calls) == 1
    assert again.ids == first.ids
    assert torch.equal(again.vision, first.vision)
    assert torch.equal(again.positions, first.positions)
    policy.encode(PromptInput("hello", UPRIGHT))
    assert len(calls) == 2


def test_a_policy_that_is_given_eyes_answers_texts_as_before(tiny_backbone, tmp_path):
    blind = PosePolicy.create(PolicyConfig(tiny_backbone, -1, HEAD, LORA), dtype=torch.float32)
    blind.save_pretrained(tmp_path / "blind")
    seeing = PosePolicy.from_pretrained(tmp_path / "blind", dtype=torch.float32, encoder="blazepose")
    first, second = (p.rollout(["A person waves."], temperature=0.0, max_new_tokens=2) for p in (blind, seeing))
    assert torch.equal(first.action, second.action)
    assert seeing.rollout([PromptInput("Who?", seen(1))], max_new_tokens=2).action.shape == (1, 1, 1, 22, 6)
    seeing.save_pretrained(tmp_path / "seeing")
    assert PosePolicy.from_pretrained(tmp_path / "seeing").config.encoder == "blazepose"


def test_a_pose_is_turned_as_its_crop_was_and_put_onto_the_person(policies, monkeypatch):
    policy = policies("eyes")
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    places = torch.rand(12, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 100
    looks = iter(
        [
            EncodedPerson(seen(1), torch.eye(3)),
            EncodedPerson(seen(1), quarter, places, torch.ones(12).double(), PICTURE),
        ]
    )
    monkeypatch.setattr("pose_rft.vision.image_encoder.ImageEncoder.encode_person", lambda self, image, *_: next(looks))
    monkeypatch.setattr("pose_rft.policy.language_model.sample_answers", _says_pose(policy))
    plain, turned = (policy.generate(["Who?"], [PICTURE], temperature=0.0)[0][0] for _ in range(2))
    first = roma.rotvec_to_rotmat(torch.as_tensor(plain.pose.global_orient))
    second = roma.rotvec_to_rotmat(torch.as_tensor(turned.pose.global_orient))
    torch.testing.assert_close(second.float(), quarter @ first.float(), atol=1e-4, rtol=1e-4)
    assert plain.camera is None
    body = turned.pose.joints() - turned.pose.joints()[0]
    middle = turned.camera.project(np.asarray(body)[COMMON]).mean(axis=0)
    np.testing.assert_allclose(middle, places.mean(dim=0), atol=1e-3)
    # A notebook shows the body over the photograph, or from two sides where nobody knows its place.
    assert [shown_size(answer) for answer in (turned, plain)] == [PICTURE.size, (960, 480)]


def shown_size(answer) -> tuple[int, int]:
    return Image.open(BytesIO(answer._repr_png_())).size


def _says_pose(policy):
    """Sampling that always answers ``<POSE>``."""
    from pose_rft.generation.sampling import sample_answers

    def sample(*arguments, **options):
        sampled = sample_answers(*arguments, **options)
        for group in sampled.ids:
            for answer in group:
                answer[:] = [policy.backbone.pose_token, *[1] * (len(answer) - 1)]
        return sampled

    return sample


def test_distributions_are_those_of_answers_alone_beside_answers_without_a_pose(policies):
    policy = policies("eyes")
    pictured = Sample("Who?", ANSWER, np.zeros((22, 3), np.float32), image=seen(1))
    asked = Sample("Is it a dancer?", "No.", None, image=seen(2))
    text = Sample("A person waves.", ANSWER, np.zeros((22, 3), np.float32))
    plain = Sample("Hello!", "Hello.", None)

    def scores(*samples):
        return policy(policy.pack(_said(policy, samples)))

    alone = [scores(sample).pose.mean[0] for sample in (pictured, text)]
    for together, answered in (
        ((plain, pictured, asked, text), [1, 3]),
        ((asked, text), [1]),
        ((plain, pictured), [1]),
    ):
        mean = scores(*together).pose.mean
        for i in answered:
            torch.testing.assert_close(mean[i], alone[together[i] is text], atol=1e-4, rtol=1e-4)
    nobody = scores(plain, asked)
    nobody.pose.mean.sum().backward()
    assert any(weight.grad is not None for weight in policy.head.parameters())


def test_what_the_projector_learns_leaves_the_pose_as_it_is(policies):
    policy = policies("eyes")
    samples = [Sample("Who?", ANSWER, np.zeros((22, 3), np.float32), image=seen(1))]
    before = policy(policy.pack(_said(policy, samples)))
    with torch.no_grad():
        for parameter in policy.image_branch.text_projector.parameters():
            parameter.add_(torch.randn_like(parameter))
    after = policy(policy.pack(_said(policy, samples)))
    assert torch.equal(before.pose.mean, after.pose.mean)
    assert not torch.allclose(before.logp_text, after.logp_text, atol=1e-3)


def test_looked_at_in_a_mirror_too_a_mirrored_picture_has_the_mirrored_pose(policies):
    policy = policies("eyes")
    pixels = np.random.default_rng(3).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    one, other = (Crop(each, np.eye(2, 3), 0.0) for each in (pixels, pixels[:, ::-1].copy()))
    policy.config.flip_augmentation = True
    prompts, images = ["Who?", "Who?", "A person waves."], [one, other, None]
    first, second, of_text = (group[0] for group in policy.generate(prompts, images, temperature=0.0))
    mirrored = policy.rollout([PromptInput("Who?", one), PromptInput("A person waves.")], temperature=0.0, flip=True)
    direct = policy.rollout([PromptInput("Who?", one), PromptInput("A person waves.")], temperature=0.0)
    assert not torch.allclose(mirrored.action[0], direct.action[0], atol=1e-3)
    assert torch.equal(mirrored.action[1], direct.action[1])
    again = policy.rollout([PromptInput("Who?", other)], temperature=0.0, flip=True)
    exchanged = policy.head.mirrored(again.action[0, 0].flatten(-2)).unflatten(-1, (22, 6))
    torch.testing.assert_close(exchanged, mirrored.action[0, 0], atol=1e-4, rtol=1e-4)
    assert first.valid == second.valid
    assert of_text.text == policy.generate(["A person waves."], temperature=0.0)[0][0].text
