"""What a reinforcement run starts from and what it is held near."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from pose_rft.errors import UserError
from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy
from pose_rft.runs.rft import PosePhaseConfig, RftConfig, run_rft, starting_policy


@pytest.fixture
def checkpoints(tiny_policy, tmp_path) -> tuple[str, str]:
    """A policy, and another one that learned from it."""

    def shaken(name: str) -> str:
        with torch.no_grad():
            for parameter in tiny_policy.trainable().values():
                parameter.add_(torch.randn_like(parameter) * 0.1)
        tiny_policy.save_pretrained(tmp_path / name)
        return str(tmp_path / name)

    return shaken("supervised"), shaken("reinforced")


def assert_is(policy: PosePolicy, checkpoint: str) -> None:
    expected = PosePolicy.from_pretrained(checkpoint, dtype=torch.float32).trainable()
    assert all(torch.equal(weight, expected[name]) for name, weight in policy.trainable().items())


def test_a_run_that_goes_on_from_a_reinforced_policy_is_held_near_the_one_of_its_config(checkpoints):
    supervised, reinforced = checkpoints
    policy = starting_policy(RftConfig(policy=reinforced, reference=supervised), "cpu")
    assert_is(policy, reinforced)
    with policy.as_reference():
        assert_is(policy, supervised)


def test_without_one_a_run_is_held_near_its_start(checkpoints):
    policy = starting_policy(RftConfig(policy=checkpoints[1]), "cpu")
    with policy.as_reference():
        assert_is(policy, checkpoints[1])


def test_its_first_step_is_some_way_from_the_reference(checkpoints, tmp_path, trained_policy):
    """The KL terms of the first step: not those of a run that is held near its start, which are 0."""
    moved = PosePolicy.from_pretrained(trained_policy)
    with torch.no_grad():
        for parameter in moved.head.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    moved.save_pretrained(tmp_path / "moved")
    hygrpo = HyGRPOConfig(steps=1, prompts_per_step=2, poses_per_answer=2, max_new_tokens=20)
    config = RftConfig(
        policy=str(tmp_path / "moved"), reference=str(trained_policy), output_dir=str(tmp_path / "run"), prompts=4,
        hygrpo=hygrpo, device="cpu",
    )  # fmt: skip
    _, history = run_rft(config)
    assert history[0]["pose/kl"] > 0.01


def test_a_reference_of_other_parts_is_refused(checkpoints, tiny_backbone, tmp_path):
    other = PolicyConfig(tiny_backbone, 2, HeadConfig(width=16, depth=1, heads=4, rank=2), LoraSettings(rank=2))
    PosePolicy.create(other).save_pretrained(tmp_path / "other")
    with pytest.raises(UserError, match=r"^reference .*other: is made of other parts than policy .*reinforced"):
        starting_policy(RftConfig(policy=checkpoints[1], reference=str(tmp_path / "other")), "cpu")
    with pytest.raises(UserError, match=r"must both be checkpoints of trained policies"):
        starting_policy(RftConfig(policy=tiny_backbone, reference=checkpoints[0]), "cpu")


def test_a_reference_that_nothing_reads_is_refused():
    with pytest.raises(UserError, match=r"^reference is set, but hygrpo.beta_text and hygrpo.beta_pose are 0"):
        RftConfig(reference="default", hygrpo=HyGRPOConfig(beta_text=0.0, beta_pose=0.0))
    with pytest.raises(UserError, match=r"^reference: the opening phase"):
        RftConfig(reference="default", pose_phase=PosePhaseConfig(steps=1))


def test_adapters_can_begin_below_those_of_the_policy(tiny_backbone, tmp_path):
    """New ones do nothing at first, and the next rollout's words reach the pose."""
    head = HeadConfig(width=16, depth=1, heads=4, rank=2)
    above = PosePolicy.create(
        PolicyConfig(tiny_backbone, 1, head, LoraSettings(rank=2, from_layer=1)), dtype=torch.float32
    )
    with torch.no_grad():
        for parameter in above.trainable().values():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    above.save_pretrained(tmp_path / "above")
    config = RftConfig(policy=str(tmp_path / "above"), adapters_from=0)
    below = starting_policy(config, "cpu")
    assert below.adapters_reach_head
    assert not above.adapters_reach_head
    added = below.trainable().keys() - above.trainable().keys()
    assert added
    assert all(".layers.0." in name for name in added)
    packed = below.pack(below.rollout(["wave"], temperature=0.0, max_new_tokens=4), 64)
    with torch.no_grad():
        same = PosePolicy.from_pretrained(tmp_path / "above")(packed).logp_text
        assert torch.allclose(below(packed).logp_text, same, atol=1e-5)
    below.save_pretrained(tmp_path / "below")
    PosePolicy.from_pretrained(tmp_path / "below")
    weights = load_file(tmp_path / "above" / "adapter_model.safetensors")
    del weights[min(name for name in weights if ".layers.1." in name)]
    save_file(weights, tmp_path / "above" / "adapter_model.safetensors")
    with pytest.raises(UserError, match=r"adapter_model.safetensors lacks .*layers\.1\."):
        starting_policy(config, "cpu")
    assert PosePolicy.from_pretrained(tiny_backbone, adapters_from=1).config.lora.from_layer == 1
    with pytest.raises(UserError, match="the checkpoint has adapters from layer 0 on"):
        PosePolicy.from_pretrained(tmp_path / "below", adapters_from=1)
    with pytest.raises(UserError, match=r"^reference: has no more adapters"):
        RftConfig(reference="default", adapters_from=0)
