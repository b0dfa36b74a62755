"""What rewards are told of a sample beside prompt, answer and poses."""

from types import SimpleNamespace

import numpy as np
import torch

from pose_rft.data.sample import PicturedPerson, QuestionTruth, Sample
from pose_rft.rewards import RolloutRewarder
from pose_rft.rewards.spec import ResolvedReward, RewardSpec

RECORDED, PICTURED, UP = np.full((22, 3), 0.1), np.full((22, 3), 0.2), np.array([0.0, 1.0, 0.0])
SAMPLES = [
    Sample("sit down", "<POSE>", RECORDED, checks=("y(head) > 0",)),
    Sample(
        "Is the left knee bent?",
        "Yes.",
        task="pose_question",
        person=PicturedPerson(1, PICTURED, UP),
        question=QuestionTruth("left_knee.bent", "yes"),
    ),
    Sample("hello", "Hello!", task="chat"),
]


def test_columns_hold_the_facts_of_each_sample_and_none_where_there_is_none() -> None:
    columns = {}

    def remember(prompts, completions, poses, **given):
        columns.update(given)
        return [0.0] * len(prompts)

    policy = SimpleNamespace(head=SimpleNamespace(to_rotations=lambda action: torch.eye(3).expand(3, 1, 1, 22, 3, 3)))
    rollout = SimpleNamespace(
        action=torch.zeros(3, 1, 1, 22, 6), texts=[["a"]] * 3, valid=torch.ones(3, 1, dtype=torch.bool)
    )
    RolloutRewarder(policy, [ResolvedReward(RewardSpec("remember"), remember, "text")], "raise")(0, SAMPLES, rollout)
    assert columns == {
        "checks": [["y(head) > 0"], [], []],
        "wants_pose": [True, False, False],
        "answer": ["<POSE>", "Yes.", "Hello!"],
        "pose": [RECORDED, PICTURED, None],  # of texts also in a step that has pictures
        "up": [None, UP, None],
        "person": [None, 1, None],
        "topic": [None, "left_knee.bent", None],
        "truth": [None, "yes", None],
    }
