"""The same work on a GPU. Skipped where there is none."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pose_rft.data.mixtures.image_samples import ImageMixtureConfig
from pose_rft.data.sample import Sample
from pose_rft.generation.packing import pack_groups
from pose_rft.hygrpo import HyGRPOConfig, HyGRPOTrainer
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy, PromptInput
from pose_rft.policy.training_pictures import PicturesConfig, with_pictures
from pose_rft.retrieval.model import RetrievalSettings
from pose_rft.retrieval.training import RetrievalTraining, train_retrieval
from pose_rft.rewards import RolloutRewarder, resolve, reward_specs
from pose_rft.runs.rft import PosePhaseConfig, RftConfig, run_rft
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.sft.losses import LossWeights
from pose_rft.sft.trainer import LoopConfig, PhaseConfig
from pose_rft.vision.encoded_images import EncodedImages
from tests.policy.image_text_models import MODELS

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

PHASE = PhaseConfig(samples=16, steps=4, batch_size=4, learning_rate=1e-2)
HYGRPO = HyGRPOConfig(
    steps=2, prompts_per_step=4, answers_per_prompt=2, poses_per_answer=4, updates_per_rollout=2, max_new_tokens=6
)


@pytest.fixture
def config(tiny_backbone) -> PolicyConfig:
    return PolicyConfig(tiny_backbone, 2, HeadConfig(width=32, depth=1, heads=4, rank=2), LoraSettings(rank=2, alpha=4))


def texts(count: int) -> list[Sample]:
    poses = np.random.default_rng(0).normal(scale=0.3, size=(count, 22, 3)).astype(np.float32)
    checks = ("y(head) > 0", "angle(left_knee) > 10")
    return [Sample(f"pose {i}", "Here it is: <POSE>.", pose, checks=checks) for i, pose in enumerate(poses)]


def test_scores_on_the_gpu_equal_those_on_the_cpu(tiny_policy):
    rollout = tiny_policy.rollout(["one", "a longer prompt"], num_answers=3, num_poses=2, max_new_tokens=12, seeds=2)
    packed = tiny_policy.pack(rollout, row_tokens=80)
    on_cpu = tiny_policy(packed)
    on_gpu = tiny_policy.to(DEVICE)(packed.to(DEVICE))
    torch.testing.assert_close(on_gpu.logp_text.cpu(), on_cpu.logp_text, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(on_gpu.pose.mean.cpu(), on_cpu.pose.mean, atol=1e-3, rtol=1e-3)


def test_answers_on_the_gpu_equal_those_on_the_cpu(trained_policy):
    prompts = ["wave", "A boxer!", "something that was never asked before"]
    on_cpu, on_gpu = (
        PosePolicy.from_pretrained(trained_policy, device, torch.float32).generate(prompts, temperature=0.0)
        for device in ("cpu", DEVICE)
    )
    for (one,), (other,) in zip(on_cpu, on_gpu, strict=True):
        assert one.text == other.text
        assert one.logp_text == pytest.approx(other.logp_text, abs=1e-3)
        if one.pose is not None:
            np.testing.assert_allclose(one.pose.axis_angle(), other.pose.axis_angle(), atol=1e-3)


# Of the norm of all numbers. bfloat16 has 8 bits; rounding adds up over three layers of large random weights.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.bfloat16, 0.1)])
def test_shared_prompts_give_the_numbers_and_gradients_of_padded_batches(config, dtype, tolerance):
    policy = PosePolicy.create(config, DEVICE, dtype)
    generator = torch.Generator().manual_seed(0)
    for name, weight in policy.trainable().items():
        if "lora_B" in name:  # zeros in a fresh one
            weight.data.copy_(0.1 * torch.randn(weight.shape, generator=generator))
    pose = policy.backbone.pose_token
    prompts = [[5, 6, 7, 8, 9, 10], [11, 12, 13]]
    answers = [[[20, pose, 21], [22, 23, 24, pose, 0], [25]], [[pose, 26], [27, 28, pose]]]
    assert policy.language_model.supports_prefix_sharing
    found = []
    for share in (True, False):
        packed = pack_groups(prompts, answers, pose, share_prompts=share).to(DEVICE)
        scores = policy(packed)
        policy.zero_grad()
        (scores.logp_text.sum() + scores.pose.mean[packed.has_action].square().sum()).backward()
        gradient = torch.cat([p.grad.flatten() for p in policy.trainable().values() if p.grad is not None])
        found.append((scores.logp_text.detach(), scores.pose.mean[packed.has_action].detach(), gradient))
    for shared, padded in zip(*found, strict=True):
        assert (shared - padded).norm() < tolerance * padded.norm()


def test_both_stages_run_on_the_gpu(config, tmp_path):
    loop = LoopConfig(workers=2)  # forked with a GPU in use
    for name, head in (("both", PHASE), ("words", replace(PHASE, steps=0))):
        sft = SftConfig(
            policy=config, output_dir=str(tmp_path / name), head=head, joint=PHASE, loop=loop, device=DEVICE,
            loss=LossWeights(checks=0.1, sampled_checks=0.1, aligned=0.1),
        )  # fmt: skip
        assert run_sft(sft, samples=texts(16)).device.type == DEVICE
    rft = RftConfig(
        policy=str(tmp_path / "both" / "policy"),
        output_dir=str(tmp_path / "rft"),
        rewards=["format", "posecodes", "spatial_bounded", "semantic"],
        pose_phase=PosePhaseConfig(steps=2, prompts_per_step=8),
        hygrpo=HYGRPO,
        device=DEVICE,
    )
    trained, history = run_rft(rft, samples=texts(16))
    assert trained.device.type == DEVICE
    assert all(np.isfinite(entry["loss"]) for entry in history if "loss" in entry)
    assert PosePolicy.from_pretrained(tmp_path / "rft" / "policy").generate(["pose 1"], max_new_tokens=4)


def test_a_policy_that_sees_is_trained_in_all_phases(config, tmp_path):
    config = replace(config, encoder="blazepose")
    policy = PosePolicy.create(config, DEVICE)
    drawn = PicturesConfig(8, 2, ImageMixtureConfig(single=1.0, pairs=0.0, questions=0.0))
    samples = with_pictures(policy, texts(8), 5, drawn)  # drawn by other processes, encoded on the GPU
    assert sum(isinstance(sample.image, EncodedImages) for sample in samples) == 8
    sft = SftConfig(
        policy=config, output_dir=str(tmp_path / "sft"), head=PHASE, attributes=PHASE, joint=PHASE,
        loop=LoopConfig(workers=2), device=DEVICE,
    )  # fmt: skip
    assert run_sft(sft, samples=samples).image_branch.attributes
    rft = RftConfig(
        policy=str(tmp_path / "sft" / "policy"),
        output_dir=str(tmp_path / "rft"),
        rewards=["format", "spatial_bounded"],
        pose_phase=PosePhaseConfig(steps=2, prompts_per_step=8),
        hygrpo=HYGRPO,
        device=DEVICE,
    )
    seeing, history = run_rft(rft, samples=samples)
    assert any("rewards/spatial_bounded/mean" in entry for entry in history)
    pictured = next(sample for sample in samples if sample.image is not None)
    rollout = seeing.rollout([pictured, "pose 1"], num_answers=2, num_poses=3, max_new_tokens=6)
    assert rollout.action.isfinite().all()


@pytest.mark.parametrize("family", ["llava", "qwen"])
def test_an_image_text_model_is_trained_in_both_stages(family, tmp_path, byte_tokenizer, monkeypatch):
    load = MODELS[family]
    monkeypatch.setattr("pose_rft.policy.policy.load_backbone", lambda name, dtype: load(tmp_path, byte_tokenizer))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
    samples = [replace(sample, image=picture if i % 2 else None) for i, sample in enumerate(texts(8))]
    head = HeadConfig(width=32, depth=1, heads=4, rank=2)
    sft = SftConfig(
        policy=PolicyConfig(family, -1, head, LoraSettings(rank=2)), output_dir=str(tmp_path / "sft"), head=PHASE,
        joint=PHASE, loop=LoopConfig(workers=2), device=DEVICE,
    )  # fmt: skip
    policy = run_sft(sft, samples=samples)
    assert policy.device.type == DEVICE
    rft = RftConfig(
        policy=str(tmp_path / "sft" / "policy"), output_dir=str(tmp_path / "rft"),
        rewards=["format", "spatial_bounded"], hygrpo=HYGRPO, device=DEVICE,
    )  # fmt: skip
    policy, history = run_rft(rft, samples=samples)
    assert all(np.isfinite(entry["loss"]) for entry in history if "loss" in entry)
    assert policy.generate(["Who?"], [picture], max_new_tokens=4)


def test_a_resumed_run_ends_where_an_unbroken_one_does(config, tmp_path):
    """Up to what sums in another order do: some kernels of a GPU add up in no fixed one."""

    def run(name: str, steps: int, resume: str | None = None) -> torch.Tensor:
        policy = PosePolicy.create(config, DEVICE, torch.float32)
        policy.freeze_reference()
        start = torch.cat([weight.detach().flatten() for weight in policy.trainable().values()])
        hygrpo = replace(HYGRPO, steps=4, save_steps=4, learning_rate=1e-3, schedule="constant")
        grader = RolloutRewarder(policy, [resolve(spec) for spec in reward_specs(["format", "posecodes"])])
        trainer = HyGRPOTrainer(policy, replace(hygrpo, steps=steps), texts(8), grader, str(tmp_path / name))
        trainer.train(resume_from_checkpoint=resume)
        return torch.cat([weight.detach().flatten() for weight in policy.trainable().values()]) - start

    whole = run("whole", 4)
    run("broken", 2)
    resumed = run("broken", 4, str(tmp_path / "broken" / "checkpoint-4"))
    assert whole.norm() > 0
    assert (resumed - whole).norm() < 0.02 * whole.norm()


@pytest.mark.parametrize(("text", "pose"), [("convolutions", "rotations"), ("recurrent", "joints")])
def test_retrieval_models_are_trained_on_the_gpu(text, pose):
    shape = RetrievalSettings(text=text, pose=pose, width=32, heads=2, pose_width=32, pose_blocks=1, buckets=64)
    losses: list[float] = []
    training = RetrievalTraining(shape, steps=20, batch_size=16)
    model = train_retrieval(texts(64), training, lambda step, steps, loss: losses.append(loss), DEVICE)
    assert losses[-1] < losses[0]
    assert model.embed_text(["pose 3"]).device.type == "cpu"


def test_a_rollout_is_the_same_on_both_devices(tiny_policy):
    """What is drawn comes from the CPU's generator on either."""
    asked = {"answers": 4, "poses": 2, "seeds": 3, "max_new_tokens": 8}
    on_cpu = tiny_policy.rollout([PromptInput("one"), "a longer prompt"], **asked)
    on_gpu = tiny_policy.to(DEVICE).rollout([PromptInput("one"), "a longer prompt"], **asked)
    assert on_gpu.answer_ids == on_cpu.answer_ids
    torch.testing.assert_close(on_gpu.action.cpu(), on_cpu.action, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("answers", [1, 4])
def test_replayed_passes_sample_the_same_answers(tiny_policy, answers):
    asked = {"answers": answers, "poses": 2, "seeds": 3, "max_new_tokens": 12}
    prompts = [PromptInput("one"), "a longer prompt"]
    policy = tiny_policy.to(DEVICE)
    for _ in range(2):  # a second recording takes over the first one's memory
        replayed = policy.rollout(prompts, **asked)
    assert policy.language_model.recorder.works
    assert policy.language_model.recorder.recorded == 2
    policy.language_model.recorder.works = False
    plain = policy.rollout(prompts, **asked)
    assert policy.language_model.recorder.recorded == 2
    assert replayed.answer_ids == plain.answer_ids
    torch.testing.assert_close(replayed.action, plain.action, atol=1e-3, rtol=1e-3)


def test_a_model_that_cannot_be_recorded_samples_all_the_same_and_says_so(tiny_policy, caplog):
    policy = tiny_policy.to(DEVICE)
    asked = {"answers": 4, "seeds": 3, "max_new_tokens": 8}
    expected = policy.rollout(["one", "a longer prompt"], **asked)

    def look(layer, given, out):
        assert out[0].sum().item() is not None

    policy.language_model.decoder.layers[0].register_forward_hook(look)
    with caplog.at_level("WARNING"):
        found = policy.rollout(["one", "a longer prompt"], **asked)
    assert "cannot be recorded" in caplog.text
    assert found.answer_ids == expected.answer_ids
    assert policy.rollout(["one", "a longer prompt"], **asked).answer_ids == expected.answer_ids
