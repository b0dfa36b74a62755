"""Both stages on one's own data: from files, to the same weights after an interruption, and what they refuse."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import roma
import torch
from PIL import Image

from pose_rft.data.mixtures.text_to_pose import MixtureConfig, SourceConfig
from pose_rft.data.photographs import TWO_PEOPLE
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy
from pose_rft.policy.training_pictures import with_photograph
from pose_rft.runs.rft import RftConfig, run_rft
from pose_rft.runs.run import prepared
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.sft.trainer import LoopConfig, PhaseConfig

TINY = HeadConfig(width=32, depth=1, heads=4, rank=2)


@pytest.fixture
def pairs(tmp_path):
    """A file of 24 pairs, a chat and a conversation; ``pairs({...})`` writes one with another line."""

    def write(*more):
        poses = np.random.default_rng(0).normal(0, 0.3, (24, 22, 3)).round(4)
        lines = [{"prompt": f"pose {n}", "pose": pose.tolist()} for n, pose in enumerate(poses)]
        lines += [{"prompt": "hello", "answer": "Hello."}, {"prompt": "never", "pose": "none.npz#0", "split": "test"}]
        said = [("user", "hi"), ("assistant", "Yes?"), ("user", "one"), ("assistant", "Here: <POSE>.")]
        messages = [{"role": role, "content": text} for role, text in said]
        lines += [{"messages": messages, "pose": poses[0].tolist()}, *more]
        path = tmp_path / "pairs.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)))
        return MixtureConfig(sources=[SourceConfig(path=str(path))])

    return write


@pytest.fixture
def sft(tiny_backbone, tmp_path):
    def make(data, name="sft", **changes):
        settings = {
            "policy": PolicyConfig(tiny_backbone, 2, TINY, LoraSettings(rank=2)),
            "output_dir": str(tmp_path / name),
            "data": data,
            "head": PhaseConfig(samples=20, steps=6, batch_size=8),
            "joint": PhaseConfig(samples=100, steps=6, batch_size=8),
            "loop": LoopConfig(save_steps=3, logging_steps=1, row_tokens=128),
            "device": "cpu",
        }
        return SftConfig(**(settings | changes))

    return make


@pytest.fixture
def rft(trained_policy, tmp_path):
    def make(data, name="rft"):
        return RftConfig(
            policy=str(trained_policy),
            output_dir=str(tmp_path / name),
            data=data,
            prompts=100,
            rewards=["format"],
            device="cpu",
            hygrpo=HyGRPOConfig(
                steps=4, prompts_per_step=2, answers_per_prompt=2, poses_per_answer=4, max_new_tokens=12,
                save_steps=2, learning_rate=1e-3, row_tokens=128,
            ),
        )  # fmt: skip

    return make


def assert_same(one, other):
    for (name, a), b in zip(one.trainable().items(), other.trainable().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_resumed_supervised_run_ends_with_the_same_weights(sft, pairs, tmp_path):
    data = pairs()
    whole = run_sft(sft(data, "whole"))
    run_sft(sft(data, "broken"))
    shutil.rmtree(tmp_path / "broken" / "policy")
    shutil.rmtree(tmp_path / "broken" / "joint" / "checkpoint-6")
    assert_same(whole, run_sft(sft(data, "broken"), resume=True))


def test_a_resumed_reinforced_run_ends_with_the_same_weights(rft, pairs, tmp_path):
    data = pairs({"prompt": "words alone"})
    whole, _ = run_rft(rft(data, "whole"))
    run_rft(rft(data, "broken"))
    shutil.rmtree(tmp_path / "broken" / "policy")
    shutil.rmtree(tmp_path / "broken" / "checkpoint-4")
    resumed, _ = run_rft(rft(data, "broken"), resume=True)
    assert_same(whole, resumed)


def test_a_run_does_not_go_on_with_other_data(sft, pairs, tmp_path):
    run_sft(sft(pairs()))
    shutil.rmtree(tmp_path / "sft" / "joint" / "checkpoint-6")
    with pytest.raises(UserError, match="the run began with other samples"):
        run_sft(sft(pairs({"prompt": "new", "answer": "Yes."})), resume=True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"prompt": "b", "pose": [[0, 0]]}, r"pose: has shape \(1, 2\)"),
        ({"prompt": "b"}, "answer: there is none and no pose"),
        ({"prompt": "b", "image": str(TWO_PEOPLE), "pose": np.zeros((22, 3)).tolist()}, "answers texts only"),
    ],
)
def test_a_line_that_cannot_be_learned_ends_the_run_before_it_trains(sft, pairs, tmp_path, line, message):
    with pytest.raises(UserError, match=message) as raised:
        run_sft(sft(pairs(line)))
    assert str(raised.value).startswith(f"{tmp_path / 'pairs.jsonl'}, line 28: ")
    assert not list((tmp_path / "sft").rglob("checkpoint-*"))


def test_prompts_with_checks_and_prompts_alone_are_reinforced(rft, pairs):
    _, history = run_rft(rft(pairs({"prompt": "wave", "checks": ["lean() < 90"]}, {"prompt": "so"})))
    assert len(history) >= 4


# ---- photographs ----


@pytest.fixture(scope="module")
def seeing(tiny_backbone):
    torch.manual_seed(0)
    config = PolicyConfig(tiny_backbone, 2, TINY, LoraSettings(rank=2), encoder="blazepose")
    return PosePolicy.create(config, dtype=torch.float32)


def test_the_pose_of_a_photograph_is_learned_in_the_frame_that_answers_are_turned_back_from(seeing):
    pose = np.zeros((22, 3), np.float32)
    pose[0] = (0.2, -0.4, 0.1)
    asked = "the pose of the person on the left"
    learned = with_photograph(seeing, Sample(asked, "<POSE>", pose, TWO_PEOPLE, "image_to_pose"))
    turn = seeing.image_branch.encoder.encode_person(TWO_PEOPLE, asked).turn
    back = roma.rotmat_to_rotvec(turn @ roma.rotvec_to_rotmat(torch.from_numpy(learned.pose[0])))
    np.testing.assert_allclose(back.numpy(), pose[0], atol=1e-5)
    assert not np.allclose(learned.pose[0], pose[0], atol=1e-3)
    np.testing.assert_array_equal(learned.pose[1:], pose[1:])
    np.testing.assert_array_equal(learned.person.pose, learned.pose)
    assert learned.image.tokens.shape[0] == 1


def test_checks_of_a_photograph_are_not_learned_in_a_frame_that_they_are_not_about(seeing):
    with pytest.raises(UserError, match=r"^checks: are about an upright body"):
        prepared(seeing, False, Sample("a", "", None, TWO_PEOPLE, "image_to_pose", ("lean() < 90",)))


def test_photographs_are_learned_from_and_questions_about_them(sft, pairs, tmp_path, tiny_backbone):
    posed = {"prompt": "his pose", "image": str(TWO_PEOPLE), "pose": np.zeros((22, 3)).tolist()}
    data = pairs(posed, {"prompt": "Does he jump?", "image": str(TWO_PEOPLE), "answer": "Yes."})
    policy = PolicyConfig(tiny_backbone, 2, TINY, LoraSettings(rank=2), encoder="blazepose")
    trained = run_sft(sft(data, policy=policy, joint=PhaseConfig(samples=100, steps=4, batch_size=16)))
    branch = PosePolicy.create(policy, dtype=torch.float32).image_branch
    after = dict(trained.image_branch.named_parameters())
    changed = Counter(
        name.split(".")[0] for name, one in branch.named_parameters() if not torch.equal(one, after[name])
    )
    assert {"head", "head_projector"} <= changed.keys()
    assert "encoder" not in changed


def test_photographs_with_nobody_in_them_are_named_before_training_and_may_have_a_box(
    sft, pairs, tmp_path, tiny_backbone
):
    Image.new("RGB", (200, 200), "white").save(tmp_path / "white.png")
    policy = PolicyConfig(tiny_backbone, 2, TINY, LoraSettings(rank=2), encoder="blazepose")
    line = {"prompt": "a", "image": "white.png", "answer": "No."}
    with pytest.raises(UserError, match=r"pairs.jsonl, line (28|29): .*white.png: no person found") as raised:
        run_sft(sft(pairs(line, line), policy=policy))
    assert "(broken lines beside it: 1; pose-rft data check names them)" in str(raised.value)
    run_sft(sft(pairs(line | {"box": [20, 20, 180, 180]}), policy=policy))
