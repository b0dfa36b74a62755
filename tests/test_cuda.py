"""The same work on a GPU. Skipped where there is none."""

import pytest
import torch

from pose_rft.data.sample import Sample
from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def test_scores_on_the_gpu_equal_those_on_the_cpu(tiny_policy):
    rollout = tiny_policy.act(["one", "a longer prompt"], answers=3, poses=2, max_new_tokens=12, seeds=2)
    packed = tiny_policy.pack(rollout, row_tokens=80)
    on_cpu = tiny_policy(packed)
    on_gpu = tiny_policy.to("cuda")(packed.to("cuda"))
    torch.testing.assert_close(on_gpu.logp_text.cpu(), on_cpu.logp_text, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(on_gpu.pose.mean.cpu(), on_cpu.pose.mean, atol=1e-3, rtol=1e-3)


def test_both_stages_run_on_the_gpu(tiny_backbone, tmp_path):
    from pose_rft.rft import RftConfig, run_rft
    from pose_rft.sft.run import SftConfig, run_sft
    from pose_rft.sft.trainer import LoopConfig, PhaseConfig

    pose = torch.zeros(22, 3).numpy()
    samples = [Sample(f"pose {i}", "Here it is: <POSE>.", pose, checks=("y(head) > 0",)) for i in range(16)]
    phase = PhaseConfig(samples=16, steps=8, batch_size=4, learning_rate=1e-2)
    policy = PolicyConfig(tiny_backbone, 2, HeadConfig(width=32, depth=1, heads=4, rank=2), LoraSettings(rank=2))
    sft = SftConfig(
        policy, output_dir=str(tmp_path / "sft"), head=phase, joint=phase, loop=LoopConfig(workers=2), device="cuda"
    )
    assert run_sft(sft, samples=samples).device.type == "cuda"
    rft = RftConfig(
        policy=str(tmp_path / "sft" / "policy"),
        output_dir=str(tmp_path / "rft"),
        hygrpo=HyGRPOConfig(steps=2, prompts_per_step=2, answers_per_prompt=2, poses_per_answer=4),
        device="cuda",
    )
    trained, history = run_rft(rft, samples=samples)
    assert trained.device.type == "cuda"
    assert any("loss" in entry for entry in history)
    assert isinstance(PosePolicy.from_pretrained(tmp_path / "rft" / "policy"), PosePolicy)
