"""What rewards are told of a sample beside prompt, answer and poses."""

import numpy as np

from pose_rft.data.sample import PicturedPerson, QuestionTruth, Sample
from pose_rft.rewards.rollout import columns_of

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
    assert columns_of(SAMPLES) == {
        "task": ["text_to_pose", "pose_question", "chat"],
        "checks": [["y(head) > 0"], [], []],
        "wants_pose": [True, False, False],
        "answer": ["<POSE>", "Yes.", "Hello!"],
        "pose": [RECORDED, PICTURED, None],  # of texts also in a step that has pictures
        "up": [None, UP, None],
        "person": [None, 1, None],
        "topic": [None, "left_knee.bent", None],
        "truth": [None, "yes", None],
        "given": [(), (), ()],
        "changes": [[], [], []],
    }
