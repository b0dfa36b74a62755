"""The supervised stage on a small model."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import roma
import torch
from hypothesis import given
from hypothesis import strategies as st

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy
from pose_rft.policy.distribution import PoseGaussian
from pose_rft.policy.hidden_state_cache import cache_hidden_states, pack_samples
from pose_rft.posescript.checks import either_side, measure, mirrored, satisfied
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.sft.losses import LossWeights, check_loss, cross_entropy, pose_losses, relative_turns
from pose_rft.sft.trainer import LengthBatches, LoopConfig, PhaseConfig

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


def mean_joints(policy, sample):
    """Of the pose that the head gives to the sample's own answer, (1, 22, 3)."""
    with torch.no_grad():
        mean = policy(pack_samples(policy, [sample], 128)).pose.mean
        return load_body().joints_from_rotations(policy.head.to_rotations(mean.unflatten(-1, (22, 6))))


def test_the_aligned_loss_forgives_turns_and_sizes_and_can_be_descended(tiny_policy):
    head, body = tiny_policy.head, load_body()
    pose = torch.zeros(1, 22, 3)
    pose[0, 16, 2] = 1.0
    turned = pose.clone()
    turned[0, 0] = torch.tensor([0.3, -0.8, 0.2])

    def losses(mean):
        predicted = PoseGaussian.diagonal(mean, torch.ones(1, 132))
        return pose_losses(head, body.points_from_rotations, predicted, pose, aligned=True)

    assert losses(head.to_action(turned).flatten(1))["joints"].item() > 0.1
    assert losses(head.to_action(turned).flatten(1))["aligned"].item() == pytest.approx(0, abs=1e-5)
    mean = head.to_action(torch.zeros(1, 22, 3)).flatten(1).requires_grad_()
    optimizer = torch.optim.Adam([mean], 0.02)
    start = losses(mean)["aligned"].item()
    for _ in range(60):
        optimizer.zero_grad()
        losses(mean)["aligned"].backward()
        optimizer.step()
    assert losses(mean)["aligned"].item() < 0.3 * start


def test_pose_losses_are_zero_at_the_target_and_metres_away_from_it(tiny_policy):
    head, body = tiny_policy.head, load_body()
    poses = torch.randn(3, 22, 3) * 0.3
    exact = PoseGaussian.diagonal(head.to_action(poses).flatten(1), torch.ones(3, 132))
    losses = pose_losses(head, body.points_from_rotations, exact, poses)
    assert losses["joints"].item() == pytest.approx(0, abs=1e-6)
    assert losses["likelihood"].item() == pytest.approx(
        0.5 * np.log(2 * np.pi), abs=1e-5
    )  # a unit Gaussian at its mean
    rest = PoseGaussian.diagonal(head.to_action(torch.zeros(1, 22, 3)).flatten(1), torch.ones(1, 132))
    bent = torch.zeros(1, 22, 3)
    bent[0, 18, 1] = np.pi / 2  # left elbow: only the wrist moves, around the elbow
    forearm = torch.linalg.vector_norm(body.offsets[20]).item()
    distance = pose_losses(head, body.points_from_rotations, rest, bent)["joints"].item()
    assert distance == pytest.approx(2**0.5 * forearm / 22, rel=1e-3)


def test_turns_are_missed_as_a_share_of_what_was_asked():
    """A joint that should turn by 60 degrees: sqrt(2) * 2 sin(30) between the matrices, 0.3 are added to it."""
    before = torch.eye(3).expand(1, 22, 3, 3)
    wanted, half, other = before.clone(), before.clone(), before.clone()
    wanted[0, 4], half[0, 4], other[0, 5] = (
        roma.rotvec_to_rotmat(torch.tensor([math.radians(degrees), 0.0, 0.0])) for degrees in (60, 30, 60)
    )
    asked = 2 * math.sqrt(2) * math.sin(math.radians(30))
    halfway = 2 * math.sqrt(2) * math.sin(math.radians(15))
    missed = [relative_turns(reached, wanted, before).item() for reached in (wanted, half, before, other)]
    expected = [0.0, halfway / (asked + 0.3), asked / (asked + 0.3), 2 * asked / (asked + 0.3)]
    assert missed == pytest.approx(expected, abs=0.03)


