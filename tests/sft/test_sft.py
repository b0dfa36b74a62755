"""The supervised stage on a small model."""

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pose_rft.body import load_body
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig
from pose_rft.policy.distribution import PoseGaussian
from pose_rft.sft.losses import cross_entropy, pose_losses
from pose_rft.sft.run import SftConfig, run_sft
from pose_rft.sft.trainer import LengthBatches, LoopConfig, PhaseConfig, cache_states

ANSWER = "Here: <POSE>."


def samples(n=24):
    rng = np.random.default_rng(0)
    poses = rng.normal(0, 0.3, (n, 22, 3)).astype(np.float32)
    posed = [Sample(f"pose {'abc'[i % 3] * (1 + i % 3)}", ANSWER, poses[i % 3]) for i in range(n)]
    return [*posed, Sample("hello", "Hello.", None, task="chat")]


@pytest.fixture
def make_config(tiny_backbone, tmp_path):
    def make(name="run", **changes):
        settings = {
            "policy": PolicyConfig(
                tiny_backbone, 2, HeadConfig(width=32, depth=2, heads=4, rank=2), LoraSettings(rank=2)
            ),
            "output_dir": str(tmp_path / name),
            "head": PhaseConfig(samples=100, steps=6, batch_size=8),
            "joint": PhaseConfig(samples=100, steps=6, batch_size=8),
            "loop": LoopConfig(save_steps=3, logging_steps=1, row_tokens=128),
            "device": "cpu",
        }
        return SftConfig(**(settings | changes))

    return make


def test_pose_losses_are_zero_at_the_target_and_metres_away_from_it(tiny_policy):
    head, body = tiny_policy.head, load_body()
    poses = torch.randn(3, 22, 3) * 0.3
    exact = PoseGaussian.diagonal(head.to_action(poses).flatten(1), torch.ones(3, 132))
    losses = pose_losses(head, body.joints_from_rotations, exact, poses)
    assert losses["joints"].item() == pytest.approx(0, abs=1e-6)
    assert losses["likelihood"].item() == pytest.approx(
        0.5 * np.log(2 * np.pi), abs=1e-5
    )  # a unit Gaussian at its mean
    rest = PoseGaussian.diagonal(head.to_action(torch.zeros(1, 22, 3)).flatten(1), torch.ones(1, 132))
    bent = torch.zeros(1, 22, 3)
    bent[0, 18, 1] = np.pi / 2  # left elbow: only the wrist moves, around the elbow
    forearm = torch.linalg.vector_norm(body.offsets[20]).item()
    distance = pose_losses(head, body.joints_from_rotations, rest, bent)["joints"].item()
    assert distance == pytest.approx(2**0.5 * forearm / 22, rel=1e-3)


def test_cross_entropy_is_the_mean_over_real_tokens():
    logp = torch.tensor([[-1.0, -3.0], [-5.0, -100.0]])
    mask = torch.tensor([[True, True], [True, False]])
    assert cross_entropy(logp, mask).item() == 3.0


@given(st.lists(st.integers(1, 90), min_size=1, max_size=300), st.integers(1, 20))
def test_length_batches_show_every_sample_once_per_round_and_hardly_pad(lengths, batch):
    batches = iter(LengthBatches(lengths, batch, seed=0))
    seen: list[int] = []
    while len(seen) < len(lengths):
        seen += next(batches)
    assert sorted(seen) == list(range(len(lengths)))


def test_cached_states_are_those_that_the_whole_policy_reads(make_config, tiny_policy):
    from pose_rft.sft.trainer import _pack

    data = samples()
    cache = cache_states(tiny_policy, data, row_tokens=64, batch=5, progress=False)
    assert len(cache.poses) == len(data) - 1  # the chat sample has no pose
    packed = _pack(tiny_policy, data[3:4], 64)
    states = tiny_policy.hidden_states(packed)[packed.memory[0]]
    cached = cache.states[cache.starts[3] : cache.starts[4]]
    torch.testing.assert_close(cached, states.detach(), atol=1e-4, rtol=1e-4)


def test_training_learns_words_and_poses(make_config):
    config = make_config(
        head=PhaseConfig(samples=100, steps=150, batch_size=8, learning_rate=1e-2),
        joint=PhaseConfig(samples=100, steps=150, batch_size=8, learning_rate=5e-3),
        loop=LoopConfig(save_steps=1000, row_tokens=128),
    )
    data = samples()
    policy = run_sft(config, samples=data)
    answers = policy.generate([sample.prompt for sample in data[:3]], temperature=0.0)
    assert all(group[0].text == ANSWER and group[0].valid for group in answers)
    joints = [load_body().joints(torch.from_numpy(sample.pose)).numpy() for sample in data[:3]]
    rest = load_body().joints(torch.zeros(22, 3)).numpy()
    errors = [np.linalg.norm(group[0].pose.joints() - true) for group, true in zip(answers, joints, strict=True)]
    guess = [np.linalg.norm(rest - true) for true in joints]
    assert np.mean(errors) < 0.5 * np.mean(guess)


@pytest.mark.parametrize("interrupted", ["head", "joint"])
def test_a_resumed_run_ends_with_the_same_weights_bit_for_bit(make_config, tmp_path, interrupted):
    whole = run_sft(make_config("whole"), samples=samples())
    run_sft(make_config("broken"), samples=samples())
    shutil.rmtree(tmp_path / "broken" / "policy")
    shutil.rmtree(tmp_path / "broken" / interrupted / "checkpoint-6")
    if interrupted == "head":
        shutil.rmtree(tmp_path / "broken" / "joint")
    resumed = run_sft(make_config("broken"), resume=True, samples=samples())
    for (name, a), b in zip(whole.trainable().items(), resumed.trainable().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_run_is_not_overwritten(make_config):
    run_sft(make_config(), samples=samples())
    with pytest.raises(UserError, match="--resume"):
        run_sft(make_config(), samples=samples())


def test_samples_without_any_pose_are_refused(make_config):
    with pytest.raises(UserError, match="no training sample has a pose"):
        run_sft(make_config(), samples=[Sample("hello", "Hello.", None, task="chat")])
