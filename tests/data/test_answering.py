"""Questions about a given pose, answered by geometry."""

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.procedural import sample_poses
from pose_rft.data.questions.answering import answer_question
from pose_rft.data.questions.questions import ask
from pose_rft.data.questions.reading import is_right
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.parsing import parse


@pytest.fixture(scope="module")
def kneeling_up():
    """(32, 3) the rest pose with the right knee bent by 70 degrees and the left arm up."""
    pose = torch.zeros(22, 3)
    pose[JOINT_INDEX["right_knee"], 0] = torch.deg2rad(torch.tensor(70.0))
    pose[JOINT_INDEX["left_shoulder"], 2] = torch.deg2rad(torch.tensor(80.0))
    return load_body().points(pose)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is the right knee bent?", "Yes, the right knee is bent."),
        ("And is the left knee bent", "No, the left leg is straight."),
        ("Yes or no: is the person sitting?", "No"),
        ("Would you say that the left hand is above the head?", "Yes, the left hand is above the head."),
        ("Which knee is bent more?", "The right knee is bent more."),
        ("which hand is held higher", "The left hand is higher."),
        ("How far is the right knee bent?", "The angle of the right knee is 110 degrees; straight is 180."),
        ("How far apart are the knees?", "The knees are "),
        ("How high is the left hand?", "The left hand is "),
    ],
)
def test_what_is_asked_is_read_off_the_pose(kneeling_up, question, answer):
    assert answer_question(question, kneeling_up).startswith(answer)


@pytest.mark.parametrize("question", ["What are the arms doing?", "How are the legs?", "Describe the pose."])
def test_descriptions_are_true(kneeling_up, question):
    said = parse(answer_question(question, kneeling_up))
    assert said.statements
    assert satisfied(said.checks, kneeling_up).all()


@pytest.mark.parametrize(
    "question", ["Who is it?", "Is the dog barking?", "Is the left knee bent like a heron's?", "a squat"]
)
def test_what_is_not_understood_has_no_answer(kneeling_up, question):
    assert answer_question(question, kneeling_up) is None


def test_nearly_all_questions_of_the_table_are_answered_rightly():
    every = load_concepts()
    poses = torch.cat([torch.from_numpy(sample_poses(each.spec, 2, seed=5)) for each in every[:: len(every) // 60]])
    points = load_body().points(poses)
    asked = ask(points[:, :22], 3, ("yes_no", "which"))
    right = [
        is_right(answer_question(q.text, one) or "", q.truth) for q, one in zip(asked, points, strict=True) if q.truth
    ]
    assert len(right) > 100
    assert sum(right) >= 0.98 * len(right)