def test_samples_without_a_given_pose_have_no_loss_of_turns(tiny_policy):
    poses = torch.zeros(2, 22, 3)
    starts = torch.full((2, 22, 3), torch.nan)
    action = tiny_policy.head.to_action(poses).flatten(1)
    predicted = PoseGaussian.diagonal(action, torch.ones_like(action))
    points_of = load_body().points_from_rotations
    assert "turns" not in pose_losses(tiny_policy.head, points_of, predicted, poses, given=starts)
    starts[1] = 0.5
    assert pose_losses(tiny_policy.head, points_of, predicted, poses, given=starts)["turns"].item() < 1e-3


def test_the_check_loss_is_how_far_the_statements_are_from_being_met_with_something_to_spare():
    joints = load_body().joints(torch.zeros(3, 22, 3))
    angle = measure("angle(left_shoulder)", joints)[0].item()  # of the rest pose
    met, near, failed = (f"angle(left_shoulder) < {angle + spare}" for spare in (6.1, 3.0, -20.0))
    assert check_loss([[met], [], []], joints).item() == 0
    assert check_loss([[near], [], []], joints).item() == pytest.approx(0.15, abs=1e-3)
    assert check_loss([[failed], [], []], joints).item() == pytest.approx(1.3, abs=1e-3)
    assert check_loss([[failed, met], [near], []], joints).item() == pytest.approx((0.65 + 0.15) / 2, abs=1e-3)
    assert check_loss([[], [], []], joints).item() == 0


def test_the_check_loss_of_several_poses_to_each_sample_is_that_of_each():
    joints = load_body().joints(torch.randn(2 * 3, 22, 3, generator=torch.Generator().manual_seed(0)) * 0.3)
    checks = [["y(left_wrist) > y(head)", "angle(left_knee) < 90"], [], ["angle(left_knee) < 90"]]
    both = check_loss(checks, joints.view(2, 3, 22, 3))
    assert both.tolist() == pytest.approx(
        [check_loss(checks, joints[:3]).item(), check_loss(checks, joints[3:]).item()]
    )
    assert both[0] != both[1]
    assert check_loss([[], [], []], joints.view(2, 3, 22, 3)).tolist() == [0, 0]


def test_the_check_loss_of_either_side_is_that_of_the_side_of_which_less_is_missing():
    joints = load_body().joints(torch.zeros(2, 22, 3))
    angle = measure("angle(left_shoulder)", joints)[0].item()
    far, near, met = (f"angle(left_shoulder) < {angle + spare}" for spare in (-20.0, 3.0, 40.0))
    other = mirrored(near)
    # of the left 1.3 and 0.15 are missing, of the right as much
    assert check_loss([[either_side([far, other])], []], joints).item() == pytest.approx((1.3 + 0.15) / 2, abs=1e-3)
    only_left = "x(left_wrist) < 0"  # far off on the left of the body, and its mirror image on the right
    left_up = joints.clone()
    left_up[:, JOINT_INDEX["left_wrist"], 0] = -0.1  # 10 cm across the middle: met, where of the right it is far off
    assert check_loss([[either_side([only_left, far])], []], left_up).item() == pytest.approx(1.3 / 2, abs=0.01)
    # three statements, of which the one that names its side is met
    assert check_loss([[either_side([only_left, far]), met], []], left_up).item() == pytest.approx(1.3 / 3, abs=0.01)
    # every check chooses for itself, every sample too
    checks = [[either_side([far])], [either_side([near]), either_side([far])]]
    assert check_loss(checks, joints).item() == pytest.approx((1.3 + (0.15 + 1.3) / 2) / 2, abs=1e-3)


