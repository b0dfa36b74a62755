"""The example that shows HyGRPO in one sitting: what it prints holds."""

import runpy
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "examples" / "hygrpo_minimal.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(SCRIPT))


def test_hygrpo_learns_the_words_and_the_poses(example):
    policy, reference, clipped = example["train"](pose_coefficient=1.0)
    before, after = example["measure"](reference), example["measure"](policy)
    assert before["right_words"] < 0.3
    assert before["sampled_pose_off"] > 0.9
    assert after["right_words"] > 0.95
    assert after["valid"] > 0.95
    assert after["sampled_pose_off"] < 0.1
    assert 0 < clipped < 1


def test_grpo_on_tokens_learns_the_words_and_leaves_the_pose_part_bit_for_bit(example):
    policy, reference, _ = example["train"](pose_coefficient=0.0)
    after = example["measure"](policy)
    assert after["right_words"] > 0.95
    assert after["sampled_pose_off"] > 0.7
    assert torch.equal(policy.mean, reference.mean)
    assert torch.equal(policy.log_std, reference.log_std)


def test_it_is_read_in_one_sitting():
    assert len(SCRIPT.read_text().splitlines()) <= 250
