"""Supervised training of what reads given poses, on a small model."""

import math

import numpy as np
import pytest
import torch

from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.data.sample import INPUT_POSE, SHORT_ANSWER, Sample
from pose_rft.errors import UserError
from pose_rft.policy import PoseBranchConfig, PosePolicy
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.sft.losses import LossWeights
from pose_rft.sft.trainer import LoopConfig, PhaseConfig

ELBOW = JOINT_INDEX["left_elbow"]


def edits(count: int, seed: int) -> list[Sample]:
    """An elbow turns by 60 degrees, from poses of their own; and a sentence about each pose."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(count):
        start = rng.normal(0, 0.25, (22, 3)).astype(np.float32)
        target = start.copy()
        target[ELBOW, 1] += math.radians(60)
        samples.append(Sample(f"{INPUT_POSE} bend it", SHORT_ANSWER, target, task="edit_pose", poses=(start,)))
        samples.append(Sample(f"Describe {INPUT_POSE}.", "A body.", task="describe_pose", poses=(start,)))
    return samples


def turns(policy: PosePolicy, samples: list[Sample]) -> torch.Tensor:
    """(N, 22) degrees by which each joint of the mean pose differs from the target's."""
    edited = [sample for sample in samples if sample.pose is not None]
    answers = policy.generate(
        [sample.prompt for sample in edited], poses=[sample.poses for sample in edited], temperature=0.0, words=False
    )
    apart = [answer.pose.axis_angle() - sample.pose for (answer,), sample in zip(answers, edited, strict=True)]
    return torch.from_numpy(np.stack(apart)).norm(dim=-1).rad2deg()


@pytest.fixture
def config(trained_policy, tmp_path):
    return lambda **changes: SftConfig(
        **{
            "start": str(trained_policy),
            "output_dir": str(tmp_path / "run"),
            "pose_branch": PoseBranchConfig(tokens=2, depth=1),
            "pose_branch_only": True,
            "head": PhaseConfig(samples=100, steps=220, batch_size=16, learning_rate=4e-3),
            "joint": PhaseConfig(samples=100, steps=4, batch_size=8, learning_rate=1e-3),
            "loop": LoopConfig(save_steps=100, logging_steps=1, row_tokens=128),
            "loss": LossWeights(likelihood=0.02, joints=5.0, turns=1.0),  # as configs/edits_sft.yaml
            "device": "cpu",
        }
        | changes
    )


def test_edits_are_learned_and_everything_else_stays_as_it_was(config, trained_policy):
    before = PosePolicy.from_pretrained(trained_policy)
    trained = run_sft(config(), samples=edits(48, 0))
    new = edits(10, 1)
    wrong = turns(trained, new)
    assert wrong[:, ELBOW].mean() < 45  # it is on the way: of the given pose itself 60 degrees are missing
    weights = dict(trained.named_parameters())
    for name, weight in before.named_parameters():
        assert torch.equal(weight, weights[name]), name
    answers = [policy.generate(["wave", "sit"], seed=3, max_new_tokens=12) for policy in (before, trained)]
    for (one,), (other,) in zip(*answers, strict=True):
        assert one.text == other.text
        np.testing.assert_array_equal(one.pose.axis_angle(), other.pose.axis_angle())


def test_a_policy_that_reads_no_poses_cannot_learn_to_read_them_better(config):
    with pytest.raises(UserError, match="reads no poses; set pose_branch"):
        run_sft(config(pose_branch=None), samples=edits(4, 0))