def test_every_statement_of_the_better_side_is_descended_and_none_of_the_other():
    body, index = load_body(), JOINT_INDEX
    joints = body.joints(torch.zeros(1, 22, 3))
    joints[0, index["left_wrist"], 1] += 0.1  # the left hand is nearer to what is asked
    joints.requires_grad_()
    check_loss(
        [[either_side(["y(left_wrist) > y(head) + 0.2", "angle(left_knee) < 90", "lean() > 20"])]], joints
    ).backward()
    moved = joints.grad[0].abs().amax(dim=-1) > 0
    assert moved[[index["left_wrist"], index["left_knee"], index["neck"]]].all()  # not the worst of them alone
    assert not moved[[index["right_wrist"], index["right_knee"]]].any()


def test_descending_either_side_reaches_a_pose_that_does_it_with_one_side():
    body = load_body()
    pose = (torch.randn(8, 22, 3, generator=torch.Generator().manual_seed(0)) * 0.2).requires_grad_()
    checks = [
        [either_side(["y(right_wrist) > y(head)", "angle(left_knee) < 100", "distance(left_wrist, pelvis) < 0.3"])]
    ]
    optimizer = torch.optim.Adam([pose], lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        check_loss(checks * 8, body.joints(pose)).backward()
        optimizer.step()
    assert satisfied(checks[0], body.joints(pose.detach())).all()


def test_statements_about_the_head_move_the_rest_of_the_body():
    body = load_body()
    pose = torch.zeros(1, 22, 3, requires_grad=True)
    check_loss([["y(left_wrist) > y(head)", "distance(right_wrist, head) < 0.2"]], body.joints(pose)).backward()
    neck, shoulder = JOINT_INDEX["neck"], JOINT_INDEX["left_shoulder"]
    assert pose.grad[0, shoulder].abs().max() > 0.1
    assert pose.grad[0, neck].abs().max() == 0


def test_the_check_loss_turns_the_head_where_it_is_said_and_moves_it_nowhere():
    body, head, neck = load_body(), JOINT_INDEX["head"], JOINT_INDEX["neck"]
    pose = torch.zeros(1, 22, 3, requires_grad=True)
    check_loss([["y(left_wrist) > y(head) + 0.1"]], body.points(pose)).backward()
    assert pose.grad[0, [neck, head]].abs().max() == 0
    pose.grad = None
    check_loss([["nod() > 30 and head_turn() > 20"]], body.points(pose)).backward()
    assert pose.grad[0, head].abs().max() > 0


def test_descending_the_check_loss_moves_the_body_until_the_words_hold():
    body = load_body()
    pose = torch.zeros(2, 22, 3, requires_grad=True)
    checks = [["y(left_wrist) > y(head)", "angle(right_knee) < 100"], ["distance(left_wrist, right_wrist) < 0.1"]]
    assert not any(satisfied(c, body.joints(pose.detach()))[i].any() for i, c in enumerate(checks))
    optimizer = torch.optim.Adam([pose], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        check_loss(checks, body.joints(pose)).backward()
        assert pose.grad.isfinite().all()
        optimizer.step()
    assert all(satisfied(c, body.joints(pose.detach()))[i].all() for i, c in enumerate(checks))


def test_the_loss_of_a_sample_narrows_the_gaussian_where_the_words_leave_no_choice(tiny_policy):
    """The spine's one check is met at the mean; only the standard deviation can lower the loss of a sample."""
    head, body = tiny_policy.head, load_body()
    mean = head.to_action(torch.zeros(64, 22, 3)).flatten(1)
    log_std = torch.zeros(132, requires_grad=True)
    torch.manual_seed(0)
    predicted = PoseGaussian.diagonal(mean, log_std.exp().expand(64, -1))
    losses = pose_losses(head, body.points_from_rotations, predicted, torch.zeros(64, 22, 3), [["lean() < 10"]] * 64)
    assert losses["checks"].item() == 0
    losses["sampled_checks"].backward()
    gradient = log_std.grad.view(22, 6).abs().sum(dim=1)
    assert log_std.grad.sum() > 0  # narrower is better
    moved = {JOINT_NAMES[joint] for joint in gradient.nonzero()[:, 0].tolist()}
    assert moved == {"pelvis", "spine1", "spine2", "spine3"}  # nothing else moves the torso


def test_states_in_a_file_are_read_and_not_computed_again(tiny_policy, tmp_path, monkeypatch):
    data, file = samples()[:-1], tmp_path / "states.safetensors"
    first = cache_hidden_states(tiny_policy, data, file=file, progress=False)
    monkeypatch.setattr(tiny_policy, "hidden_states", None)
    again = cache_hidden_states(tiny_policy, data, file=file, progress=False)
    assert torch.equal(first.states, again.states)
    assert torch.equal(first.starts, again.starts)
    with pytest.raises(UserError, match="other samples"):
        cache_hidden_states(tiny_policy, data[:5], file=file, progress=False)
    others = [replace(sample, prompt=sample.prompt + "!") for sample in data]
    with pytest.raises(UserError, match="other samples"):  # as many, but of other words
        cache_hidden_states(tiny_policy, others, file=file, progress=False)


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
    data = samples()[:-1]  # the last has no pose
    cache = cache_hidden_states(tiny_policy, data, row_tokens=64, batch=5, progress=False)
    assert len(cache) == len(data)
    packed = pack_samples(tiny_policy, data[3:4], 64)
    states = tiny_policy.hidden_states(packed)[packed.memory[0]]
    cached = cache.states[cache.starts[cache.read_as[3]] : cache.starts[cache.read_as[3] + 1]]
    torch.testing.assert_close(cached, states.detach(), atol=1e-4, rtol=1e-4)


def test_training_learns_words_and_poses(make_config):
    config = make_config(
        head=PhaseConfig(samples=100, steps=150, batch_size=8, learning_rate=1e-2),
        joint=PhaseConfig(samples=100, steps=220, batch_size=8, learning_rate=5e-3),
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


def test_with_the_check_loss_the_mean_pose_does_what_is_said(make_config):
    """The targets are rest poses: only the statement can raise the arm."""
    data = [Sample("raise it", ANSWER, np.zeros((22, 3), np.float32), checks=("y(left_wrist) > y(head) + 0.1",))] * 8
    phases = {"head": PhaseConfig(samples=8, steps=60, batch_size=8, learning_rate=1e-2), "joint": PhaseConfig(steps=0)}
    plain = run_sft(make_config("plain", **phases), samples=data)
    told = run_sft(make_config("told", loss=LossWeights(checks=5.0), **phases), samples=data)

    def raised(policy):
        return satisfied(data[0].checks, mean_joints(policy, data[0])).all().item()

    assert raised(told)
    assert not raised(plain)


def test_adapters_above_the_heads_layer_learn_the_words_and_leave_the_head_alone(make_config, tiny_backbone):
    head = HeadConfig(width=32, depth=1, heads=4, rank=2)
    config = make_config(
        policy=PolicyConfig(tiny_backbone, 1, head, LoraSettings(rank=8, from_layer=1)),
        joint=PhaseConfig(samples=100, steps=150, batch_size=8, learning_rate=1e-2),
        loop=LoopConfig(save_steps=1000, row_tokens=128),
    )
    data = samples()
    policy = run_sft(config, samples=data)
    after_head = PosePolicy.from_pretrained(next(Path(config.output_dir, "head").glob("checkpoint-*")))
    for (name, mine), saved in zip(policy.head.named_parameters(), after_head.head.parameters(), strict=True):
        assert torch.equal(mine, saved), name
        assert mine.requires_grad
    adapted = [name for name in policy.trainable() if "lora_" in name]
    assert adapted
    assert not any("layers.0." in name for name in adapted)
    assert all(group[0].valid for group in policy.generate([s.prompt for s in data[:3]], temperature=0.0))


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
