import math

import pytest
import torch

from benchmarks.support.question_truths import clearness, truth_in
from pose_rft.body import load_body
from pose_rft.data.questions.questions import ask, facing
from pose_rft.errors import UserError


def test_the_pose_that_a_question_was_made_from_answers_it_rightly() -> None:
    pose = 0.5 * torch.randn(600, 22, 3, generator=torch.Generator().manual_seed(0))
    joints = load_body().joints(pose)
    questions = ask(joints, seed=0)
    told = [(question, pose) for question, pose in zip(questions, joints, strict=True) if question.truth]
    assert len({question.truth for question, _ in told}) == 6
    assert [truth_in(question.topic, pose) for question, pose in told] == [question.truth for question, _ in told]
    faced = [(question, pose) for question, pose in zip(facing(joints, 0), joints, strict=True) if question]
    assert all(truth_in("facing", pose) == question.truth for question, pose in faced)
    assert all(clearness(question.topic, pose) > 0.04 for question, pose in told)
    barely, clearly = torch.zeros(2, 22, 3)
    barely[18, 1], clearly[18, 1] = -1.4, -2.2  # the left elbow: 80 and 126 degrees from straight
    bent = [clearness("elbow_bent_more", load_body().joints(pose[None])[0]) for pose in (barely, clearly)]
    assert bent[1] - bent[0] == pytest.approx(math.degrees(0.8) / 20, rel=0.2)
    with pytest.raises(UserError, match="no question is about"):
        truth_in("the weather", joints[0])
